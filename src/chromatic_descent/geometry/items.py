"""Distances item by item, for many weightings of the items at once."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chromatic_descent.errors import UserError
from chromatic_descent.geometry.definitions import check_name, form, item_distances
from chromatic_descent.geometry.logits import (
    Logits,
    check_labels,
    check_logits,
    check_temperature,
    check_weights,
)

_BLOCK = 2**22  # per-item distances are held for about so many pairs times items (32 MiB)


def reweighted_distances(
    logits: Logits,
    name: str,
    weights: ArrayLike,
    *,
    labels: ArrayLike | None = None,
    temperature: ArrayLike | None = None,
) -> NDArray[np.float64]:
    """Return `distance_matrix` for many item weightings at once, as a bootstrap over items needs.

        D_bij = Σ_n w_bn d_nij / Σ_n w_bn, d_nij the distance of members i and j on item n

    and for `error_disagreement` the same over the items that both get wrong. The per-item distances
    of all S(S−1)/2 pairs are computed once, from differences; all weightings are then one matrix
    product, [B, N] with [N, pairs], done in blocks of items.

    Args:
        logits: [S, N, C], or the path of a .npy or .npz file.
        name: one of `DISTANCES` but `cka`, which is no mean over items.
        weights: [B, N], non-negative; for a resample, how often it drew each item.
        labels: [N], whole numbers; needed by `error_disagreement`.
        temperature: [S]; see `features`.

    Returns:
        [B, S, S] float64, each as `distance_matrix` would give it.

    Raises:
        UserError: as `distance_matrix`; `cka`.

    >>> import numpy as np
    >>> logits = np.array([[[0.0, 2.0], [0.0, 0.0]], [[1.0, 5.0], [0.0, 0.0]]])
    >>> reweighted_distances(logits, "logit_mse", [[1, 1], [0, 2]])[:, 0, 1]
    array([2.5, 0. ])
    """
    array, y, temperatures = check_items(logits, name, labels, temperature)
    members, items, classes = array.shape
    weight = check_weights(weights, (None, items))

    rows, columns = np.triu_indices(members, k=1)  # pairs in the order of the loop below
    totals = np.zeros((len(weight), len(rows)))  # [B, pairs]
    shared = np.zeros_like(totals) if name == "error_disagreement" else None
    step = max(1, _BLOCK // max(len(rows), members * classes))
    for start in range(0, items, step):
        block = slice(start, start + step)
        w = weight[:, block].astype(np.float64)
        x = form(
            array[:, block],
            name,
            labels=None if y is None else y[block],
            temperature=temperatures,
        )  # [S, n, K]
        by_item = np.concatenate(
            [item_distances(x, name, i, slice(i + 1, None)) for i in range(members - 1)]
        )  # [pairs, n]
        totals += w @ by_item.T
        if shared is not None:
            wrong = x.sum(axis=-1)  # [S, n]
            shared += w @ (wrong[rows] * wrong[columns]).T
    if shared is None:
        totals /= weight.sum(axis=1, dtype=np.float64)[:, None]
    else:
        for b, pair in np.argwhere(shared == 0)[:1].tolist():
            raise no_common_errors(rows[pair], columns[pair], f" under weighting {b}")
        totals /= shared
    squared = np.zeros((len(weight), members, members))
    squared[:, rows, columns] = totals
    squared[:, columns, rows] = totals
    return squared


def check_items(
    logits: Logits, name: str, labels: ArrayLike | None, temperature: ArrayLike | None
) -> tuple[NDArray[np.floating], NDArray[np.intp] | None, NDArray[np.float64] | None]:
    """Return logits, labels and temperature, or raise UserError unless they do for `name`.

    `name` must be a mean over items; what it does not need comes back as None, unchecked.
    """
    check_name(name)
    if name == "cka":
        raise UserError(
            "cka is no mean over items, so items cannot be weighed or resampled; give "
            "distance_matrix the items themselves, logits[:, chosen]"
        )
    array = check_logits(logits)
    members, items, classes = array.shape
    return (
        array,
        check_labels(labels, name, items, classes) if name == "error_disagreement" else None,
        check_temperature(temperature, members) if name == "logit_mse_matched" else None,
    )


def no_common_errors(i: int, j: int, where: str) -> UserError:
    """The error of `error_disagreement` for two members without an error in common."""
    return UserError(
        f"error_disagreement is not defined for members {i} and {j}: there is no item that both "
        f"get wrong{where}; leave one of them out, or use disagreement"
    )
