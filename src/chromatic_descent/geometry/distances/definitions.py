"""What a distance looks at, item by item.

All distances but CKA are means over probe items (`error_disagreement`: a ratio of two such means).
Seven of them are squared Euclidean distances between *features*, one vector φ per member and item:

    D_ij = mean_n ‖φ_in − φ_jn‖².

For these D is one matrix product (a Gram matrix), √D is exactly Euclidean, and classical MDS is a
principal component analysis of the features.

| name                 | the item's part of D                              | what it cannot see    |
|----------------------|---------------------------------------------------|-----------------------|
| `logit_mse`          | φ = f / √C                                        | nothing               |
| `logit_mse_centred`  | φ = f̃ / √C, f̃ = f − mean_c f                      | an item's shift       |
| `logit_mse_matched`  | φ = f̃ / (T √C), T the member's temperature        | the shift, T          |
| `logit_cosine`       | φ = f̃ / (√2 ‖f̃‖): 1 − the cosine of the f̃         | the shift, the size   |
| `hellinger`          | φ = √p / √2, p = softmax(f): 1 − Σ_c √(p q)       | the shift             |
| `bhattacharyya`      | −log Σ_c √(p q), in nats                          | the shift             |
| `kl_symmetric`       | KL(p‖q) + KL(q‖p) = Σ_c (p − q)(log p − log q)    | the shift             |
| `jensen_shannon`     | ½ KL(p‖m) + ½ KL(q‖m), m = ½ (p + q), in nats     | the shift             |
| `prob_l2`            | φ = p                                             | the shift             |
| `disagreement`       | φ = onehot(argmax f) / √2: 1 where answers differ | all but the answer    |
| `error_disagreement` | the same, among items that both get wrong         | all but wrong answers |
| `cka`                | none; see `geometry/cka.py`                       | offset, size, turns   |

An item's shift, one number added to all its logits, changes no probability; a member's temperature
says how sure it is, not what it answers. Raw `logit_mse` contains both, so show it beside the
centred and the matched distance.
Shapes: S members, N probe items, C classes. Distances are squared throughout: what stands in for
the squared distance of classical MDS.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import xlog1py

from chromatic_descent.errors import UserError
from chromatic_descent.geometry.checks import Logits, check_logits, check_temperature
from chromatic_descent.geometry.distances.own import has_features, own_features
from chromatic_descent.own_code import is_own, locate

DISTANCES = (
    "logit_mse",
    "logit_mse_centred",
    "logit_mse_matched",
    "logit_cosine",
    "hellinger",
    "bhattacharyya",
    "kl_symmetric",
    "jensen_shannon",
    "prob_l2",
    "disagreement",
    "error_disagreement",
    "cka",
)
"""The names of all distances. The table in the methods says what each is."""

EUCLIDEAN = (
    "logit_mse",
    "logit_mse_centred",
    "logit_mse_matched",
    "logit_cosine",
    "hellinger",
    "prob_l2",
    "disagreement",
)
"""Those whose square root is the Euclidean distance between per-item features, see `features`."""

# The Bhattacharyya coefficient of one item counts as no less than this, so one item adds at most
# 69.1 nats: two answers with logits 138 apart on two classes, far beyond what training gives.
COEFFICIENT_FLOOR = 1e-30

# Centred logits smaller than this share of the logits themselves are round-off: no direction.
_NO_DIRECTION = 1e-14


def features(
    logits: Logits, name: str, temperature: ArrayLike | None = None
) -> NDArray[np.float64]:
    """Return the per-item features whose mean squared Euclidean distance is the distance `name`.

    With f the logits, f̃ = f − mean_c f, and p = softmax(f):

        logit_mse:          φ = f / √C
        logit_mse_centred:  φ = f̃ / √C
        logit_mse_matched:  φ = f̃ / (T_i √C), T_i > 0 the temperature of member i
        logit_cosine:       φ = f̃ / (√2 ‖f̃‖), hence ‖φ_i − φ_j‖² = 1 − cos(f̃_i, f̃_j)
        hellinger:          φ = √p / √2, hence ‖φ_i − φ_j‖² = 1 − Σ_c √(p_i p_j)
        prob_l2:            φ = p
        disagreement:       φ = onehot(argmax f) / √2; of equal logits the first is the answer

    `logit_mse_matched` removes both gauges: the item's shift and the member's temperature (fit it
    with `chromatic_descent.ensemble.fit_temperature`). The others ignore `temperature`. Equal
    logits on all classes have no direction: there `logit_cosine` has φ = 0, which is ½ from every
    direction and 0 from another such item.

    Args:
        logits: [S, N, C], any real type, or the path of a .npy or .npz file.
        name: one of `EUCLIDEAN`, or a function of features, see `own_distances`.
        temperature: [S], dimensionless; needed by `logit_mse_matched`.

    Returns:
        [S, N, C] float64; logits per √class, or without unit. Of a user's function [S, N, K].

    Raises:
        UserError: unknown name, or a distance that has no such features; logits of another shape
            or not finite; temperature missing, of another shape, or not positive.

    Source: the Hellinger distance in Deza & Deza, Encyclopedia of Distances, chapter 14.

    >>> import numpy as np
    >>> features(np.array([[[0.0, 2.0]], [[1.0, 5.0]]]), "logit_mse_centred") * np.sqrt(2)
    array([[[-1.,  1.]],
    <BLANKLINE>
           [[-2.,  2.]]])
    """
    check_name(name)
    if name not in EUCLIDEAN and not is_own(name):
        raise UserError(
            f"{name} is no distance between per-item features; those that are: "
            f"{', '.join(EUCLIDEAN)}"
        )
    array = check_logits(logits)
    matched = name == "logit_mse_matched"
    phi = form(
        array, name, temperature=check_temperature(temperature, len(array)) if matched else None
    )
    phi /= np.sqrt(divisor(name, array.shape[-1]))
    return phi


def check_name(name: str) -> None:
    """Raise UserError unless `name` is one of `DISTANCES`, or a function's that can be found."""
    if is_own(name):
        locate(name)
    elif name not in DISTANCES:
        raise UserError(
            f"distance must be one of {', '.join(DISTANCES)}, or module.function of your own; "
            f"found {name!r}"
        )


