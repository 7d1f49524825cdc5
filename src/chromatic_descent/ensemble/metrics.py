"""How good predictions are: accuracy, NLL, Brier score and calibration error.

Each takes log-probabilities [..., N, C] and labels [N], and returns one float64 per leading index
[...] (a plain float64 for [N, C]): every member, or every subset of them, at once. Make
log-probabilities of logits with `log_softmax`, or with one of `COMBINERS`.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chromatic_descent.errors import UserError


def accuracy(log_probs: ArrayLike, labels: ArrayLike) -> NDArray[np.float64]:
    """Return the share of items whose most probable class is the label, in [0, 1].

        mean_n [argmax_c p_nc = y_n]; of several most probable classes, the first is taken

    Args:
        log_probs: [..., N, C], in nats.
        labels: [N], whole numbers from 0 to C − 1.

    Returns:
        [...] float64.

    Raises:
        UserError: labels of another length or out of range; `log_probs` above 0 or NaN.

    >>> import numpy as np
    >>> float(accuracy(np.log([[0.9, 0.1], [0.6, 0.4]]), [0, 1]))
    0.5
    """
    log_p, y = check_predictions(log_probs, labels)
    share: NDArray[np.float64] = (log_p.argmax(axis=-1) == y).mean(axis=-1)
    return share


def nll(log_probs: ArrayLike, labels: ArrayLike) -> NDArray[np.float64]:
    """Return the mean negative log-probability of the labels, in nats per item.

        −mean_n log p_{n, y_n}; infinite where a label has probability 0

    Args:
        log_probs: [..., N, C], in nats.
        labels: [N], whole numbers from 0 to C − 1.

    Returns:
        [...] float64.

    Raises:
        UserError: as `accuracy`.

    >>> import numpy as np
    >>> round(float(nll(np.log([[0.5, 0.5], [0.25, 0.75]]), [0, 0])), 6)  # (log 2 + log 4) / 2
    1.039721
    """
    log_p, y = check_predictions(log_probs, labels)
    mean: NDArray[np.float64] = -at_label(log_p, y).mean(axis=-1)
    return mean


def brier(log_probs: ArrayLike, labels: ArrayLike) -> NDArray[np.float64]:
    """Return the Brier score: summed over classes, averaged over items, so in [0, 2].

        mean_n Σ_c (p_nc − [c = y_n])²

    Some libraries average over classes too, which divides it by C, or count one class of two,
    which halves it.

    Args:
        log_probs: [..., N, C], in nats.
        labels: [N], whole numbers from 0 to C − 1.

    Returns:
        [...] float64.

    Raises:
        UserError: as `accuracy`.

    Source: Brier 1950, Monthly Weather Review 78.

    >>> import numpy as np
    >>> round(float(brier(np.log([[0.5, 0.5], [0.1, 0.9]]), [0, 1])), 6)  # (0.5 + 0.02) / 2
    0.26
    """
    log_p, y = check_predictions(log_probs, labels)
    error = np.exp(log_p)
    error[..., np.arange(len(y)), y] -= 1
    score: NDArray[np.float64] = np.square(error).sum(axis=-1).mean(axis=-1)
    return score


def ece(log_probs: ArrayLike, labels: ArrayLike, bins: int = 15) -> NDArray[np.float64]:
    """Return the expected calibration error of the top class, in [0, 1].

        Σ_b (n_b/N) |accuracy_b − confidence_b| = (1/N) Σ_b |Σ_{n∈b} (confidence_n − correct_n)|

    over equal-width bins ((b−1)/bins, b/bins] of the top probability. It is biased upwards, the
    more so the fewer items a bin holds: compare it only at equal N and bins.

    Args:
        log_probs: [..., N, C], in nats.
        labels: [N], whole numbers from 0 to C − 1.
        bins: number of bins.

    Returns:
        [...] float64.

    Raises:
        UserError: as `accuracy`; fewer than 1 bin.

    Source: Guo et al. 2017, arXiv:1706.04599. torchmetrics' MulticlassCalibrationError(norm="l1")
    agrees except for confidences of exactly b/bins: it puts 1.0 in a bin of its own.

    >>> import numpy as np
    >>> round(float(ece(np.log([[0.9, 0.1], [0.9, 0.1]]), [0, 1])), 6)  # 90% sure, 50% right
    0.4
    """
    if bins < 1:
        raise UserError(f"bins must be at least 1; found {bins}")
    log_p, y = check_predictions(log_probs, labels)
    predicted = log_p.argmax(axis=-1)  # [..., N]
    confidence = np.exp(np.take_along_axis(log_p, predicted[..., None], axis=-1)[..., 0])
    gaps = calibration_gaps(confidence, predicted == y, bins)  # [..., bins]
    error: NDArray[np.float64] = np.abs(gaps).sum(axis=-1) / len(y)
    return error


def classwise_ece(log_probs: ArrayLike, labels: ArrayLike, bins: int = 15) -> NDArray[np.float64]:
    """Return the calibration error of every class's probability, averaged over classes, in [0, 1].

        (1/C) Σ_c Σ_b (n_bc/N) |frequency_bc − confidence_bc|
        = (1/(C N)) Σ_c Σ_b |Σ_{n: p_nc ∈ b} (p_nc − [y_n = c])|

    over the bins of `ece`. Unlike `ece` it sees the classes that are not the top one. Most
    probabilities are close to 0 and rightly so: it is small where `ece` is not, and the smaller
    the more classes there are. Classes without an item count too. Biased upwards, as `ece`.

    Args:
        log_probs: [..., N, C], in nats.
        labels: [N], whole numbers from 0 to C − 1.
        bins: number of bins.

    Returns:
        [...] float64.

    Raises:
        UserError: as `accuracy`; fewer than 1 bin.

    Source: Nixon et al. 2019, arXiv:1904.01685, as static calibration error; Kull et al. 2019,
    arXiv:1910.12656.

    >>> import numpy as np
    >>> round(float(classwise_ece(np.log([[0.9, 0.1], [0.9, 0.1]]), [0, 1])), 6)
    0.4
    """
    if bins < 1:
        raise UserError(f"bins must be at least 1; found {bins}")
    log_p, y = check_predictions(log_probs, labels)
    rows = log_p.reshape(-1, *log_p.shape[-2:])
    # One by one: the bins of [S, N, C] probabilities at once take several times their memory.
    errors = [np.abs(classwise_gaps(np.exp(row.T), y, bins)).sum() for row in rows]
    error: NDArray[np.float64] = np.array(errors) / (len(y) * log_p.shape[-1])
    return error.reshape(log_p.shape[:-2])[()]


METRICS: dict[str, Callable[[ArrayLike, ArrayLike], NDArray[np.float64]]] = {
    "accuracy": accuracy,
    "nll": nll,
    "brier": brier,
    "ece": ece,
    "classwise_ece": classwise_ece,
}
"""Every score by name. Larger is better in the first, smaller in the others."""


def calibration_gaps(
    confidence: NDArray[np.float64], correct: NDArray[np.bool_], bins: int
) -> NDArray[np.float64]:
    """Return Σ_{n∈b} (confidence_n − correct_n) for each bin b: [..., N] -> [..., bins]."""
    lead = confidence.shape[:-1]
    rows = int(np.prod(lead))
    index = bin_index(confidence, bins).reshape(rows, -1) + bins * np.arange(rows)[:, None]
    excess = confidence - correct
    gaps = np.bincount(index.ravel(), weights=excess.ravel(), minlength=rows * bins)
    return gaps.astype(np.float64).reshape(*lead, bins)  # it is: the cast is for the type checker


def classwise_gaps(
    p: NDArray[np.float64], labels: NDArray[np.intp], bins: int
) -> NDArray[np.float64]:
    """Return Σ_{n: p_cn∈b} (p_cn − [y_n = c]) for each class and bin: [C, N] -> [C, bins]."""
    classes, items = p.shape
    flat = np.ravel(p)
    # Most probabilities lie in the first bin: it gets what the others leave of the sum.
    above = np.flatnonzero(flat > (1 + 1e-9) / bins)
    values = flat[above]
    cell = above // items * bins + bin_index(values, bins)
    gaps = np.bincount(cell, weights=values, minlength=classes * bins).astype(np.float64)
    gaps = gaps.reshape(classes, bins)
    gaps[:, 0] += p.sum(axis=1) - gaps.sum(axis=1)
    hit = labels * bins + bin_index(p[labels, np.arange(items)], bins)
    counts = np.bincount(hit, minlength=classes * bins).reshape(classes, bins)
    return np.asarray(gaps - counts, dtype=np.float64)


def bin_index(confidence: NDArray[np.float64], bins: int) -> NDArray[np.intp]:
    """Return the bin of each confidence: b of (b/bins, (b+1)/bins], and 0 for 0."""
    # The 1e-9 keeps a confidence like 3/5 = 9/15 in its bin whichever way it was rounded.
    index = np.ceil(confidence * bins - 1e-9).astype(np.intp)
    index -= 1
    np.maximum(index, 0, out=index)
    return np.minimum(index, bins - 1, out=index)


def at_label(values: NDArray[np.float64], labels: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return the entry of each item's label: [..., N, C] -> [..., N]."""
    return values[..., np.arange(len(labels)), labels]


