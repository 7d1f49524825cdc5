"""Resampling of items, the intervals that follow from it, and permutations of members."""

from collections.abc import Iterator
from itertools import permutations as all_permutations

import numpy as np
from numpy.typing import NDArray

from chromatic_descent.errors import UserError
from chromatic_descent.geometry.checks import Array, check_count
from chromatic_descent.geometry.cores import batches, length

_ENUMERATED = 6  # up to this many members, every permutation is used, and tests are exact


def resampled_counts(items: int, resamples: int, seed: int) -> NDArray[np.float32]:
    """Draw how often each resample contains each item, [B, N]: N draws with replacement per row.

    Raises:
        UserError: fewer than 1 resample.

    >>> resampled_counts(50, 3, seed=0).sum(axis=1)
    array([50., 50., 50.], dtype=float32)
    """
    check_count("resamples", resamples)
    rng = np.random.default_rng(seed)
    counts = np.empty((resamples, items), dtype=np.float32)  # whole numbers: exact, half the size
    for row in counts:
        row[:] = np.bincount(rng.integers(items, size=items), minlength=items)
    return counts


def reflected_interval(value: Array, again: Array) -> tuple[Array, Array]:
    """Return the basic bootstrap interval of values [...] from resamples [B, ...], at 95%.

        low, high = 2θ̂ − θ_97.5%, 2θ̂ − θ_2.5%

    A resample repeats items, so its distances carry more noise than those of the whole probe, by as
    much as the whole probe carries more than infinitely many items would. Percentiles would count
    the shift due to this noise (a steeper spectrum, a longer path) twice; reflection removes it.

    Source: Davison & Hinkley 1997, Bootstrap Methods and their Application, section 5.2.

    >>> low, high = reflected_interval(np.float64(5.0), np.linspace(5, 7, 201))
    >>> float(low.round(2)), float(high.round(2))
    (3.05, 4.95)
    """
    late, early = np.quantile(again, [0.975, 0.025], axis=0)
    return 2 * value - late, 2 * value - early


def permuted_members(
    members: int, permutations: int, seed: int, batch: int
) -> Iterator[NDArray[np.intp]]:
    """Yield permutations of the members in batches [B, S], without the identity.

    Up to 6 members, every permutation occurs once; beyond that, `permutations` are drawn.
    """
    if members < 4:
        raise UserError(
            f"permuting members needs at least 4 of them; found {members}: with fewer, no p-value "
            "can be small; train more"
        )
    check_count("permutations", permutations)
    identity = np.arange(members, dtype=np.intp)
    if members <= _ENUMERATED:
        every = np.array(list(all_permutations(identity))[1:])
        yield from (every[rows] for rows in batches(len(every), batch))
        return
    rng = np.random.default_rng(seed)
    for rows in batches(permutations, batch):
        yield rng.permuted(np.tile(identity, (length(rows), 1)), axis=1)
