"""One prediction for every item, and what scores read of it."""

from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chromatic_descent.errors import UserError
from chromatic_descent.geometry.checks import Array, check_labels


class Prediction:
    """The probabilities of one member or ensemble, with the labels; nothing in it is overwritten.

    Attributes:
        log_p: [C, N] log-probabilities in nats. Classes come first: sums over classes are then
            sums of long rows.
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
        """Take log-probabilities and labels; `p` and `right` where they are known already."""
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
        top: Array = self.p.max(axis=0)
        return top

    @cached_property
    def right(self) -> NDArray[np.bool_]:
        """[N], whether the most probable class is the label; of several, the first is taken."""
        top = self.log_p.max(axis=0)
        if np.count_nonzero(self.log_p == top) > len(self.labels):  # a tie: argmax knows, slowly
            return np.asarray(self.log_p.argmax(axis=0) == self.labels)
        return np.asarray(self.at_label(self.log_p) == top)

    @cached_property
    def label_entries(self) -> NDArray[np.intp]:
        """[N], the index of each item's label in a flat [C N]."""
        return self.labels * len(self.labels) + np.arange(len(self.labels))

    def at_label(self, values: Array) -> Array:
        """Return the entry of each item's label: [C, N] -> [N]."""
        return values.ravel()[self.label_entries]


def score_each(
    log_probs: ArrayLike, labels: ArrayLike, score: Callable[[Prediction], NDArray[Any] | float]
) -> Array:
    """Score every prediction of [..., N, C]: the mean over items where `score` gives one per item.

    Raises:
        UserError: as `check_predictions`.
    """
    log_p, y = check_predictions(log_probs, labels)
    # One by one: all bins or probabilities at once would take several times the memory.
    rows = log_p.reshape(-1, *log_p.shape[-2:])
    each = [np.mean(score(Prediction(np.ascontiguousarray(row.T), y))) for row in rows]
    scores: Array = np.array(each, dtype=np.float64).reshape(log_p.shape[:-2])
    return scores[()]


def bin_index(confidence: Array, bins: int) -> NDArray[np.intp]:
    """Return the bin of each confidence: b of (b/bins, (b+1)/bins], and 0 for 0."""
    # The 1e-9 keeps a confidence like 3/5 = 9/15 in its bin whichever way it was rounded.
    index = np.ceil(confidence * bins - 1e-9).astype(np.intp)
    index -= 1
    np.maximum(index, 0, out=index)
    return np.minimum(index, bins - 1, out=index)


def check_bins(bins: int) -> None:
    """Raise UserError unless there is at least 1 bin."""
    if bins < 1:
        raise UserError(f"bins must be at least 1; found {bins}")


def check_predictions(log_probs: ArrayLike, labels: ArrayLike) -> tuple[Array, NDArray[np.intp]]:
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
    return log_p, check_labels(labels, "a score", *log_p.shape[-2:])
