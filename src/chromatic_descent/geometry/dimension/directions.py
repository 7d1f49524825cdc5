"""Do some members reach where others do not? Variance outside the span of reference members.

Everything is computed from squared distances, which determine all inner products of differences
between members.
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

# Axes of the reference shorter than this share of the longest are round-off.
_ROUND_OFF = 1e-10


@dataclass(frozen=True)
class NewDirections:
    """How much of a group lies outside the span of others, compared with chance.

    Attributes:
        outside: share of the group's variance outside the span of half of the baseline; NaN with
            fewer than 4 seeds.
        outside_by_chance: the same for the other half of the baseline; also NaN then.
        splits: into halves, over which both are averaged.
        alone: [n], by seed, the share of the group's member outside the span of the other seeds of
            the baseline.
        alone_by_chance: [n], the same for the baseline's own member.
        distance: [n], by seed, the squared distance of the group's member from the plane through
            the baseline's other seeds, in the unit of the distances.
        distance_by_chance: [n], the same for the baseline's own member.
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

    x are the points whose squared distances are given. c is the mean of the targets, to split the
    variance *between* them, or of the reference, to measure how far they are from the plane through
    the reference. n reference members span n − 1 directions. In the thousands of dimensions that
    members live in, the share is near 1 for any independent members: compare it with the share of
    other members of the reference's own kind.

    Args:
        squared: [S, S] squared Euclidean distances (`EUCLIDEAN`).
        targets: indices of members; at least 2 unless `centre` is `reference`.
        reference: indices of members; at least 2.
        centre: `targets` or `reference`.

    Returns:
        A share in [0, 1]; NaN if the targets do not vary.

    Raises:
        UserError: `squared` is not a matrix of squared distances; too few members.

    >>> points = np.array([[0.0, 0.0], [2.0, 0.0], [0.0, 0.0], [3.0, 4.0]])
    >>> squared = ((points[:, None] - points) ** 2).sum(-1)
    >>> round(outside_share(squared, [2, 3], [0, 1]), 6)  # (3, 4) has 4² of 5² outside the x axis
    0.64
    """
    d = check_squared(squared)
    if centre not in ("targets", "reference"):
        raise UserError(f"centre={centre}: expected targets or reference")
    if len(reference) < 2 or len(targets) < (2 if centre == "targets" else 1):
        raise UserError(
            "a span needs at least 2 reference members, and variance 2 targets; found "
            f"{len(reference)} and {len(targets)}"
        )
    outside, total = _split(d, targets, reference, centre == "targets")
    return min(outside / total, 1.0) if total > _ROUND_OFF * d.max() else float("nan")


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
    members of seeds R. `outside_by_chance` is the same for the baseline's members of seeds T: as
    many members, the same seeds, the same span. No member is compared with a reference of its seed.

    One at a time: the share of the displacement, from the mean of the baseline's n − 1 other seeds
    to the member of one seed, that lies outside their plane, for the group's member and for the
    baseline's. This also sees a shift of the group's centre, if all its members move the same way.
    A share may stay near 1 while members move far out: `distance` is the squared length of that
    part of the displacement.

    Args:
        squared: [S, S] squared Euclidean distances between members of both.
        group: [n] indices of members, in the order of their seeds; n >= 3.
        baseline: [n] indices of members, of the same seeds.
        splits: all are used if there are at most this many, otherwise this many at random.
        seed: of the random splits.

    Returns:
        `NewDirections`.

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
    d = check_squared(squared)
    everyone = range(n)
    alone, distance = np.empty((2, 2, n))  # of the group, of the baseline; by seed
    for s in everyone:
        others = [baseline[r] for r in everyone if r != s]
        for k, who in enumerate((group, baseline)):
            outside, whole = _split(d, [who[s]], others, between_targets=False)
            alone[k, s] = min(outside / whole, 1) if whole > 0 else np.nan
            distance[k, s] = outside
    halves = _halves(n, splits, seed) if n >= 4 else []
    shares = []
    for half in halves:
        reference = [baseline[s] for s in half]
        others = [s for s in everyone if s not in half]
        shares.append(
            [outside_share(d, [who[s] for s in others], reference) for who in (group, baseline)]
        )
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
    d: Array, targets: Sequence[int], reference: Sequence[int], between_targets: bool
) -> tuple[float, float]:
    """Return the sums of squares outside the span and in total; see `outside_share`."""
    within = d[np.ix_(reference, reference)]
    between = d[np.ix_(targets, reference)]  # [T, R]
    own = d[np.ix_(targets, targets)]
    rows = between - between.mean(axis=1, keepdims=True)
    if between_targets:
        inner = -0.5 * (rows - rows.mean(axis=0))
        total = own.sum() / (2 * len(targets))
    else:
        inner = -0.5 * (rows - within.mean(axis=0) + within.mean())
        total = (between.mean(axis=1) - within.mean() / 2).sum()
    values, vectors = np.linalg.eigh(double_centred(within))
    kept = values > _ROUND_OFF * max(values.max(), 0)
    projected = inner @ vectors[:, kept]
    inside = (np.square(projected) / values[kept]).sum()
    return float(max(total - inside, 0)), float(total)
