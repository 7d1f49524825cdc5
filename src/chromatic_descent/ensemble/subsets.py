"""Scoring many ensembles of the same members at once.

An average over a subset of members is a row of a matrix product, so all subsets are combined
together, and the members' probabilities are computed once. What follows (scores, temperatures) is
done ensemble by ensemble, on [C, N] arrays that stay in the cache.
"""

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chromatic_descent.ensemble.calibration import best_beta
from chromatic_descent.ensemble.combine import (
    TIE_BREAK,
    majority_vote,
    mean_logit,
    mean_probability,
)
from chromatic_descent.ensemble.metrics import METRICS, bin_index, classwise_gaps
from chromatic_descent.errors import UserError

Subset = tuple[int, ...]
Combiner = Callable[[NDArray[np.floating]], NDArray[np.float64]]

# These are means over items, so that a bootstrap over items is only another weighting.
ITEM_METRICS = ("accuracy", "nll", "brier")

BINS = 15  # of the calibration errors

# Members' predictions [S, C, N] are held up to this many float64 values (128 MiB). Beyond, they are
# made anew for each chunk of subsets, block by block of items (16 MiB).
_HELD, _BLOCK = 2**24, 2**21

# Values in a chunk of subsets: one that stays in the cache (4 MiB) if members are held, else one
# that takes few rounds (512 MiB).
_SMALL_CHUNK, _CHUNK = 2**19, 2**26

# A mean probability below this may have lost digits, or everything, to underflow.
_TINY = 1e-290


@dataclass(frozen=True, eq=False)
class SubsetScores:
    """The scores of M subsets in G groups.

    Attributes:
        metrics: [M] for each of `METRICS`, group after group.
        items: [G, N] for each of `ITEM_METRICS`: each item's score, averaged over a group's
            subsets.
    """

    metrics: dict[str, NDArray[np.float64]]
    items: dict[str, NDArray[np.float64]]


def draw_subsets(members: int, size: int, limit: int, seed: int) -> list[Subset]:
    """Return all subsets of one size if there are at most `limit`, else `limit` different ones."""
    if math.comb(members, size) <= limit:
        return list(itertools.combinations(range(members), size))
    rng = np.random.default_rng([seed, size])
    drawn: dict[Subset, None] = {}  # a set that keeps its order
    while len(drawn) < limit:
        drawn[tuple(sorted(rng.choice(members, size, replace=False).tolist()))] = None
    return list(drawn)


def membership(subsets: Sequence[Subset], members: int) -> NDArray[np.float64]:
    """Return 1 where a member is in a subset, else 0: [M, S]."""
    inside = np.zeros((len(subsets), members))
    for row, subset in zip(inside, subsets, strict=True):
        row[list(subset)] = 1
    return inside


def score_subsets(
    logits: NDArray[np.floating],
    labels: NDArray[np.intp],
    groups: Sequence[Sequence[Subset]],
    combiner: Combiner = mean_probability,
    first_half: NDArray[np.bool_] | None = None,
) -> dict[str, SubsetScores]:
    """Score the ensemble of every subset: logits [S, N, C], labels [N] -> scores by stage.

    Stage `raw` is the ensembles as they are. With `first_half` [N] there is `calibrated` too: each
    ensemble is tempered as `cross_calibrated` does, half by half.
    """
    items = len(labels)
    if first_half is None:
        order, cuts = np.arange(items), [slice(0, items)]
    else:  # the halves one after the other, so that each is a slice
        order = np.argsort(~first_half, kind="stable")
        cut = int(first_half.sum())
        cuts = [slice(0, cut), slice(cut, items)]
    y = labels[order]
    scores = {
        stage: SubsetScores(
            {name: np.empty(sum(map(len, groups))) for name in METRICS},
            {name: np.zeros((len(groups), items)) for name in ITEM_METRICS},
        )
        for stage in (["raw"] if first_half is None else ["raw", "calibrated"])
    }
    group_of = [g for g, group in enumerate(groups) for _ in group]
    betas = [1.0] * len(cuts)  # one ensemble's are a good guess at the next one's
    subsets = list(itertools.chain(*groups))
    for m, (p, log_p) in enumerate(_ensembles(logits, order, subsets, combiner)):
        right = _right(p, y)
        into = m, group_of[m], 1 / len(groups[group_of[m]])
        _score(p, log_p, y, right, into, scores["raw"])
        if first_half is not None:
            _temper(log_p, y, cuts, betas)
            _score(np.exp(log_p, out=p), log_p, y, right, into, scores["calibrated"])
    for stage in scores.values():
        for name, of_items in stage.items.items():
            stage.items[name] = np.empty_like(of_items)
            stage.items[name][:, order] = of_items
    return scores


