"""Scoring many ensembles of the same members at once.

A combiner that averages over its members is a row of a matrix product, so all subsets are combined
together, and each member's terms are computed once. Scores and temperatures are then computed
ensemble by ensemble, on [C, N] arrays that stay in the cache.
"""

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chromatic_descent.ensemble.calibration import temper_halves
from chromatic_descent.ensemble.combination import COMBINERS, Combiner, Pooling
from chromatic_descent.ensemble.metrics import METRICS, Prediction
from chromatic_descent.errors import UserError
from chromatic_descent.geometry.checks import Array, Floats
from chromatic_descent.geometry.resampling import resampled_counts

Subset = tuple[int, ...]

# Members' terms [S, C, N] are held up to this many float64 values (128 MiB). Beyond, they are
# computed anew for each chunk of subsets, block by block of items (16 MiB).
_HELD, _BLOCK = 2**24, 2**21

# Values in a chunk of subsets: small enough for the cache (4 MiB) if the terms are held, otherwise
# large enough that few rounds are needed (512 MiB).
_SMALL_CHUNK, _CHUNK = 2**19, 2**26


@dataclass(frozen=True, eq=False)
class SubsetScores:
    """The scores of M subsets in G groups.

    Attributes:
        metrics: [M] for each of `METRICS`, group after group.
        items: [G, N] for each metric that is a mean over items, averaged over a group's subsets.
    """

    metrics: dict[str, Array]
    items: dict[str, Array]


def draw_subsets(members: int, size: int, limit: int, seed: int) -> list[Subset]:
    """Return all subsets of one size if there are at most `limit`, otherwise `limit` at random."""
    if math.comb(members, size) <= limit:
        return list(itertools.combinations(range(members), size))
    rng = np.random.default_rng([seed, size])
    drawn: dict[Subset, None] = {}  # a set that keeps its order
    while len(drawn) < limit:
        drawn[tuple(sorted(rng.choice(members, size, replace=False).tolist()))] = None
    return list(drawn)


def membership(subsets: Sequence[Subset], members: int) -> Array:
    """Return 1 where a member is in a subset, otherwise 0: [M, S]."""
    inside = np.zeros((len(subsets), members))
    for row, subset in zip(inside, subsets, strict=True):
        row[list(subset)] = 1
    return inside


def score_subsets(
    logits: Floats,
    labels: NDArray[np.intp],
    groups: Sequence[Sequence[Subset]],
    combiner: Combiner = COMBINERS["mean_probability"],
    first_half: NDArray[np.bool_] | None = None,
) -> dict[str, SubsetScores]:
    """Score the ensemble of every subset: logits [S, N, C], labels [N] -> scores by stage.

    Stage `raw` scores the ensembles as they are. With `first_half` [N], stage `calibrated`
    follows: each ensemble is tempered half by half, as in `cross_calibrated`.
    """
    items = len(labels)
    # With the halves one after the other, each is a slice.
    order = np.arange(items) if first_half is None else np.argsort(~first_half, kind="stable")
    cut = items if first_half is None else int(first_half.sum())
    halves = [slice(0, cut), slice(cut, items)]
    y = labels[order]
    stages = ["raw"] if first_half is None else ["raw", "calibrated"]
    subsets = list(itertools.chain(*groups))
    scores = {s: SubsetScores({m: np.empty(len(subsets)) for m in METRICS}, {}) for s in stages}
    group_of = [g for g, group in enumerate(groups) for _ in group]
    betas = [1.0, 1.0]  # an ensemble's β are good starting points for the next ensemble

    def note(stage: str, subset: int, prediction: Prediction) -> None:
        group = group_of[subset]
        weight = 1 / len(groups[group])
        metrics, of_items = scores[stage].metrics, scores[stage].items
        for name, metric in METRICS.items():
            score = metric.score(prediction)
            if not isinstance(score, np.ndarray) or score.ndim == 0:
                metrics[name][subset] = score
            else:
                metrics[name][subset] = score.mean()
                if name not in of_items:
                    of_items[name] = np.zeros((len(groups), items))
                of_items[name][group] += weight * score

    for subset, (p, log_p) in enumerate(_ensembles(logits, order, subsets, combiner)):
        prediction = Prediction(log_p, y, p=p)
        note("raw", subset, prediction)
        if first_half is not None:
            right = prediction.right
            if not np.isfinite(log_p.min()):
                raise UserError(
                    "a combiner gave a probability of 0, which no temperature changes: smooth its "
                    "probabilities, or leave calibration out with calibrate=False"
                )
            log_p -= log_p.max(axis=0)
            # 1e-4 a step, so about 1e-8 in β: the NLL, flat there, is exact to double precision.
            betas = temper_halves(log_p, y, halves, betas, tolerance=1e-4)
            note("calibrated", subset, Prediction(log_p, y, p=np.exp(log_p, out=p), right=right))
    for stage in scores.values():
        for name, of_items in stage.items.items():
            stage.items[name] = np.empty_like(of_items)
            stage.items[name][:, order] = of_items
    return scores