def is_euclidean(logits: NDArray[np.floating], name: str) -> bool:
    """Whether the distance is a squared Euclidean one between features of items."""
    return name in EUCLIDEAN or (is_own(name) and has_features(logits, name))


def degrees(logits: NDArray[np.floating], name: str) -> int:
    """Return in how many numbers members may differ on an item, at most.

    C − 1, as most distances do not see an item's shift; of a user's features no more than C or K.
    """
    classes = int(logits.shape[-1])
    if is_own(name):
        return min(classes, int(own_features(logits[:, :1], name).shape[-1]))
    return classes - 1


def form(
    logits: NDArray[np.floating],
    name: str,
    *,
    labels: NDArray[np.intp] | None = None,
    temperature: NDArray[np.float64] | None = None,
) -> NDArray[np.float64]:
    """Return what `item_distances` compares, without checks: [S, n, C] -> a new [S, n, K].

    For the Euclidean distances these are `features` times √`divisor`, since dividing large logits
    would round them first. `bhattacharyya` has √p, `jensen_shannon` p, `kl_symmetric` p and log p
    side by side, `error_disagreement` the one-hot answer where it is wrong, else zeros.
    """
    if is_own(name):
        return own_features(logits, name)
    if name in ("disagreement", "error_disagreement"):
        answers = logits.argmax(axis=-1)  # [S, n]
        hot = np.zeros(logits.shape)
        np.put_along_axis(hot, answers[..., None], 1.0, axis=-1)
        if name == "error_disagreement":
            hot *= (answers != labels)[..., None]
        return hot
    f = logits.astype(np.float64)
    if name == "logit_mse":
        return f
    if name in ("hellinger", "bhattacharyya"):
        return root_softmax(f)
    if name in ("prob_l2", "jensen_shannon"):
        return np.square(root_softmax(f))
    if name == "kl_symmetric":
        # log p and not f̃, which differs from it by a shift: where p rounds to 1, (p − q) is but
        # round-off, and must not be multiplied by more than log p − log q ≈ 0.
        f -= f.max(axis=-1, keepdims=True)
        p = np.exp(f)
        total = p.sum(axis=-1, keepdims=True)
        return np.concatenate([p / total, f - np.log(total)], axis=-1)
    if name == "logit_cosine":
        return directions(f)
    f -= f.mean(axis=-1, keepdims=True)
    if name == "logit_mse_matched" and temperature is not None:
        f /= temperature[:, None, None]
    return f