def _ensembles(
    logits: NDArray[np.floating],
    order: NDArray[np.intp],
    subsets: Sequence[Subset],
    combiner: Combiner,
) -> Iterator[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Yield each subset's probabilities and their logs [C, N], of the items in this order."""
    classes = logits.shape[2]
    if combiner not in (mean_probability, mean_logit, majority_vote):
        for subset in subsets:
            log_p = np.array(combiner(logits[list(subset)][:, order]).T, order="C")
            yield np.exp(log_p), log_p
        return
    for subset, p in zip(subsets, _sums(logits, order, subsets, combiner), strict=True):
        size = len(subset)
        if combiner is mean_logit:
            p /= size
            p -= p.max(axis=0)
            log_p = p.copy()
            np.exp(p, out=p)
            total = p.sum(axis=0)
            p /= total
            log_p -= np.log(total)
        elif combiner is majority_vote:
            p += 1 / classes
            p /= size * (1 + TIE_BREAK) + 1
            log_p = np.log(p)
        elif p.min() < _TINY:  # all but certain: again, in log space
            log_p = np.array(mean_probability(logits[list(subset)][:, order]).T, order="C")
            np.exp(log_p, out=p)
        else:
            p /= size
            log_p = np.log(p)
        yield p, log_p


def _sums(
    logits: NDArray[np.floating],
    order: NDArray[np.intp],
    subsets: Sequence[Subset],
    combiner: Combiner,
) -> Iterator[NDArray[np.float64]]:
    """Yield the sum over each subset of what its combiner averages: [C, N], to be written on."""
    members, items, classes = logits.shape
    inside = membership(subsets, members)  # [M, S]
    held = members * items * classes <= _HELD
    if held:
        everything = _averaged(logits[:, order], combiner).reshape(members, -1)
    chunk = max(1, (_SMALL_CHUNK if held else _CHUNK) // (items * classes))
    step = max(1, _BLOCK // (members * classes))
    for start in range(0, len(subsets), chunk):
        these = inside[start : start + chunk]  # [m, S]
        if held:
            sums = (these @ everything).reshape(-1, classes, items)
        else:
            sums = np.empty((len(these), classes, items))
            for first in range(0, items, step):
                block = slice(first, first + step)
                x = _averaged(logits[:, order[block]], combiner).reshape(members, -1)
                sums[:, :, block] = (these @ x).reshape(len(these), classes, -1)
        yield from sums


def _averaged(logits: NDArray[np.floating], combiner: Combiner) -> NDArray[np.float64]:
    """Return what a combiner averages over members: [S, n, C] -> [S, C, n]."""
    x = np.array(logits.transpose(0, 2, 1), dtype=np.float64, order="C")
    x -= x.max(axis=1, keepdims=True)
    if combiner is mean_logit:
        return x
    votes = x.argmax(axis=1, keepdims=True) if combiner is majority_vote else None
    np.exp(x, out=x)
    x /= x.sum(axis=1, keepdims=True)
    if votes is not None:
        x *= TIE_BREAK
        np.put_along_axis(x, votes, 1 + np.take_along_axis(x, votes, axis=1), axis=1)
    return x


def _right(p: NDArray[np.float64], labels: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Return whether the most probable class, the first of several, is the label: [C, N] -> [N]."""
    top = p.max(axis=0)
    if np.count_nonzero(p == top) > len(labels):  # a tie somewhere: argmax knows, but is slow
        return np.asarray(p.argmax(axis=0) == labels)
    return np.asarray(p[labels, np.arange(len(labels))] == top)


def _score(
    p: NDArray[np.float64],
    log_p: NDArray[np.float64],
    labels: NDArray[np.intp],
    right: NDArray[np.bool_],
    into: tuple[int, int, float],
    scores: SubsetScores,
) -> None:
    """Score one ensemble [C, N] (overwriting p), and add its items' scores to its group's."""
    items = len(labels)
    subset, group, weight = into
    gaps = classwise_gaps(p, labels, BINS)
    scores.metrics["classwise_ece"][subset] = np.abs(gaps).sum() / (items * len(p))
    confidence = p.max(axis=0)
    excess = np.bincount(bin_index(confidence, BINS), confidence - right)
    scores.metrics["ece"][subset] = np.abs(excess).sum() / items
    at = labels * items + np.arange(items)
    p.reshape(-1)[at] -= 1  # the error of each probability
    of_items = {
        "accuracy": right.astype(np.float64),
        "nll": -log_p.reshape(-1)[at],
        "brier": np.square(p, out=p).sum(axis=0),
    }
    for name, values in of_items.items():
        scores.metrics[name][subset] = values.mean()
        scores.items[name][group] += weight * values


def _temper(
    log_p: NDArray[np.float64],
    labels: NDArray[np.intp],
    halves: list[slice],
    betas: list[float],
) -> None:
    """Temper each half [C, n] in place with the β that fits the other best; note both β."""
    if not np.isfinite(log_p.min()):
        raise UserError(
            "a combiner gave a probability of 0, which no temperature changes: smooth its "
            "probabilities, or leave calibration out with calibrate=False"
        )
    log_p -= log_p.max(axis=0)
    for k, half in enumerate(halves):
        z = np.ascontiguousarray(log_p[:, half])
        # 1e-4 a step, so about 1e-8 in β: the NLL, flat there, is exact to double precision.
        betas[k] = best_beta(z, labels[half], betas[k], tolerance=1e-4)
    for half, beta in zip(halves, reversed(betas), strict=True):
        z = log_p[:, half]  # a view
        z *= beta
        z -= np.log(np.exp(z).sum(axis=0))