def check_labels(labels: ArrayLike, items: int, classes: int) -> NDArray[np.intp]:
    """Return `labels` as an array, or raise UserError unless it is [N] of 0 to C − 1."""
    array = np.asarray(labels)
    if array.shape != (items,):
        raise UserError(
            f"labels must have shape [{items}], one per item; found {list(array.shape)}"
        )
    if array.dtype.kind not in "iu":
        raise UserError(f"labels must be whole numbers; found dtype {array.dtype}")
    if array.min() < 0 or array.max() >= classes:
        raise UserError(
            f"labels must be from 0 to {classes - 1}, as there are {classes} classes; found "
            f"{array.min()} to {array.max()}"
        )
    return array.astype(np.intp)


def check_predictions(
    log_probs: ArrayLike, labels: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Return both as arrays, or raise UserError unless they are log-probabilities and labels."""
    log_p = np.asarray(log_probs, dtype=np.float64)
    if log_p.ndim < 2 or log_p.size == 0 or log_p.shape[-1] < 2:
        raise UserError(
            "log-probabilities must have shape [..., N, C] with at least 1 item and 2 classes; "
            f"found {list(log_p.shape)}"
        )
    highest = log_p.max()  # NaN if any is
    if not highest <= 1e-6:
        raise UserError(
            f"log-probabilities must be at most 0; found {highest:g}: turn logits into "
            "log-probabilities with log_softmax first"
        )
    return log_p, check_labels(labels, *log_p.shape[-2:])
