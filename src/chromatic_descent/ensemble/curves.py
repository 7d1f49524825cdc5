"""What another member is worth: ensemble quality by ensemble size."""

import itertools
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chromatic_descent.ensemble.combine import (
    check_stack,
    log_softmax,
    mean_logit,
    mean_probability,
)
from chromatic_descent.ensemble.metrics import at_label, calibration_gaps, check_labels
from chromatic_descent.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

# Subsets are scored in blocks of about this many float64 probabilities (4 MiB).
_BLOCK = 2**19

# A mean probability below this may have lost digits, or everything, to underflow.
_TINY = 1e-290


def size_curve(
    logits: ArrayLike,
    labels: ArrayLike,
    *,
    combiner: Callable[[NDArray[np.floating]], NDArray[np.float64]] = mean_probability,
    subsets: int = 50,
    seed: int = 0,
    sizes: Sequence[int] | None = None,
) -> "pd.DataFrame":
    """Score ensembles of every size, over subsets of the members, as a tidy table.

    For each size all subsets are taken when there are at most `subsets` of them, else `subsets`
    different ones at random. Scores are those of `accuracy`, `nll`, `brier` and `ece` (15 bins).

    low and high are the 2.5% and 97.5% quantiles *over subsets of these members*: how much it
    matters which members are picked. They are no confidence interval for other members or other
    items; subsets overlap, so the band narrows towards the full ensemble, where it is one point.

    Args:
        logits: [S, N, C].
        labels: [N], whole numbers from 0 to C − 1.
        combiner: logits [s, n, C] -> log-probabilities [n, C], item by item; for
            `mean_probability` and `mean_logit` all subsets are one matrix product.
        subsets: most subsets per size.
        seed: of the choice of subsets; a size's subsets do not depend on the other sizes.
        sizes: ensemble sizes, 1 to S each; all of them unless given.

    Returns:
        One row per size and metric: size, metric (accuracy, nll, brier, ece), mean, low, high,
        subsets (how many were scored). NLL in nats, Brier summed over classes.

    Raises:
        UserError: logits or labels of another shape, or out of range; sizes or subsets out of
            range.

    Source: Lakshminarayanan, Pritzel & Blundell 2017, arXiv:1612.01474.

    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> curve = size_curve(rng.normal(size=(4, 100, 3)), rng.integers(3, size=100))
    >>> curve[curve.metric == "nll"].subsets.tolist()  # 4 of 1, 6 of 2, 4 of 3, 1 of 4
    [4, 6, 4, 1]
    """
    import pandas as pd

    logits = check_stack(logits)
    members, items, classes = logits.shape
    y = check_labels(labels, items, classes)
    sizes = range(1, members + 1) if sizes is None else sizes
    if subsets < 1:
        raise UserError(f"subsets must be at least 1; found {subsets}")
    if not sizes or not all(1 <= size <= members for size in sizes):
        raise UserError(f"sizes must be from 1 to the {members} members; found {list(sizes)}")

    chosen = [draw_subsets(members, size, subsets, seed) for size in sizes]
    scores = _scores(logits, y, list(itertools.chain(*chosen)), combiner)
    rows = []
    start = 0
    for size, of_size in zip(sizes, chosen, strict=True):
        for metric, values in scores.items():
            these = values[start : start + len(of_size)]
            low, high = np.quantile(these, [0.025, 0.975])
            rows.append((size, metric, these.mean(), low, high, len(of_size)))
        start += len(of_size)
    return pd.DataFrame(rows, columns=["size", "metric", "mean", "low", "high", "subsets"])


def draw_subsets(members: int, size: int, limit: int, seed: int) -> list[tuple[int, ...]]:
    """Return all subsets of one size if there are at most `limit`, else `limit` different ones."""
    if math.comb(members, size) <= limit:
        return list(itertools.combinations(range(members), size))
    rng = np.random.default_rng([seed, size])
    drawn: dict[tuple[int, ...], None] = {}  # a set that keeps its order
    while len(drawn) < limit:
        drawn[tuple(sorted(rng.choice(members, size, replace=False).tolist()))] = None
    return list(drawn)


def _scores(
    logits: NDArray[np.floating],
    labels: NDArray[np.intp],
    subsets: list[tuple[int, ...]],
    combiner: Callable[[NDArray[np.floating]], NDArray[np.float64]],
    bins: int = 15,
) -> dict[str, NDArray[np.float64]]:
    """Return every metric of every subset, [M] each, in one pass over blocks of items."""
    items, classes = logits.shape[1:]
    correct, log_p_sum, brier = np.zeros((3, len(subsets)))
    gaps = np.zeros((len(subsets), bins))
    step = max(1, _BLOCK // (len(subsets) * classes))
    for start in range(0, items, step):
        y = labels[start : start + step]
        p, label_log_p = _combine(logits[:, start : start + step], y, subsets, combiner)
        predicted = p.argmax(axis=-1)  # [M, n]
        right = predicted == y
        correct += right.sum(axis=-1)
        log_p_sum += label_log_p.sum(axis=-1)
        confidence = np.take_along_axis(p, predicted[..., None], axis=-1)[..., 0]
        gaps += calibration_gaps(confidence, right, bins)
        p[:, np.arange(len(y)), y] -= 1
        error = p.reshape(len(p), -1)
        brier += np.vecdot(error, error)
    return {
        "accuracy": correct / items,
        "nll": -log_p_sum / items,
        "brier": brier / items,
        "ece": np.abs(gaps).sum(axis=-1) / items,
    }


def _combine(
    logits: NDArray[np.floating],
    labels: NDArray[np.intp],
    subsets: list[tuple[int, ...]],
    combiner: Callable[[NDArray[np.floating]], NDArray[np.float64]],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return each subset's probabilities [M, n, C], and log-probabilities of the labels [M, n]."""
    shape = (len(subsets), *logits.shape[1:])
    share = np.zeros((len(subsets), len(logits)))  # [M, S] each row averages its subset
    for row, subset in zip(share, subsets, strict=True):
        row[list(subset)] = 1 / len(subset)

    if combiner is mean_probability:
        log_p = log_softmax(logits)  # [S, n, C]
        p = (share @ np.exp(log_p).reshape(len(logits), -1)).reshape(shape)
        label_p = at_label(p, labels)
        label_log_p = np.log(np.maximum(label_p, _TINY))
        rows, columns = np.nonzero(label_p < _TINY)  # sure and wrong: again, in log space
        if len(rows):
            parts = np.where(share[rows] > 0, at_label(log_p, labels).T[columns], -np.inf)
            top = parts.max(axis=-1, keepdims=True)  # [repairs, 1]
            total = (share[rows] * np.exp(parts - top)).sum(axis=-1)
            label_log_p[rows, columns] = top[:, 0] + np.log(total)
        return p, label_log_p

    if combiner is mean_logit:
        flat = logits.reshape(len(logits), -1).astype(np.float64)
        log_p = log_softmax((share @ flat).reshape(shape))
    else:
        log_p = np.stack([combiner(logits[list(subset)]) for subset in subsets])
    return np.exp(log_p), at_label(log_p, labels)