def item_weights(items: int, resamples: int, seed: int) -> Array:
    """Return how often each item is drawn in each resample of the items, over N: [B, N]."""
    if not resamples:
        return np.empty((0, items))
    return resampled_counts(items, resamples, seed).astype(np.float64) / items


def item_intervals(of_items: Array, weights: Array) -> Array:
    """Return 95% bootstrap intervals of means over items: [G, N], [B, N] -> [G, 2]."""
    bands = np.full((len(of_items), 2), np.nan)
    known = np.isfinite(of_items).all(axis=1)  # an infinite NLL has no interval
    if len(weights) and known.any():
        means = weights @ of_items[known].T  # [B, G]
        bands[known] = np.quantile(means, [0.025, 0.975], axis=0).T
    return bands


def _ensembles(
    logits: Floats, order: NDArray[np.intp], subsets: Sequence[Subset], combiner: Combiner
) -> Iterator[tuple[Array, Array]]:
    """Yield each subset's probabilities and their logs [C, N], with items in this order."""

    def alone(subset: Subset) -> tuple[Array, Array]:
        log_p = np.array(combiner(logits[list(subset)][:, order]).T, order="C")
        return np.exp(log_p), log_p

    if combiner.pooling is None:
        yield from map(alone, subsets)
        return
    sums = _sums(logits, order, subsets, combiner.pooling)
    for subset, x in zip(subsets, sums, strict=True):
        yield combiner.pooling.finish(x, len(subset)) or alone(subset)


def _sums(
    logits: Floats, order: NDArray[np.intp], subsets: Sequence[Subset], pooling: Pooling
) -> Iterator[Array]:
    """Yield each subset's sum of terms [C, N], which may be overwritten."""
    members, items, classes = logits.shape

    def terms(indices: NDArray[np.intp]) -> Array:
        x = np.array(logits[:, indices].transpose(0, 2, 1), dtype=np.float64, order="C")
        x -= x.max(axis=1, keepdims=True)
        return pooling.terms(x).reshape(members, -1)  # [S, C n]

    inside = membership(subsets, members)  # [M, S]
    held = terms(order) if members * items * classes <= _HELD else None
    chunk = max(1, (_CHUNK if held is None else _SMALL_CHUNK) // (items * classes))
    step = max(1, _BLOCK // (members * classes))
    for start in range(0, len(subsets), chunk):
        rows = inside[start : start + chunk]  # [m, S]
        if held is not None:
            sums = (rows @ held).reshape(-1, classes, items)
        else:
            sums = np.empty((len(rows), classes, items))
            for first in range(0, items, step):
                block = slice(first, first + step)
                sums[:, :, block] = (rows @ terms(order[block])).reshape(len(rows), classes, -1)
        yield from sums
