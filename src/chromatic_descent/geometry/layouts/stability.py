"""Would another set of probe images have drawn the same map?"""

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import scipy.linalg
from numpy.typing import ArrayLike, NDArray

from chromatic_descent.errors import UserError
from chromatic_descent.geometry.checks import Logits
from chromatic_descent.geometry.cores import one_thread_a_core, processors
from chromatic_descent.geometry.distances.items import check_items, reweighted_distances
from chromatic_descent.geometry.distances.kernels import weighted_kernels
from chromatic_descent.geometry.distances.matrices import distance_matrix
from chromatic_descent.geometry.layouts.alignment import procrustes
from chromatic_descent.geometry.layouts.mds import classical_mds, double_centred

# From so many members on, resampled distances are made in float32 and only the axes asked for are
# decomposed: off by 1e-5 of the layout's size, in a tenth of the time.
_MANY = 100

_ROUNDOFF = 1e-12  # an eigenvalue below this share of the largest is zero


@dataclass(frozen=True, eq=False)
class Bootstrap:
    """Layouts of resampled probes, in the frame of the layout of the whole probe.

    Attributes:
        layouts: [B, S, k], aligned to the reference.
        correlations: [B], each layout's Procrustes correlation with the reference; their mean is
            the stability of the map. NaN when all members coincide.
        reference: [S, k], the layout of the whole probe.
    """

    layouts: NDArray[np.float64]
    correlations: NDArray[np.float64]
    reference: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Ellipses:
    """Where each member goes in the plane when the probe is resampled.

    Attributes:
        centres: [S, 2], the mean place.
        half_axes: [S, 2], the longer first; in the unit of the layout.
        angles: [S], of the longer axis from the first axis of the layout, radians in (−π/2, π/2].
        level: the share of a normal cloud that its ellipse holds.
    """

    centres: NDArray[np.float64]
    half_axes: NDArray[np.float64]
    angles: NDArray[np.float64]
    level: float


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


def bootstrap_layouts(
    logits: Logits,
    name: str,
    *,
    resamples: int = 200,
    seed: int = 0,
    labels: ArrayLike | None = None,
    temperature: ArrayLike | None = None,
    dimensions: int = 2,
    progress: Callable[[float], None] | None = None,
) -> Bootstrap:
    """Resample probe items with replacement, and lay the members out anew each time.

        D_b = Σ_n m_bn d_n / N, m_b ~ Multinomial(N, 1/N), d_n the distances on item n

    then classical MDS of D_b, aligned by Procrustes to the layout of all items. Items are
    resampled, not members: this asks how far the map depends on *these probe images*. It says
    nothing about other members, and a stable map need not be a low-dimensional one.

    From 100 members on, D_b is made in float32, and layouts are off by about 1e-5 of their size.

    Args:
        logits: [S, N, C], or the path of a .npy or .npz file.
        name: one of `geometry.DISTANCES` but `cka`.
        resamples: B.
        seed: of the resampling.
        labels: [N], for `error_disagreement`.
        temperature: [S], for `logit_mse_matched`; held fixed over resamples.
        dimensions: k, from 1 to S.
        progress: called now and then with the fraction of the work done, from 0 to 1.

    Returns:
        A `Bootstrap`; layouts in the unit of the distance (not squared).

    Raises:
        UserError: as `distance_matrix` and `classical_mds`; `cka`, which is no mean over items;
            fewer than 1 resample; two members without a common error in a resample.

    Source: Efron 1979; Peres-Neto & Jackson 2001 for the Procrustes correlation.

    >>> import numpy as np
    >>> logits = np.random.default_rng(0).normal(size=(5, 400, 3))
    >>> bootstrap = bootstrap_layouts(logits, "hellinger", resamples=20)
    >>> bootstrap.layouts.shape, bootstrap.correlations.shape
    ((20, 5, 2), (20,))
    """
    if resamples < 1:
        raise UserError(f"resamples must be at least 1; found {resamples}")
    array, y, t = check_items(logits, name, labels, temperature)
    items = array.shape[1]
    whole = distance_matrix(array, name, labels=labels, temperature=t)
    reference = classical_mds(whole, dimensions).coordinates

    rng = np.random.default_rng(seed)
    counts = np.empty((resamples, items), dtype=np.float32)  # whole numbers: exact, half the size
    for row in counts:
        row[:] = np.bincount(rng.integers(items, size=items), minlength=items)

    layouts = np.empty((resamples, *reference.shape))
    correlations = np.empty(resamples)
    for b, layout in enumerate(_layouts(array, name, counts, y, t, dimensions, progress)):
        fit = procrustes(reference, layout)
        layouts[b], correlations[b] = fit.layout, fit.correlation
    return Bootstrap(layouts, correlations, reference)


