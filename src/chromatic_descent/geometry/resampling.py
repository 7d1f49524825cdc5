"""What the item bootstraps of this package share: counts, distances under them, and intervals."""

import numpy as np
from numpy.typing import NDArray

from chromatic_descent.errors import UserError


def resampled_counts(items: int, resamples: int, seed: int) -> NDArray[np.float32]:
    """Draw how often each item is in each resample, [B, N]: N draws with replacement a row.

    Raises:
        UserError: fewer than 1 resample.

    >>> resampled_counts(50, 3, seed=0).sum(axis=1)
    array([50., 50., 50.], dtype=float32)
    """
    if resamples < 1:
        raise UserError(f"resamples must be at least 1; found {resamples}")
    rng = np.random.default_rng(seed)
    counts = np.empty((resamples, items), dtype=np.float32)  # whole numbers: exact, half the size
    for row in counts:
        row[:] = np.bincount(rng.integers(items, size=items), minlength=items)
    return counts


def reflected_interval(
    value: NDArray[np.float64], again: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the basic bootstrap interval of values [...] from resamples [B, ...], at 95%.

        low, high = 2θ̂ − θ_97.5%, 2θ̂ − θ_2.5%

    A resample repeats items, so every distance in it carries more noise than in the whole probe,
    as much more as the whole probe's does than one of infinitely many items. What that noise
    shifts (a spectrum gets steeper, a path longer) percentiles would shift twice; reflecting takes
    it out.

    Source: Davison & Hinkley 1997, Bootstrap Methods and their Application, section 5.2.

    >>> low, high = reflected_interval(np.float64(5.0), np.linspace(5, 7, 201))
    >>> float(low.round(2)), float(high.round(2))
    (3.05, 4.95)
    """
    late, early = np.quantile(again, [0.975, 0.025], axis=0)
    return 2 * value - late, 2 * value - early
