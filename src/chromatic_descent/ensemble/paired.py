"""Is one kind of training better than another? Differences between paired members.

Two members that share a seed share their initialisation and their batches, so their difference
varies less over seeds than their scores do: always pair.
"""

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import stdtrit

from chromatic_descent.errors import UserError
from chromatic_descent.geometry.checks import Array

FEWEST_SEEDS = 3  # with two, the interval is 12 times as wide as their distance

_ALL_SIGNS = 14  # up to this many pairs all sign flips are taken, 16,384
_FLIPS = 9999  # drawn at random beyond


@dataclass(frozen=True)
class PairedDifference:
    """A mean difference over pairs, in the unit of the values.

    Attributes:
        value: mean of first − second.
        low, high: 95% interval of the mean over pairs.
        p_value: of the hypothesis that both signs of every difference are equally likely.
        pairs: the number of pairs.
    """

    value: float
    low: float
    high: float
    p_value: float
    pairs: int


def paired_difference(first: ArrayLike, second: ArrayLike, *, seed: int = 0) -> PairedDifference:
    """Compare two kinds of members that are paired, for example by seed.

        d_s = first_s − second_s;  value = mean d,  low, high = value ± t_{97.5%, n−1} sd(d)/√n
        p = share of the 2ⁿ ways to flip signs for which |Σ ± d_s| >= |Σ d_s|

    The interval covers the variation between sets of seeds, and assumes that differences are
    roughly normal. p assumes only that they are symmetric, and cannot be below 2/2ⁿ: with n = 4 it
    is at least 0.125, however clear the difference. With more than 14 pairs, 9,999 flips are drawn
    and p = (1 + #)/(1 + 9,999).

    Args:
        first: [n], n >= 3.
        second: [n], in the same order.
        seed: of the flips, if they are drawn.

    Raises:
        UserError: shapes that differ; fewer than 3 pairs; values that are not finite.

    Source: Student 1908; Fisher 1935, The Design of Experiments, for the flips.

    >>> difference = paired_difference([2.0, 3.0, 5.0], [1.0, 1.0, 2.0])
    >>> difference.value, round(difference.low, 3), round(difference.high, 3), difference.p_value
    (2.0, -0.484, 4.484, 0.25)
    """
    a, b = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if a.shape != b.shape or a.ndim != 1:
        raise UserError(f"pairs need two lists of one length; found {a.shape} and {b.shape}")
    check_seeds(len(a))
    d = a - b
    if not np.isfinite(d).all():
        raise UserError("paired values must be finite; found NaN or infinite ones")
    reach = stdtrit(len(d) - 1, 0.975) * d.std(ddof=1) / np.sqrt(len(d))
    if len(d) <= _ALL_SIGNS:
        signs = np.array(list(itertools.product((1.0, -1.0), repeat=len(d))))
    else:
        drawn = np.random.default_rng(seed).choice([1.0, -1.0], size=(_FLIPS, len(d)))
        signs = np.concatenate([np.ones((1, len(d))), drawn])
    # A flip that changes nothing ties with the data up to round-off: it must count.
    reached = np.abs(signs @ d) >= np.abs(d.sum()) - 1e-9 * np.abs(d).sum()
    value = float(d.mean())
    return PairedDifference(
        value, float(value - reach), float(value + reach), float(reached.mean()), len(d)
    )


def jackknife_interval(value: float, without: ArrayLike) -> tuple[float, float]:
    """Return a 95% interval over seeds for a score of all members together, such as an ensemble's.

        value ± t_{97.5%, n−1} √((n−1)/n Σ_s (θ_s − θ̄)²),   θ_s the value without seed s

    For a mean over seeds, this is Student's interval. An ensemble without a member is also a
    smaller ensemble; the effect of size is common to all θ_s and cancels in the spread.

    Args:
        value: the score of all n seeds.
        without: [n], n >= 3, the score without each seed in turn.

    Returns:
        low and high, in the unit of the value.

    Raises:
        UserError: fewer than 3 seeds.

    Source: Tukey 1958; Efron & Tibshirani 1993, An Introduction to the Bootstrap, chapter 11.

    >>> low, high = jackknife_interval(2.0, [2.5, 2.0, 1.5])  # the mean of 1, 2 and 3
    >>> round(low, 3), round(high, 3)
    (-0.484, 4.484)
    """
    left = np.asarray(without, dtype=np.float64)
    check_seeds(len(left))
    reach = float(jackknife_reach(left))
    return value - reach, value + reach


def jackknife_reach(without: Array) -> Array:
    """Return the half-width of `jackknife_interval`, without its check of n: [n, ...] -> [...]."""
    n = len(without)
    error = np.sqrt((n - 1) / n * np.square(without - without.mean(axis=0)).sum(axis=0))
    return np.asarray(stdtrit(n - 1, 0.975) * error)


def check_seeds(seeds: int) -> None:
    """Raise UserError unless there are enough seeds for an interval over them."""
    if seeds < FEWEST_SEEDS:
        raise UserError(f"an interval over seeds needs at least {FEWEST_SEEDS}; found {seeds}")
