"""Scores of predictions: accuracy, NLL, Brier score and calibration error.

Each takes log-probabilities [..., N, C] and labels [N], and returns one float64 per leading index
[...] (a plain float64 for [N, C]): every member, or every subset of members, at once. Turn logits
into log-probabilities with `log_softmax`, or with one of `COMBINERS`.

A new score is a function of a `Prediction` and its line in `METRICS`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chromatic_descent.errors import UserError
from chromatic_descent.geometry.checks import Array, check_count, check_labels

BINS = 15  # of calibration errors, unless another number is given


class Prediction:
    """The probabilities of one member or ensemble, with the labels; scores do not change it.

    Attributes:
        log_p: [C, N] in nats; classes come first so that sums over classes are of long rows.
        labels: [N].
    """

    def __init__(
        self,
        log_p: Array,
        labels: NDArray[np.intp],
        *,
        p: Array | None = None,
        right: NDArray[np.bool_] | None = None,
    ) -> None:
        """Take log-probabilities and labels; also `p` and `right` if they are known already."""
        self.log_p, self.labels = log_p, labels
        if p is not None:
            self.p = p
        if right is not None:
            self.right = right

    @cached_property
    def p(self) -> Array:
        """[C, N] probabilities."""
        return np.exp(self.log_p)

    @cached_property
    def confidence(self) -> Array:
        """[N], the largest probability of each item."""
        return np.asarray(self.p.max(axis=0))

    @cached_property
    def right(self) -> NDArray[np.bool_]:
        """[N], whether the most probable class is the label; of several, the first is taken."""
        if np.count_nonzero(self.p == self.confidence) > len(self.labels):  # ties, or underflow
            return np.asarray(self.log_p.argmax(axis=0) == self.labels)  # exact, but slow
        return np.asarray(self.label_p == self.confidence)

    @cached_property
    def label_p(self) -> Array:
        """[N], the probability of each item's label."""
        return self.p.ravel()[self.label_entries]

    @cached_property
    def label_entries(self) -> NDArray[np.intp]:
        """[N], the index of each item's label in a flat [C N]."""
        return self.labels * len(self.labels) + np.arange(len(self.labels))


@dataclass(frozen=True)
class Metric:
    """One score, and how it is shown; called like `accuracy`.

    Attributes:
        score: a prediction -> one value per item [N], so that the metric is their mean and has
            intervals over items; or one number for all items.
        title: the name in headings.
        unit: of the values; empty if they have none.
        shown: whether figures and the report's tables of members show it; tables of results do.
    """

    score: Callable[[Prediction], NDArray[Any] | float]
    title: str
    unit: str = ""
    larger_is_better: bool = False
    shown: bool = True

    @property
    def heading(self) -> str:
        """The title with its unit."""
        return f"{self.title} ({self.unit})" if self.unit else self.title

    def __call__(self, log_probs: ArrayLike, labels: ArrayLike) -> Array:
        """Score log-probabilities [..., N, C] against labels [N]: [...] float64."""
        return score_each(log_probs, labels, self.score)


def accuracy(log_probs: ArrayLike, labels: ArrayLike) -> Array:
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
    return score_each(log_probs, labels, _right)


def nll(log_probs: ArrayLike, labels: ArrayLike) -> Array:
    """Return the mean negative log-probability of the labels, in nats per item.

        −mean_n log p_{n, y_n}; infinite where a label has probability 0

    Arguments, shapes and errors: see `accuracy`.

    >>> import numpy as np
    >>> round(float(nll(np.log([[0.5, 0.5], [0.25, 0.75]]), [0, 0])), 6)  # (log 2 + log 4) / 2
    1.039721
    """
    return score_each(log_probs, labels, _label_loss)


def brier(log_probs: ArrayLike, labels: ArrayLike) -> Array:
    """Return the Brier score, summed over classes and averaged over items, so in [0, 2].

        mean_n Σ_c (p_nc − [c = y_n])²

    Some libraries also average over classes, which divides the score by C, or count only one of
    two classes, which halves it.

    Arguments, shapes and errors: see `accuracy`.

    Source: Brier 1950, Monthly Weather Review 78.

    >>> import numpy as np
    >>> round(float(brier(np.log([[0.5, 0.5], [0.1, 0.9]]), [0, 1])), 6)  # (0.5 + 0.02) / 2
    0.26
    """
    return score_each(log_probs, labels, _squared_error)


def ece(log_probs: ArrayLike, labels: ArrayLike, bins: int = BINS) -> Array:
    """Return the expected calibration error of the top class, in [0, 1].

        Σ_b (n_b/N) |accuracy_b − confidence_b| = (1/N) Σ_b |Σ_{n∈b} (confidence_n − correct_n)|

    over equal-width bins ((b−1)/bins, b/bins] of the top probability. It is biased upwards, more
    so the fewer items a bin holds: compare it only at equal N and bins.

    Arguments, shapes and errors: see `accuracy`. There must be at least 1 bin.

    Source: Guo et al. 2017, arXiv:1706.04599. torchmetrics' MulticlassCalibrationError(norm="l1")
    agrees except for confidences of exactly b/bins: it puts 1.0 in a bin of its own.

    >>> import numpy as np
    >>> round(float(ece(np.log([[0.9, 0.1], [0.9, 0.1]]), [0, 1])), 6)  # 90% sure, 50% right
    0.4
    """
    check_count("bins", bins)
    return score_each(log_probs, labels, lambda prediction: _top_gap(prediction, bins))


