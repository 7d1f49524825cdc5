"""Do some members open new directions? Variance outside the span of reference members.

Squared distances suffice: they determine the inner products of differences between members.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from chromatic_descent.errors import UserError
from chromatic_descent.geometry.checks import Array, check_squared
from chromatic_descent.geometry.layouts.mds import double_centred

_ROUND_OFF = 1e-10  # axes of the reference shorter than this share of the longest are round-off


@dataclass(frozen=True)
class NewDirections:
    """The share of a group outside the span of others, compared with chance: see `new_directions`.

    Attributes:
        outside, outside_by_chance: share of the variance of half of the group, or of the baseline,
            outside the span of the other half of the baseline; NaN with fewer than 4 seeds.
        splits: into halves, over which both are averaged.
        alone, alone_by_chance: [n], by seed, the share of the group's member, or of the baseline's,
            outside the plane through the other seeds of the baseline.
        distance, distance_by_chance: [n], by seed, their squared distance from that plane.
    """

    outside: float
    outside_by_chance: float
    splits: int
    alone: Array
    alone_by_chance: Array
    distance: Array
    distance_by_chance: Array


def outside_share(
    squared: ArrayLike, targets: Sequence[int], reference: Sequence[int], *, centre: str = "targets"
) -> float:
    """Return the share of some members' variance that lies outside the span of others.

        1 − Σ_t ‖P (x_t − c)‖² / Σ_t ‖x_t − c‖²,
        P the projection on the span of the differences x_r − x̄_R, r ∈ R

    x are the points with these squared distances. c is the mean of the targets, to split the
    variance *between* them, or of the reference, to measure their distance from the plane through
    the reference. n reference members span n − 1 directions. In the thousands of dimensions of
    function space, the share is near 1 for any independent members: compare it with the share of
    other members of the reference's own kind. It is NaN if the targets do not vary.

    Args:
        squared: [S, S] squared Euclidean distances (`EUCLIDEAN`).
        targets: indices of members; at least 2 unless `centre` is `reference`.
        reference: indices of members; at least 2.
        centre: `targets` or `reference`.

    Raises:
        UserError: `squared` is not a matrix of squared distances; too few members.

    >>> points = np.array([[0.0, 0.0], [2.0, 0.0], [0.0, 0.0], [3.0, 4.0]])
    >>> squared = ((points[:, None] - points) ** 2).sum(-1)
    >>> round(outside_share(squared, [2, 3], [0, 1]), 6)  # (3, 4) has 4² of 5² outside the x axis
    0.64
    """
    squared = check_squared(squared)
    if centre not in ("targets", "reference"):
        raise UserError(f"centre={centre}: expected targets or reference")
    if len(reference) < 2 or len(targets) < (2 if centre == "targets" else 1):
        raise UserError(
            "a span needs at least 2 reference members, and variance 2 targets; found "
            f"{len(reference)} and {len(targets)}"
        )
    outside, total = _split(squared, targets, reference, centre == "targets")
    return min(outside / total, 1.0) if total > _ROUND_OFF * squared.max() else float("nan")


def new_directions(
    squared: ArrayLike,
    group: Sequence[int],
    baseline: Sequence[int],
    *,
    splits: int = 100,
    seed: int = 0,
) -> NewDirections:
    """Measure whether a group varies in directions that the baseline's members do not open.

    Halves: the n seeds are split into R, ⌊n/2⌋ of them, and T. `outside` is the share of the
    variance between the group's members of seeds T that lies outside the span of the baseline's
    members of seeds R. `outside_by_chance` is the same for the baseline's members of seeds T: the
    same number, seeds and span. No member is compared with a reference of its own seed.

    One at a time: `alone` is the share of the displacement, from the mean of the baseline's n − 1
    other seeds to the member of one seed, that lies outside their plane, for the group's member and
    for the baseline's. It also detects a shift of the group's centre. A share may stay near 1 while
    members move far out: `distance` is the squared length of that part of the displacement.

    Args:
        squared: [S, S] squared Euclidean distances between members of both.
        group: [n] indices of members, in the order of their seeds; n >= 3.
        baseline: [n] indices of members, of the same seeds.
        splits: all are used if there are at most this many, otherwise this many at random.

    Raises:
        UserError: as `outside_share`; fewer than 3 seeds, or unequal numbers on both sides.

    >>> x = np.random.default_rng(0).normal(size=(6, 50))
    >>> x[:3, 10:] = 0  # the first three live in ten dimensions
    >>> d = ((x[:, None] - x) ** 2).sum(-1)
    >>> new = new_directions(d, [3, 4, 5], [0, 1, 2])
    >>> bool(new.alone.mean() > new.alone_by_chance.mean())
    True
    """
    n = len(group)
    if n != len(baseline) or n < 3:
        raise UserError(
            "new directions need at least 3 seeds that group and baseline share; found "
            f"{n} and {len(baseline)}"
        )
    squared = check_squared(squared)
    sides = np.array([group, baseline])  # [2, n]
    alone, distance = np.empty((2, 2, n))  # of the group, of the baseline; by seed
    for s in range(n):
        others = np.delete(sides[1], s).tolist()
        for k, member in enumerate(sides[:, s].tolist()):
            outside, total = _split(squared, [member], others, between_targets=False)
            alone[k, s] = min(outside / total, 1) if total > 0 else np.nan
            distance[k, s] = outside
    halves = _halves(n, splits, seed) if n >= 4 else []
    shares = []
    for half in map(list, halves):
        targets, reference = np.delete(sides, half, axis=1).tolist(), sides[1, half].tolist()
        shares.append([outside_share(squared, side, reference) for side in targets])
    mean, chance = np.mean(shares, axis=0) if shares else (np.nan, np.nan)
    return NewDirections(float(mean), float(chance), len(halves), *alone, *distance)


def _halves(count: int, limit: int, seed: int) -> list[tuple[int, ...]]:
    """Return all halves of 0..count-1 if there are at most `limit`, otherwise `limit` of them."""
    size = count // 2
    if math.comb(count, size) <= limit:
        return list(itertools.combinations(range(count), size))
    rng = np.random.default_rng(seed)
    drawn: dict[tuple[int, ...], None] = {}
    while len(drawn) < limit:
        drawn[tuple(sorted(rng.choice(count, size, replace=False).tolist()))] = None
    return list(drawn)


def _split(
    squared: Array, targets: Sequence[int], reference: Sequence[int], between_targets: bool
) -> tuple[float, float]:
    """Return the sums of squares outside the span and in total; see `outside_share`."""
    within = squared[np.ix_(reference, reference)]
    between = squared[np.ix_(targets, reference)]  # [T, R]
    rows = between - between.mean(axis=1, keepdims=True)
    if between_targets:
        inner = -0.5 * (rows - rows.mean(axis=0))
        total = squared[np.ix_(targets, targets)].sum() / (2 * len(targets))
    else:
        inner = -0.5 * (rows - within.mean(axis=0) + within.mean())
        total = (between.mean(axis=1) - within.mean() / 2).sum()
    values, vectors = np.linalg.eigh(double_centred(within))
    spanned = values > _ROUND_OFF * max(values.max(), 0)
    projected = inner @ vectors[:, spanned]
    inside = (np.square(projected) / values[spanned]).sum()
    return float(max(total - inside, 0)), float(total)
