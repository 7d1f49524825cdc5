"""Is one kind of training better than another? Differences, member by member or seed by seed.

Two members that share a seed share their initialisation and their batches, so their difference
varies less over seeds than either does: always pair.
"""

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtrit

from chromatic_descent.errors import UserError

FEWEST_SEEDS = 3  # two give an interval 12 times as wide as their distance

_ALL_SIGNS = 14  # pairs of which all sign flips, 16,384, are taken
_FLIPS = 9999  # drawn for more pairs


@dataclass(frozen=True)
class PairedDifference:
    """A mean difference over pairs.

    Attributes:
        value: mean of first − second.
        low, high: its 95% interval over pairs.
        p_value: of the hypothesis that either sign of every difference was as likely.
        pairs: how many.
    """

    value: float
    low: float
    high: float
    p_value: float
    pairs: int


def paired_difference(first: ArrayLike, second: ArrayLike, *, seed: int = 0) -> PairedDifference:
    """Compare two kinds of members that are paired, by seed say.

        d_s = first_s − second_s;  value = mean d,  low, high = value ± t_{97.5%, n−1} sd(d)/√n
        p = share of the 2ⁿ ways to flip signs for which |Σ ± d_s| >= |Σ d_s|

    The interval holds over seeds: what another set of seeds would have given. It assumes that
    differences are about normal; p assumes only that they are symmetric, and cannot be below
    2/2ⁿ: with n = 4 it is at least 0.125, however clear the difference. With more than 14 pairs
    9,999 flips are drawn and p = (1 + #)/(1 + 9,999).

    Args:
        first: [n], n >= 3.
        second: [n], in the same order.
        seed: of the drawn flips.

    Returns:
        A `PairedDifference`, in the unit of the values.

    Raises:
        UserError: shapes that differ; fewer than 3 pairs; values that are not finite.

    Source: Student 1908; Fisher 1935, The Design of Experiments, for the flips.

    >>> found = paired_difference([2.0, 3.0, 5.0], [1.0, 1.0, 2.0])
    >>> found.value, round(found.low, 3), round(found.high, 3), found.p_value
    (2.0, -0.484, 4.484, 0.25)
    """
    a, b = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if a.shape != b.shape or a.ndim != 1:
        raise UserError(f"pairs need two lists of one length; found {a.shape} and {b.shape}")
    check_seeds(len(a))
    d = a - b
    if not np.isfinite(d).all():
        raise UserError("a value is not finite: there is no difference to speak of")
    reach = stdtrit(len(d) - 1, 0.975) * d.std(ddof=1) / np.sqrt(len(d))
    if len(d) <= _ALL_SIGNS:
        signs = np.array(list(itertools.product((1.0, -1.0), repeat=len(d))))
    else:
        drawn = np.random.default_rng(seed).choice([1.0, -1.0], size=(_FLIPS, len(d)))
        signs = np.concatenate([np.ones((1, len(d))), drawn])
    # A flip that changes nothing ties with the data, up to round-off: it must count.
    reached = np.abs(signs @ d) >= np.abs(d.sum()) - 1e-9 * np.abs(d).sum()
    value = float(d.mean())
    return PairedDifference(
        value, float(value - reach), float(value + reach), float(reached.mean()), len(d)
    )


def jackknife_interval(value: float, without: ArrayLike) -> tuple[float, float]:
    """Return a 95% interval over seeds for what takes all members at once, an ensemble's score.

        value ± t_{97.5%, n−1} √((n−1)/n Σ_s (θ_s − θ̄)²),   θ_s the value without seed s

    For a mean over seeds this is Student's interval. An ensemble without a member is also a
    smaller one; that part is common to all θ_s and falls out of the spread.

    Args:
        value: with all n seeds.
        without: [n], n >= 3, the value with each seed left out in turn.

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


def jackknife_reach(without: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how far a jackknife's 95% interval reaches to either side: [n, ...] -> [...].

    See `jackknife_interval`; n is not checked.
    """
    n = len(without)
    error = np.sqrt((n - 1) / n * np.square(without - without.mean(axis=0)).sum(axis=0))
    reach: NDArray[np.float64] = stdtrit(n - 1, 0.975) * error
    return reach


def auroc(inside: ArrayLike, outside: ArrayLike) -> float:
    """Return how well a score tells two kinds of images apart: the area under the ROC curve.

        P(score of an outside image > score of an inside one) + ½ P(equal)

    1/2 is no better than chance, 1 perfect, 0 perfectly the wrong way round.

    Args:
        inside: [N], scores of images that should be low.
        outside: [M], scores of those that should be high.

    Raises:
        UserError: an empty list, or scores that are not numbers.

    Source: Hanley & McNeil 1982, Radiology 143, for its being Mann and Whitney's statistic.

    >>> auroc([0.1, 0.4], [0.4, 0.9])
    0.875
    """
    low, high = np.asarray(inside, dtype=np.float64), np.asarray(outside, dtype=np.float64)
    scores = np.concatenate([low.ravel(), high.ravel()])
    if min(low.size, high.size) == 0 or np.isnan(scores).any():
        raise UserError(f"AUROC needs scores of both kinds; found {low.size} and {high.size}")
    from scipy.stats import rankdata  # slow to import

    ranks = rankdata(scores)[low.size :]
    wins = ranks.sum() - high.size * (high.size + 1) / 2
    return float(wins / (low.size * high.size))


def check_seeds(seeds: int) -> None:
    """Raise UserError unless there are seeds enough for an interval over them."""
    if seeds < FEWEST_SEEDS:
        raise UserError(f"an interval over seeds needs at least {FEWEST_SEEDS}; found {seeds}")