def confidence_ellipses(bootstrap: Bootstrap, level: float = 0.95) -> Ellipses:
    """Return the normal ellipse of each member's resampled places, in the first two axes.

    With Σ the covariance over resamples of a member's place, λ its eigenvalues:

        half-axes √(q λ), q = −2 ln(1 − level), the χ² quantile of two degrees of freedom

    The centre is the mean of the resampled places, which noise pulls off the place in the whole
    probe's layout: a resample repeats items, so all distances in it carry more noise. As the
    bootstrap, this is about *these probe images*; a member trained again would move further.

    Args:
        bootstrap: of two dimensions or more, and 3 resamples or more.
        level: between 0 and 1.

    Returns:
        `Ellipses`; a member that does not move has half-axes of 0 and an angle of 0.

    Raises:
        UserError: one dimension, fewer than 3 resamples, or a level out of range.

    Source: Johnson & Wichern, Applied Multivariate Statistical Analysis, chapter 4.

    >>> import numpy as np
    >>> logits = np.random.default_rng(0).normal(size=(5, 400, 3))
    >>> ellipses = confidence_ellipses(bootstrap_layouts(logits, "hellinger", resamples=20))
    >>> ellipses.half_axes.shape, bool((ellipses.half_axes[:, 0] >= ellipses.half_axes[:, 1]).all())
    ((5, 2), True)
    """
    resamples, _, dimensions = bootstrap.layouts.shape
    if dimensions < 2 or resamples < 3:
        raise UserError(
            "an ellipse needs 2 dimensions and at least 3 resamples; found "
            f"{dimensions} dimensions and {resamples} resamples"
        )
    if not 0 < level < 1:
        raise UserError(f"level must be between 0 and 1; found {level}")
    clouds = bootstrap.layouts[:, :, :2]  # [B, S, 2]
    centres = clouds.mean(axis=0)
    offsets = clouds - centres
    covariance = np.einsum("bsi,bsj->sij", offsets, offsets) / (resamples - 1)
    values, vectors = np.linalg.eigh(covariance)  # upwards
    half_axes = np.sqrt(-2 * math.log1p(-level) * np.maximum(values[:, ::-1], 0.0))
    x, y = vectors[:, 0, 1], vectors[:, 1, 1]  # the longer axis; which way it points is no matter
    angles = np.where(half_axes[:, 0] > 0, np.arctan2(np.where(x < 0, -y, y), np.abs(x)), 0.0)
    angles[angles == -np.pi / 2] = np.pi / 2
    return Ellipses(centres, half_axes, angles, level)


def split_half(
    logits: Logits,
    name: str,
    *,
    splits: int = 20,
    seed: int = 0,
    labels: ArrayLike | None = None,
    temperature: ArrayLike | None = None,
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
        name: one of `geometry.DISTANCES` but `cka`.
        splits: how many.
        seed: of the splits and shuffles.
        labels: [N], for `error_disagreement`.
        temperature: [S], for `logit_mse_matched`; held fixed.
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
    array, y, t = check_items(logits, name, labels, temperature)
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

    layouts = list(_layouts(array, name, weights, y, t, dimensions, progress))
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


def _layouts(
    logits: NDArray[np.floating],
    name: str,
    weights: NDArray[np.floating],
    labels: NDArray[np.intp] | None,
    temperature: NDArray[np.float64] | None,
    dimensions: int,
    progress: Callable[[float], None] | None,
) -> Iterator[NDArray[np.float64]]:
    """Yield the classical MDS layout [S, k] of each item weighting [B, N]."""
    done = [0.0, 0.0]  # of the distances, of the layouts

    def report(part: int, fraction: float) -> None:
        done[part] = fraction
        if progress is not None:
            progress(sum(done) / 2)

    if len(logits) < _MANY:
        matrices = reweighted_distances(
            logits, name, weights, labels=labels, temperature=temperature
        )
        report(0, 1.0)
        for b, squared in enumerate(matrices):
            yield classical_mds(squared, dimensions).coordinates
            report(1, (b + 1) / len(weights))
        return
    kernels = weighted_kernels(
        logits,
        name,
        weights,
        labels=labels,
        temperature=temperature,
        report=lambda fraction: report(0, fraction),
    )
    found = 0
    while batch := list(itertools.islice(kernels, processors())):
        with one_thread_a_core() as pool:
            for layout in pool.map(_leading_axes, batch, [dimensions] * len(batch)):
                yield layout
                found += 1
                report(1, found / len(weights))


def _leading_axes(kernel: NDArray[np.float64], dimensions: int) -> NDArray[np.float64]:
    """Return the classical MDS layout [S, k] of D_ij = K_ii + K_jj − 2 K_ij, signs left open.

    −½ J D J = J K J, of which only the k largest eigenvalues are computed.
    """
    members = len(kernel)
    values, vectors = scipy.linalg.eigh(
        -2 * double_centred(kernel),
        subset_by_index=(members - dimensions, members - 1),
        overwrite_a=True,
        check_finite=False,
    )
    values, vectors = values[::-1], vectors[:, ::-1]
    values = np.where(values > _ROUNDOFF * abs(values).max(), values, 0.0)
    layout: NDArray[np.float64] = vectors * np.sqrt(values)
    return layout
