"""Reliability diagrams: how often the top class is right, by how confident the prediction is."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chromatic_descent.ensemble.metrics import BINS
from chromatic_descent.ensemble.predictions import bin_index, check_bins, check_predictions
from chromatic_descent.geometry.checks import Array


@dataclass(frozen=True, eq=False)
class Reliability:
    """Accuracy of the top class by its probability, the confidence.

    Attributes:
        edges: [bins + 1], from 0 to 1; a confidence on an edge belongs to the bin below.
        confidence: [..., bins], mean confidence of the bin's items; NaN in an empty bin.
        accuracy: [..., bins], the share of them that is right; NaN in an empty bin.
        counts: [..., bins], their number.
    """

    edges: Array
    confidence: Array
    accuracy: Array
    counts: NDArray[np.intp]


def reliability(log_probs: ArrayLike, labels: ArrayLike, bins: int = BINS) -> Reliability:
    """Return the data of a reliability diagram: accuracy by confidence, over the bins of `ece`.

        Σ_b (counts_b/N) |accuracy_b − confidence_b| = ece, over the bins that are not empty

    Args:
        log_probs: [..., N, C], in nats.
        labels: [N], whole numbers from 0 to C − 1.
        bins: number of bins of equal width.

    Returns:
        A `Reliability`.

    Raises:
        UserError: as `ece`.

    Source: DeGroot & Fienberg 1983, The Statistician 32; Guo et al. 2017, arXiv:1706.04599.

    >>> import numpy as np
    >>> diagram = reliability(np.log([[0.9, 0.1], [0.7, 0.3]]), [0, 1], bins=5)
    >>> diagram.counts, diagram.accuracy[3:], diagram.confidence[3:]
    (array([0, 0, 0, 1, 1]), array([0., 1.]), array([0.7, 0.9]))
    """
    check_bins(bins)
    log_p, y = check_predictions(log_probs, labels)
    lead = log_p.shape[:-2]
    shape = (int(np.prod(lead)), bins)
    top = log_p.argmax(axis=-1)  # [..., N]
    confidence = np.exp(np.take_along_axis(log_p, top[..., None], axis=-1)[..., 0])
    cell = bin_index(confidence, bins).reshape(shape[0], -1) + bins * np.arange(shape[0])[:, None]

    def totals(weights: Array | None = None) -> Array:
        flat = None if weights is None else weights.ravel()
        sums = np.bincount(cell.ravel(), flat, shape[0] * bins)
        return sums.astype(np.float64).reshape(*lead, bins)

    counts = totals()
    size = np.where(counts > 0, counts, np.nan)
    return Reliability(
        edges=np.linspace(0, 1, bins + 1),
        confidence=totals(confidence) / size,
        accuracy=totals((top == y).astype(np.float64)) / size,
        counts=counts.astype(np.intp),
    )
