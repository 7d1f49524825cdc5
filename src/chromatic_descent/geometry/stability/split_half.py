"""Do two disjoint halves of the probe give the same map?"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from chromatic_descent.errors import UserError
from chromatic_descent.geometry.checks import Array, Logits, check_count, check_dimensions
from chromatic_descent.geometry.distances.by_name import resolve
from chromatic_descent.geometry.distances.definition import Distance
from chromatic_descent.geometry.layouts.alignment import procrustes
from chromatic_descent.geometry.stability.bootstrap import weighted_layouts


@dataclass(frozen=True, eq=False)
class SplitHalf:
    """The agreement of two disjoint halves of the probe on the map, as correlations in [0, 1].

    Attributes:
        correlations: [splits], Procrustes correlation of the two halves' layouts.
        axes: [splits, k], |correlation| over members of axis a in one half with axis a in the
            other; NaN where an axis has no length.
        chance: [splits], the Procrustes correlation when the second half's members are shuffled:
            the value for layouts with nothing in common.
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
    probe, so their agreement understates the agreement of two whole probes.

    Axes are compared by the rank of their eigenvalues, up to their sign, which has no meaning. If
    close eigenvalues make axes swap or rotate within their plane, they count as not reproduced,
    even if the map as a whole is, as the Procrustes correlation, which allows any rotation, shows.
    By chance both measures are above 0, most of all with few members: see `chance`.

    Args:
        logits: [S >= 3, N >= 2, C], or the path of a .npy or .npz file.
        dimensions: k, from 1 to S − 1. The other arguments are as in `bootstrap_layouts`.

    Raises:
        UserError: as `bootstrap_layouts`; fewer than 3 members, 2 items or 1 split.

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
    """Return |cosine| of each axis of one centred layout with the same axis of the other, [k]."""
    product = np.abs(np.einsum("ik,ik->k", one, other))
    size = np.linalg.norm(one, axis=0) * np.linalg.norm(other, axis=0)
    cosine = np.full(len(size), np.nan)
    np.divide(product, size, where=size > 0, out=cosine)
    cosine[cosine > 1] = 1.0  # by round-off
    return cosine
