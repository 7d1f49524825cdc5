"""Do two disjoint halves of the probe draw the same map?"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chromatic_descent.errors import UserError
from chromatic_descent.geometry.checks import Logits
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
            what k axes of S points reach with nothing in common.
        axes_chance: [splits, k], `axes` under the same shuffles.
    """

    correlations: NDArray[np.float64]
    axes: NDArray[np.float64]
    chance: NDArray[np.float64]
    axes_chance: NDArray[np.float64]


def split_half(
    logits: Logits,
    distance: str | Distance,
    *,
    splits: int = 20,
    seed: int = 0,
    dimensions: int = 2,
    progress: Callable[[float], None] | None = None,
) -> SplitHalf:
    """Lay the members out on two disjoint halves of the probe, and compare the two layouts.

    Each split deals the items out at random into halves of ⌊N/2⌋ and ⌈N/2⌉. Unlike resamples,
    halves share no item, so noise in the items cannot make them agree; and each is smaller than
    the probe, so the agreement understates that of the whole probe with another one as large.

    How axes are matched: not at all. Axis a of one half, by rank of its eigenvalue, is compared
    with axis a of the other; only its sign, which has no meaning, is left open, by taking the
    absolute value. Axes that change places, or turn within their plane, because their eigenvalues
    are close, count as not reproduced, though the map as a whole may be: that is what the
    Procrustes correlation says, which allows any rotation. Neither is 0 by chance: the more so the
    fewer members, so both are given for shuffled members too.

    Args:
        logits: [S >= 3, N >= 2, C], or the path of a .npy or .npz file.
        distance: any but `cka`; bound if it needs labels or temperatures, which are held fixed.
        splits: how many.
        seed: of the splits and shuffles.
        dimensions: k, from 1 to S − 1.
        progress: called now and then with the fraction of the work done, from 0 to 1.

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
    if not 1 <= dimensions < members:
        raise UserError(f"dimensions must be from 1 to {members - 1}; found {dimensions}")
    if splits < 1:
        raise UserError(f"splits must be at least 1; found {splits}")
    rng = np.random.default_rng(seed)
    weights = np.zeros((2 * splits, items), dtype=np.float32)
    for first, second in weights.reshape(splits, 2, items):
        order = rng.permutation(items)
        first[order[: items // 2]] = 1
        second[order[items // 2 :]] = 1

    layouts = list(weighted_layouts(array, distance, weights, dimensions, progress))
    correlations, chance = np.empty((2, splits))
    axes, axes_chance = np.empty((2, splits, dimensions))
    for k, (one, other) in enumerate(zip(layouts[::2], layouts[1::2], strict=True)):
        correlations[k] = procrustes(one, other).correlation
        axes[k] = _axis_correlations(one, other)
        shuffled = rng.permutation(other)
        chance[k] = procrustes(one, shuffled).correlation
        axes_chance[k] = _axis_correlations(one, shuffled)
    return SplitHalf(correlations, axes, chance, axes_chance)


def _axis_correlations(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return |cosine| of each axis with its namesake, [S, k] -> [k]: layouts are centred."""
    product = np.abs(np.einsum("ik,ik->k", one, other))
    size = np.linalg.norm(one, axis=0) * np.linalg.norm(other, axis=0)
    cosine = np.full(len(size), np.nan)
    np.divide(product, size, where=size > 0, out=cosine)
    cosine[cosine > 1] = 1.0  # by round-off
    return cosine