def divisor(name: str, classes: int) -> float:
    """Return what turns Σ_c of squared differences of `form` into the distance."""
    if name in ("logit_mse", "logit_mse_centred", "logit_mse_matched"):
        return float(classes)
    return 2.0 if name in ("logit_cosine", "hellinger", "disagreement") else 1.0


def root_softmax(f: NDArray[np.float64], axis: int = -1) -> NDArray[np.float64]:
    """Turn logits into √softmax along `axis`, in place: exp(f/2) over its norm never overflows."""
    f -= f.max(axis=axis, keepdims=True)
    f *= 0.5
    np.exp(f, out=f)
    f /= _norm(f, axis)
    return f


def directions(f: NDArray[np.float64], axis: int = -1) -> NDArray[np.float64]:
    """Turn logits into f̃ / ‖f̃‖ along `axis`, in place; zeros where all classes are equal."""
    largest = np.abs(f).max(axis=axis, keepdims=True)
    f -= f.mean(axis=axis, keepdims=True)
    norm = _norm(f, axis)
    norm[norm <= _NO_DIRECTION * largest] = np.inf
    f /= norm
    return f


def _norm(f: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
    moved = np.moveaxis(f, axis, -1)
    return np.expand_dims(np.sqrt(np.einsum("...c,...c->...", moved, moved)), axis)


def item_distances(
    x: NDArray[np.float64], name: str, member: int, others: slice | NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Return the distances of each item from one member to others: [S, n, K] -> [others, n].

    From differences and never from a Gram matrix: as good as float64 allows however close two
    members are. For `error_disagreement`: 1 where both are wrong with different answers, else 0.
    """
    one, rest = x[member], x[others]
    if name == "error_disagreement":
        both: NDArray[np.float64] = rest.sum(axis=-1) * one.sum(axis=-1)  # [others, n] 1 or 0
        both -= np.einsum("jnc,nc->jn", rest, one)  # alike
        return both
    if name == "jensen_shannon":
        return _jensen_shannon(rest, one)
    difference = rest - one
    if name == "kl_symmetric":
        classes = x.shape[-1] // 2
        p, log_p = difference[..., :classes], difference[..., classes:]
        nats: NDArray[np.float64] = np.einsum("jnc,jnc->jn", p, log_p)
        nats[nats < 0] = 0.0  # what near twins leave is round-off of either sign
        return nats
    squared: NDArray[np.float64] = np.einsum("jnc,jnc->jn", difference, difference)
    if name == "bhattacharyya":
        squared *= 0.5  # 1 − Σ √(p q)
        coefficient = np.maximum(np.einsum("jnc,nc->jn", rest, one), COEFFICIENT_FLOOR)
        far = squared > 0.5
        np.log1p(-squared, out=squared, where=~far)
        np.log(coefficient, out=squared, where=far)
        np.negative(squared, out=squared)
        return squared
    squared /= divisor(name, x.shape[-1])
    return squared


def _jensen_shannon(p: NDArray[np.float64], q: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the Jensen-Shannon divergence over the last axis, in nats.

    = Σ_c ½ (p + q) g(r) with r = (p − q)/(p + q) and g(r) = ½ [(1+r) log(1+r) + (1−r) log(1−r)],
    a sum without cancellation; g(r) = r²/2 + r⁴/12 + r⁶/30 + r⁸/56 + … where that is exact.
    """
    total = p + q
    r = np.abs(p - q)
    r /= np.maximum(total, np.finfo(float).tiny)  # both may have underflowed to 0
    square = r * r
    series = square * (1 / 2 + square * (1 / 12 + square * (1 / 30 + square / 56)))
    exact = 0.5 * (xlog1py(1 + r, r) + xlog1py(1 - r, -r))
    divergence: NDArray[np.float64] = np.einsum(
        "...c,...c->...", total, np.where(r < 0.01, series, exact)
    )
    return 0.5 * divergence


def no_common_errors(i: int, j: int, where: str) -> UserError:
    """The error of `error_disagreement` for two members without an error in common."""
    return UserError(
        f"error_disagreement is not defined for members {i} and {j}: there is no item that both "
        f"get wrong{where}; leave one of them out, or use disagreement"
    )
