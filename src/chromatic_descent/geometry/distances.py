"""Squared distances between members, in function space.

Every distance in this file is a mean over probe items of squared Euclidean distances between
*features*, one vector φ per member and item:

    D_ij = mean_n ‖φ_in − φ_jn‖².

So D is one matrix product (a Gram matrix), √D is exactly Euclidean, and a bootstrap over probe
items is only another weighting of the same mean.

| name                | φ_in                                      | what it cannot see           |
|---------------------|-------------------------------------------|------------------------------|
| `logit_mse`         | f_in / √C                                 | nothing                      |
| `logit_mse_centred` | (f_in − mean_c f_inc) / √C                | an item's shift              |
| `logit_mse_matched` | the same, over the member's temperature T | the shift, the temperature   |
| `hellinger`         | √p_in / √2, p = softmax(f)                | the shift                    |

An item's shift, one number added to all its logits, changes no probability; a member's temperature
says how sure it is, not what it answers. Raw `logit_mse` contains both, so show it beside the
centred and the matched distance.
Shapes: S members, N probe items, C classes. Distances are squared throughout.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chromatic_descent.errors import UserError

DISTANCES = ("logit_mse", "logit_mse_centred", "logit_mse_matched", "hellinger")

# Items are worked on in blocks of about this many float64 values: 2 MiB, which stays in the cache.
_BLOCK = 2**18

# ‖a‖² + ‖b‖² − 2a·b keeps about 1e-14 of ‖a‖² + ‖b‖²; pairs closer than this share of it, where
# fewer than eight good digits would be left, are computed from the difference itself.
_CLOSE = 1e-6


def features(
    logits: ArrayLike, name: str, temperature: ArrayLike | None = None
) -> NDArray[np.float64]:
    """Return the per-item features whose mean squared Euclidean distance is the distance `name`.

    With f the logits, f̃ = f − mean_c f, and p = softmax(f):

        logit_mse:          φ = f / √C
        logit_mse_centred:  φ = f̃ / √C
        logit_mse_matched:  φ = f̃ / (T_i √C), T_i > 0 the temperature of member i
        hellinger:          φ = √p / √2, hence ‖φ_i − φ_j‖² = 1 − Σ_c √(p_i p_j)

    `logit_mse_matched` removes both gauges: the item's shift and the member's temperature (fit it
    with `chromatic_descent.ensemble.fit_temperature`). The other three ignore `temperature`.

    Args:
        logits: [S, N, C], any floating type.
        name: one of `DISTANCES`.
        temperature: [S], dimensionless; needed by `logit_mse_matched`.

    Returns:
        [S, N, C] float64; logits per √class, or √probability.

    Raises:
        UserError: unknown name; logits of another shape or not finite; temperature missing, of
            another shape, or not positive.

    Source: the Hellinger distance in Deza & Deza, Encyclopedia of Distances, chapter 14.

    >>> import numpy as np
    >>> features(np.array([[[0.0, 2.0]], [[1.0, 5.0]]]), "logit_mse_centred") * np.sqrt(2)
    array([[[-1.,  1.]],
    <BLANKLINE>
           [[-2.,  2.]]])
    """
    logits = check_logits(logits)
    temperature = _check_temperature(temperature, name, len(logits))
    phi = _unscaled(logits, name, temperature)
    phi /= np.sqrt(_divisor(logits, name))
    return phi


def distance_matrix(
    logits: ArrayLike,
    name: str,
    *,
    temperature: ArrayLike | None = None,
    weights: ArrayLike | None = None,
) -> NDArray[np.float64]:
    """Return the squared distance between every two members.

        D_ij = Σ_n w_n ‖φ_in − φ_jn‖² / Σ_n w_n, with φ from `features` and w_n = 1 unless given.

    Exact to about 1e-9 relative in every entry, however close two members are and whatever offset
    all of them share; symmetric, non-negative, with a diagonal of zeros; identical members are at
    exactly 0. Memory beside the input: a few blocks of 2 MiB.

    Args:
        logits: [S, N, C], any floating type; a memory-mapped array is read block by block.
        name: one of `DISTANCES`.
        temperature: [S]; see `features`.
        weights: [N], non-negative; how often each item counts.

    Returns:
        [S, S] float64; squared logits, or for `hellinger` the squared Hellinger distance in [0, 1].

    Raises:
        UserError: as `features`; weights of another shape, negative, not finite, or all zero.

    >>> import numpy as np
    >>> distance_matrix(np.array([[[0.0, 2.0]], [[1.0, 5.0]]]), "logit_mse")
    array([[0., 5.],
           [5., 0.]])
    """
    logits = check_logits(logits)
    temperature = _check_temperature(temperature, name, len(logits))
    members, items, _ = logits.shape
    weight = _check_weights(np.ones(items) if weights is None else weights, (items,))
    weight = weight.astype(np.float64) / weight.sum(dtype=np.float64)

    gram = np.zeros((members, members))
    for block in _blocks(logits):
        phi = _unscaled(logits[:, block], name, temperature)  # [S, n, C]
        phi -= phi.mean(axis=0)  # no distance sees it; an offset would make every pair 'close'
        phi *= np.sqrt(weight[block, None])
        flat = phi.reshape(members, -1)  # [S, n·C]
        gram += flat @ flat.T
    norms = gram.diagonal()
    scale = norms[:, None] + norms
    squared = scale - 2 * gram

    # Taking out the mean does not help two members that agree among others that do not: they
    # still cancel. Those pairs, few as a rule, are done again without the Gram matrix.
    close = np.triu(squared <= _CLOSE * scale, k=1)
    if close.any():
        exact = np.zeros_like(squared)
        for block in _blocks(logits):
            phi = _unscaled(logits[:, block], name, temperature)
            for i in np.flatnonzero(close.any(axis=1)).tolist():
                exact[i, close[i]] += _item_distances(phi, i, close[i]) @ weight[block]
        close |= close.T
        squared[close] = (exact + exact.T)[close]
    np.fill_diagonal(squared, 0.0)
    return squared / _divisor(logits, name)


def reweighted_distances(
    logits: ArrayLike, name: str, weights: ArrayLike, *, temperature: ArrayLike | None = None
) -> NDArray[np.float64]:
    """Return `distance_matrix` for many item weightings at once, as a bootstrap over items needs.

        D_bij = Σ_n w_bn ‖φ_in − φ_jn‖² / Σ_n w_bn

    The per-item distances of all S(S−1)/2 pairs are computed once; all weightings are then one
    matrix product, [B, N] with [N, pairs], done in blocks of items.

    Args:
        logits: [S, N, C].
        name: one of `DISTANCES`.
        weights: [B, N], non-negative; for a resample, how often it drew each item.
        temperature: [S]; see `features`.

    Returns:
        [B, S, S] float64, each as `distance_matrix` would give it.

    Raises:
        UserError: as `distance_matrix`.

    >>> import numpy as np
    >>> logits = np.array([[[0.0, 2.0], [0.0, 0.0]], [[1.0, 5.0], [0.0, 0.0]]])
    >>> reweighted_distances(logits, "logit_mse", [[1, 1], [0, 2]])[:, 0, 1]
    array([2.5, 0. ])
    """
    logits = check_logits(logits)
    temperature = _check_temperature(temperature, name, len(logits))
    members, items, _ = logits.shape
    weight = _check_weights(weights, (None, items))

    rows, columns = np.triu_indices(members, k=1)  # pairs in the order of the loop below
    totals = np.zeros((len(weight), len(rows)))  # [B, pairs]
    for block in _blocks(logits):
        phi = _unscaled(logits[:, block], name, temperature)  # [S, n, C]
        by_item = np.concatenate(
            [_item_distances(phi, i, slice(i + 1, None)) for i in range(members - 1)]
        )  # [pairs, n]
        totals += weight[:, block].astype(np.float64) @ by_item.T
    squared = np.zeros((len(weight), members, members))
    squared[:, rows, columns] = totals / weight.sum(axis=1, dtype=np.float64)[:, None]
    squared[:, columns, rows] = squared[:, rows, columns]
    return squared / _divisor(logits, name)


def check_logits(logits: ArrayLike) -> NDArray[np.floating]:
    """Return `logits` as an array, or raise UserError unless it is finite [S>=2, N>=1, C>=2]."""
    array = np.asarray(logits)
    if array.dtype.kind in "iu":
        array = array.astype(np.float64)
    if array.dtype.kind != "f":
        raise UserError(f"logits must be real numbers; found dtype {array.dtype}")
    if array.ndim != 3 or array.shape[0] < 2 or array.shape[1] < 1 or array.shape[2] < 2:
        raise UserError(
            "logits must have shape [S, N, C] with at least 2 members, 1 probe item and 2 classes; "
            f"found shape {list(array.shape)}"
        )
    for member, values in enumerate(array):  # one member at a time, to keep memory bounded
        bad = int(values.size - np.count_nonzero(np.isfinite(values)))
        if bad:
            raise UserError(
                f"logits must be finite; found {bad} of {values.size} values of member {member} "
                "to be NaN or infinite: leave that member out, or train it again"
            )
    return array


def check_squared(squared: ArrayLike) -> NDArray[np.float64]:
    """Return `squared` as float64, or raise UserError unless it is a matrix of squared distances.

    That is: [S>=2, S], finite, symmetric to 1e-8 of its largest entry, non-negative, and zero on
    the diagonal.
    """
    array = np.asarray(squared, dtype=np.float64)
    if array.ndim != 2 or array.shape[0] != array.shape[1] or len(array) < 2:
        raise UserError(
            "squared distances must have shape [S, S] with at least 2 members; "
            f"found shape {list(array.shape)}"
        )
    if not np.isfinite(array).all():
        raise UserError("squared distances must be finite; found NaN or infinite entries")
    if array.min() < 0 or array.diagonal().any():
        raise UserError(
            "squared distances must be non-negative with zeros on the diagonal; found a smallest "
            f"entry of {array.min():g} and a diagonal of up to {abs(array.diagonal()).max():g}"
        )
    asymmetry = abs(array - array.T).max()
    if asymmetry > 1e-8 * array.max():
        raise UserError(
            f"squared distances must be symmetric; found entries {asymmetry:g} apart from their "
            "mirror image"
        )
    return array


def _unscaled(
    logits: NDArray[np.floating], name: str, temperature: NDArray[np.float64] | None
) -> NDArray[np.float64]:
    """Return `features` times √divisor, without checks: a new array, free to be overwritten.

    The divisor is applied to the distances, since dividing large logits would round them first.
    """
    f = logits.astype(np.float64)  # [S, n, C]
    if name == "hellinger":
        np.exp(0.5 * (f - f.max(axis=-1, keepdims=True)), out=f)  # √p, up to its norm
        f /= np.linalg.norm(f, axis=-1, keepdims=True)
        return f
    if name == "logit_mse":
        return f
    f -= f.mean(axis=-1, keepdims=True)
    if name == "logit_mse_centred":
        return f
    if name == "logit_mse_matched" and temperature is not None:
        f /= temperature[:, None, None]
        return f
    raise UserError(f"distance must be one of {', '.join(DISTANCES)}; found {name!r}")


def _divisor(logits: NDArray[np.floating], name: str) -> float:
    """Return what turns Σ_c into the distance: C for a mean over classes, 2 for Hellinger."""
    return 2.0 if name == "hellinger" else float(logits.shape[-1])


def _item_distances(
    phi: NDArray[np.float64], member: int, others: slice | NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Return ‖φ_jn − φ_in‖² from one member to others: [others, n]."""
    difference = phi[others] - phi[member]
    squared: NDArray[np.float64] = np.einsum("jnc,jnc->jn", difference, difference)
    return squared


