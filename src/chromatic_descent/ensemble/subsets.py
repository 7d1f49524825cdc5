"""Scoring many ensembles of the same members at once.

All subsets are combined together (see `pooling`). Scores and temperatures are then computed
ensemble by ensemble, on [C, N] arrays that stay in the cache.
"""

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chromatic_descent.ensemble.combination import COMBINERS, Combiner
from chromatic_descent.ensemble.metrics import METRICS
from chromatic_descent.ensemble.pooling import Subset, pooled_sums
from chromatic_descent.ensemble.predictions import Prediction
from chromatic_descent.ensemble.temperature import temper_halves
from chromatic_descent.errors import UserError
from chromatic_descent.geometry.checks import Array, Floats
from chromatic_descent.geometry.resampling import resampled_counts


@dataclass(frozen=True, eq=False)
class SubsetScores:
    """The scores of M subsets in G groups.

    Attributes:
        metrics: [M] for each of `METRICS`, group after group.
        items: [G, N] for each metric that is a mean over items: each item's score, averaged over a
            group's subsets.
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


def score_subsets(
    logits: Floats,
    labels: NDArray[np.intp],
    groups: Sequence[Sequence[Subset]],
    combiner: Combiner = COMBINERS["mean_probability"],
    first_half: NDArray[np.bool_] | None = None,
) -> dict[str, SubsetScores]:
    """Score the ensemble of every subset: logits [S, N, C], labels [N] -> scores by stage.

    Stage `raw` scores the ensembles as they are. With `first_half` [N] a stage `calibrated`
    follows: each ensemble is tempered as in `cross_calibrated`, half by half.
    """
    items = len(labels)
    if first_half is None:
        order, halves = np.arange(items), [slice(0, items)]
    else:  # the halves one after the other, so that each is a slice
        order = np.argsort(~first_half, kind="stable")
        cut = int(first_half.sum())
        halves = [slice(0, cut), slice(cut, items)]
    y = labels[order]
    stages = ["raw"] if first_half is None else ["raw", "calibrated"]
    subsets = list(itertools.chain(*groups))
    scores = {s: SubsetScores({m: np.empty(len(subsets)) for m in METRICS}, {}) for s in stages}
    group_of = [g for g, group in enumerate(groups) for _ in group]
    betas = [1.0] * len(halves)  # one ensemble's are a good guess at the next one's

    def note(stage: str, subset: int, prediction: Prediction) -> None:
        group = group_of[subset]
        for name, metric in METRICS.items():
            score = np.asarray(metric.score(prediction))
            scores[stage].metrics[name][subset] = score.mean()
            if score.ndim:
                of_items = scores[stage].items.setdefault(name, np.zeros((len(groups), items)))
                of_items[group] += 1 / len(groups[group]) * score

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
    """Yield each subset's probabilities and their logs [C, N], items in this order."""

    def alone(subset: Subset) -> tuple[Array, Array]:
        log_p = np.array(combiner(logits[list(subset)][:, order]).T, order="C")
        return np.exp(log_p), log_p

    if combiner.pooling is None:
        yield from map(alone, subsets)
        return
    sums = pooled_sums(logits, order, subsets, combiner.pooling)
    for subset, x in zip(subsets, sums, strict=True):
        yield combiner.pooling.finish(x, len(subset)) or alone(subset)