def classwise_ece(log_probs: ArrayLike, labels: ArrayLike, bins: int = BINS) -> Array:
    """Return the calibration error of every class's probability, averaged over classes, in [0, 1].

        (1/C) Σ_c Σ_b (n_bc/N) |frequency_bc − confidence_bc|
        = (1/(C N)) Σ_c Σ_b |Σ_{n: p_nc ∈ b} (p_nc − [y_n = c])|

    over the bins of `ece`. Unlike `ece` it sees the classes below the top one. Most probabilities
    are close to 0, and rightly so: the error is small where `ece` is not, and smaller the more
    classes there are. Classes without an item count too. Biased upwards, like `ece`.

    Arguments, shapes and errors: see `ece`.

    Source: Nixon et al. 2019, arXiv:1904.01685, as static calibration error; Kull et al. 2019,
    arXiv:1910.12656.

    >>> import numpy as np
    >>> round(float(classwise_ece(np.log([[0.9, 0.1], [0.9, 0.1]]), [0, 1])), 6)
    0.4
    """
    check_count("bins", bins)
    return score_each(log_probs, labels, lambda prediction: _class_gap(prediction, bins))


def _right(prediction: Prediction) -> Array:
    return prediction.right.astype(np.float64)


def _label_loss(prediction: Prediction) -> Array:
    return -prediction.log_p.ravel()[prediction.label_entries]


def _squared_error(prediction: Prediction) -> Array:
    squares = np.square(prediction.p, order="C")
    squares.reshape(-1)[prediction.label_entries] = np.square(prediction.label_p - 1)
    return np.asarray(squares.sum(axis=0))


def _top_gap(prediction: Prediction, bins: int = BINS) -> float:
    index = bin_index(prediction.confidence, bins)
    gaps = np.bincount(index, prediction.confidence - prediction.right)  # [bins], sums over items
    return float(np.abs(gaps).sum() / len(index))


def _class_gap(prediction: Prediction, bins: int = BINS) -> float:
    """Return Σ_bc |Σ_{n: p_cn∈b} (p_cn − [y_n = c])| / (C N)."""
    p = prediction.p
    classes, items = p.shape
    flat = np.ravel(p)
    # Most probabilities lie in the first bin: it gets the rest of the sum.
    above = np.flatnonzero(flat > (1 + 1e-9) / bins)
    values = flat[above]
    cell = above // items * bins + bin_index(values, bins)
    gaps = np.bincount(cell, weights=values, minlength=classes * bins).astype(np.float64)
    gaps = gaps.reshape(classes, bins)
    gaps[:, 0] += p.sum(axis=1) - gaps.sum(axis=1)
    hit = prediction.labels * bins + bin_index(prediction.label_p, bins)
    counts = np.bincount(hit, minlength=classes * bins).reshape(classes, bins)
    return float(np.abs(gaps - counts).sum() / (items * classes))


def score_each(
    log_probs: ArrayLike, labels: ArrayLike, score: Callable[[Prediction], NDArray[Any] | float]
) -> Array:
    """Score every prediction of [..., N, C]: the mean over items if `score` gives one per item."""
    log_p, y = check_predictions(log_probs, labels)
    # One by one: all bins or probabilities at once would take several times the memory.
    rows = log_p.reshape(-1, *log_p.shape[-2:])
    each = [np.mean(score(Prediction(np.ascontiguousarray(row.T), y))) for row in rows]
    scores: Array = np.array(each, dtype=np.float64).reshape(log_p.shape[:-2])
    return scores[()]


def bin_index(confidence: Array, bins: int) -> NDArray[np.intp]:
    """Return the bin of each confidence: b of (b/bins, (b+1)/bins], and 0 for 0."""
    edge = confidence * bins
    edge -= 1e-9  # keeps a confidence like 3/5 = 9/15 in its bin however it was rounded
    index = np.ceil(edge, out=edge).astype(np.intp)
    index -= 1
    np.maximum(index, 0, out=index)
    return np.minimum(index, bins - 1, out=index)


def check_predictions(log_probs: ArrayLike, labels: ArrayLike) -> tuple[Array, NDArray[np.intp]]:
    """Return both as arrays, or raise UserError unless they are log-probabilities and labels."""
    log_p = np.asarray(log_probs, dtype=np.float64)
    if log_p.ndim < 2 or log_p.size == 0 or log_p.shape[-1] < 2:
        raise UserError(
            "log-probabilities must have shape [..., N, C] with at least 1 item and 2 classes; "
            f"found {list(log_p.shape)}"
        )
    if not (highest := log_p.max()) <= 1e-6:  # or NaN
        raise UserError(
            f"log-probabilities must be at most 0; found {highest:g}: turn logits into "
            "log-probabilities with log_softmax first"
        )
    return log_p, check_labels(labels, "a score", *log_p.shape[-2:])


METRICS: dict[str, Metric] = {
    "accuracy": Metric(_right, "accuracy", larger_is_better=True),
    "nll": Metric(_label_loss, "NLL", "nats"),
    "brier": Metric(_squared_error, "Brier score"),
    "ece": Metric(_top_gap, "ECE"),
    "classwise_ece": Metric(_class_gap, "classwise ECE", shown=False),
}
"""Every score by name, with its title, its unit and which way is better."""
