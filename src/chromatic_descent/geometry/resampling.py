"""What the item bootstraps of this package share: counts, distances under them, and intervals."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chromatic_descent.errors import UserError
from chromatic_descent.geometry.items import check_items, reweighted_distances
from chromatic_descent.geometry.kernels import weighted_kernels
from chromatic_descent.geometry.logits import Logits

# From so many members on distances under weightings are made in float32: off by 1e-6 of the
# largest, in a tenth of the time.
_MANY = 100


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


def weighted_distances(
    logits: Logits,
    name: str,
    weights: NDArray[np.floating],
    *,
    labels: ArrayLike | None = None,
    temperature: ArrayLike | None = None,
) -> Iterator[NDArray[np.float64]]:
    """Yield the squared distances [S, S] under each item weighting [B, N], as for a bootstrap.

    Those of `reweighted_distances`; with 100 members or more from float32 kernels.

    Raises:
        UserError: as `reweighted_distances`.

    >>> logits = np.array([[[0.0, 2.0], [0.0, 0.0]], [[1.0, 5.0], [0.0, 0.0]]])
    >>> [float(d[0, 1]) for d in weighted_distances(logits, "logit_mse", np.array([[1.0, 1.0]]))]
    [2.5]
    """
    array, y, t = check_items(logits, name, labels, temperature)
    if len(array) < _MANY:
        yield from reweighted_distances(array, name, weights, labels=labels, temperature=t)
        return
    for kernel in weighted_kernels(array, name, weights, labels=y, temperature=t):
        norms = kernel.diagonal()
        squared = np.maximum(norms[:, None] + norms - 2 * kernel, 0)
        np.fill_diagonal(squared, 0)
        yield squared


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
