"""Do two disjoint halves of the probe draw the same map?"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from chromatic_descent.errors import UserError
from chromatic_descent.geometry.checks import Array, Logits, check_count, check_dimensions
from chromatic_descent.geometry.distances.by_name import resolve
from chromatic_descent.geometry.distances.definition import Distance
from chromatic_descent.geometry.layouts.alignment import procrustes
from chromatic_descent.geometry.stability.weighted_layouts import weighted_layouts


@dataclass(frozen=True, eq=False)
class SplitHalf:
    """How well two disjoint halves of the probe agree on the map.

    Attributes:
        correlations: [splits], Procrustes correlation of the two halves' layouts.
        axes: [splits, k], |correlation| over members of axis a in one half with axis a in the
            other; NaN where an axis has no length.
        chance: [splits], the Procrustes correlation when the second half's members are shuffled:
            what k axes of S points reach when they have nothing in common.
        axes_chance: [splits, k], `axes` under the same shuffles.
    """

    correlations: Array
    axes: Array
    chance: Array
    axes_chance: Array


def split_half(
    logits: Logits,
    distance: str | Distance,
    *,
    splits: int = 20,
    seed: int = 0,
    dimensions: int = 2,
    on_progress: Callable[[float], None] | None = None,
) -> SplitHalf:
    """Lay the members out on two disjoint halves of the probe, and compare the two layouts.

    Each split divides the items at random into halves of ⌊N/2⌋ and ⌈N/2⌉. Unlike resamples, halves
    share no item, so noise in the items cannot make them agree. Each half is smaller than the
    probe, so the agreement understates that of the whole probe with another of its size.

    Axes are not matched: axis a of one half, by rank of its eigenvalue, is compared with axis a of
    the other, and only the meaningless sign is ignored, by taking the absolute value. If close
    eigenvalues make axes swap or rotate within their plane, they count as not reproduced, even if
    the map as a whole is: the Procrustes correlation, which allows any rotation, shows that.
    Neither measure is 0 by chance, least of all with few members, so both are also given for
    shuffled members.

    Args:
        logits: [S >= 3, N >= 2, C], or the path of a .npy or .npz file.
        distance: any but `cka`; bound if it needs labels or temperatures, which are held fixed.
        splits: number of splits.
        seed: of the splits and shuffles.
        dimensions: k, from 1 to S − 1.
        on_progress: called from time to time with the fraction of the work done, from 0 to 1.

    Returns:
        A `SplitHalf` of correlations in [0, 1].

    Raises:
        UserError: as `bootstrap_layouts`; fewer than 3 members, 2 items or 1 split; dimensions out
            of range.

    Source: Peres-Neto & Jackson 2001 for the Procrustes correlation.

    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> plane, directions = rng.normal(size=(9, 2)) * [3, 1], rng.normal(size=(2, 400, 3))
    >>> halves = split_half(np.tensordot(plane, directions, 1), "logit_mse", splits=5)
    >>> bool(halves.correlations.min() > 0.99), bool(halves.axes.min() > 0.95)
    (True, True)
    """
    array, distance = resolve(logits, distance)
    members, items, _ = array.shape
    if members < 3 or items < 2:
        raise UserError(
            "comparing halves of the probe needs at least 3 members and 2 items; found "
            f"{members} members and {items} items"
        )
    check_dimensions(dimensions, members - 1)
    check_count("splits", splits)
    rng = np.random.default_rng(seed)
    weights = np.zeros((2 * splits, items), dtype=np.float32)
    for first, second in weights.reshape(splits, 2, items):
        order = rng.permutation(items)
        first[order[: items // 2]] = 1
        second[order[items // 2 :]] = 1

    layouts = list(weighted_layouts(array, distance, weights, dimensions, on_progress))
    correlations, chance = np.empty((2, splits))
    axes, axes_chance = np.empty((2, splits, dimensions))
    for k, (one, other) in enumerate(zip(layouts[::2], layouts[1::2], strict=True)):
        correlations[k] = procrustes(one, other).correlation
        axes[k] = _axis_correlations(one, other)
        shuffled = rng.permutation(other)
        chance[k] = procrustes(one, shuffled).correlation
        axes_chance[k] = _axis_correlations(one, shuffled)
    return SplitHalf(correlations, axes, chance, axes_chance)


def _axis_correlations(one: Array, other: Array) -> Array:
    """Return |cosine| of each axis of one centred layout with that of the other, [k]."""
    product = np.abs(np.einsum("ik,ik->k", one, other))
    size = np.linalg.norm(one, axis=0) * np.linalg.norm(other, axis=0)
    cosine = np.full(len(size), np.nan)
    np.divide(product, size, where=size > 0, out=cosine)
    cosine[cosine > 1] = 1.0  # by round-off
    return cosine