def _blocks(logits: NDArray[np.floating]) -> Iterator[slice]:
    """Slices over items such that a block [S, n, C] holds about `_BLOCK` values."""
    members, items, classes = logits.shape
    step = max(1, _BLOCK // (members * classes))
    return (slice(start, start + step) for start in range(0, items, step))


def _check_temperature(
    temperature: ArrayLike | None, name: str, members: int
) -> NDArray[np.float64] | None:
    if name != "logit_mse_matched":
        return None
    if temperature is None:
        raise UserError(
            "logit_mse_matched needs `temperature`, one per member: fit it with "
            "chromatic_descent.ensemble.fit_temperature(logits, labels)"
        )
    array = np.asarray(temperature, dtype=np.float64)
    if array.shape != (members,) or not (np.isfinite(array) & (array > 0)).all():
        raise UserError(
            f"temperature must be {members} positive finite numbers, one per member; found shape "
            f"{list(array.shape)} with values {array.tolist()}"
        )
    return array


def _check_weights(weights: ArrayLike, shape: tuple[int | None, ...]) -> NDArray[np.floating]:
    array = np.asarray(weights)
    if array.dtype.kind in "biu":
        array = array.astype(np.float64)
    if array.dtype.kind != "f":
        raise UserError(f"weights must be real numbers; found dtype {array.dtype}")
    if array.ndim != len(shape) or array.shape[-1] != shape[-1]:
        raise UserError(
            f"weights must have shape {['B', shape[-1]] if len(shape) == 2 else list(shape)}, one "
            f"per probe item; found {list(array.shape)}"
        )
    if not np.isfinite(array).all() or array.min(initial=0) < 0:
        raise UserError("weights must be finite and non-negative")
    if not array.any(axis=-1).all():
        raise UserError("weights must not all be zero")
    return array
