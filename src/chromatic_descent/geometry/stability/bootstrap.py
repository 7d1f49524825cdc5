"""Would another set of probe images give the same map? A bootstrap over the images."""

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import scipy.linalg

from chromatic_descent.errors import UserError
from chromatic_descent.geometry.checks import Array, Floats, Logits
from chromatic_descent.geometry.cores import one_thread_a_core, processors
from chromatic_descent.geometry.distances.by_name import resolve
from chromatic_descent.geometry.distances.definition import Distance
from chromatic_descent.geometry.distances.items import MANY, reweighted_distances
from chromatic_descent.geometry.distances.kernels import weighted_kernels
from chromatic_descent.geometry.distances.matrices import distance_matrix
from chromatic_descent.geometry.layouts.alignment import procrustes
from chromatic_descent.geometry.layouts.mds import classical_mds, double_centred, without_roundoff
from chromatic_descent.geometry.resampling import resampled_counts


@dataclass(frozen=True, eq=False)
class Bootstrap:
    """Layouts of resampled probes, aligned with the layout of the whole probe.

    Attributes:
        layouts: [B, S, k], in the unit of the distance (not squared).
        correlations: [B], each layout's Procrustes correlation with the reference; their mean is
            the stability of the map. NaN when all members coincide.
        reference: [S, k], the layout of the whole probe.
    """

    layouts: Array
    correlations: Array
    reference: Array


@dataclass(frozen=True, eq=False)
class Ellipses:
    """Where each member moves in the plane when the probe is resampled.

    Attributes:
        centres: [S, 2], the mean position.
        half_axes: [S, 2], the longer first; in the unit of the layout. If 0, so is the angle.
        angles: [S], of the longer axis from the first axis of the layout, radians in (−π/2, π/2].
        level: the share of a normal cloud that its ellipse contains.
    """

    centres: Array
    half_axes: Array
    angles: Array
    level: float


def bootstrap_layouts(
    logits: Logits,
    distance: str | Distance,
    *,
    resamples: int = 200,
    seed: int = 0,
    dimensions: int = 2,
    on_progress: Callable[[float], None] | None = None,
) -> Bootstrap:
    """Resample probe items with replacement, and lay the members out again each time.

        D_b = Σ_n m_bn d_n / N, m_b ~ Multinomial(N, 1/N), d_n the distances on item n

    followed by classical MDS of D_b, aligned by Procrustes with the layout of all items. Items are
    resampled, not members: the question is how far the map depends on *these probe images*. The
    answer says nothing about other members, and a stable map need not be low-dimensional. With 100
    members or more, D_b is computed in float32, and layouts are off by about 1e-5 of their size.

    Args:
        logits: [S, N, C], or the path of a .npy or .npz file.
        distance: any but `cka`; bound if it needs labels or temperatures, which are held fixed.
        dimensions: k, from 1 to S.
        on_progress: called from time to time with the fraction of the work done, from 0 to 1.

    Raises:
        UserError: as `distance_matrix` and `classical_mds`; `cka`, which is not a mean over items;
            fewer than 1 resample; two members without a common error in a resample.

    Source: Efron 1979; see `procrustes` for the correlation.

    >>> logits = np.random.default_rng(0).normal(size=(5, 400, 3))
    >>> bootstrap_layouts(logits, "hellinger", resamples=20).layouts.shape
    (20, 5, 2)
    """
    array, distance = resolve(logits, distance)
    counts = resampled_counts(array.shape[1], resamples, seed)
    reference = classical_mds(distance_matrix(array, distance), dimensions).coordinates
    layouts = np.empty((resamples, *reference.shape))
    correlations = np.empty(resamples)
    for b, layout in enumerate(weighted_layouts(array, distance, counts, dimensions, on_progress)):
        fit = procrustes(reference, layout)
        layouts[b], correlations[b] = fit.layout, fit.correlation
    return Bootstrap(layouts, correlations, reference)


def confidence_ellipses(bootstrap: Bootstrap, level: float = 0.95) -> Ellipses:
    """Return the normal ellipse of each member's resampled positions, in the first two axes.

    With Σ the covariance over resamples of a member's position, and λ its eigenvalues:

        half-axes √(q λ), q = −2 ln(1 − level), the χ² quantile of two degrees of freedom

    The centre is the mean of the resampled positions. It differs from the position in the layout of
    the whole probe, since a resample repeats items and its distances carry more noise. Like the
    bootstrap, this is about *these probe images*; a member trained again would move farther.

    Args:
        bootstrap: with at least 2 dimensions and 3 resamples.
        level: between 0 and 1.

    Raises:
        UserError: one dimension, fewer than 3 resamples, or a level out of range.

    Source: Johnson & Wichern, Applied Multivariate Statistical Analysis, chapter 4.

    >>> logits = np.random.default_rng(0).normal(size=(5, 400, 3))
    >>> confidence_ellipses(bootstrap_layouts(logits, "hellinger", resamples=20)).half_axes.shape
    (5, 2)
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
    values, vectors = np.linalg.eigh(covariance)  # ascending
    half_axes = np.sqrt(-2 * math.log1p(-level) * np.maximum(values[:, ::-1], 0.0))
    x, y = vectors[:, 0, 1], vectors[:, 1, 1]  # the longer axis, in either direction
    angles = np.where(half_axes[:, 0] > 0, np.arctan2(np.where(x < 0, -y, y), np.abs(x)), 0.0)
    angles[angles == -np.pi / 2] = np.pi / 2
    return Ellipses(centres, half_axes, angles, level)


def weighted_layouts(
    logits: Floats,
    distance: Distance,
    weights: Floats,
    dimensions: int,
    on_progress: Callable[[float], None] | None,
) -> Iterator[Array]:
    """Yield the classical MDS layout [S, k] of each item weighting [B, N]."""
    done = [0.0, 0.0]  # of the distances, of the layouts

    def report(part: int, fraction: float) -> None:
        done[part] = fraction
        if on_progress is not None:
            on_progress(sum(done) / 2)

    if len(logits) < MANY:
        matrices = reweighted_distances(logits, distance, weights)
        report(0, 1.0)
        for b, squared in enumerate(matrices):
            yield classical_mds(squared, dimensions).coordinates
            report(1, (b + 1) / len(weights))
        return
    kernels = weighted_kernels(logits, distance, weights, report=partial(report, 0))
    count = 0
    while batch := list(itertools.islice(kernels, processors())):
        with one_thread_a_core() as pool:
            for layout in pool.map(_leading_axes, batch, itertools.repeat(dimensions)):
                yield layout
                count += 1
                report(1, count / len(weights))


def _leading_axes(kernel: Array, dimensions: int) -> Array:
    """Return the MDS layout [S, k] of D_ij = K_ii + K_jj − 2 K_ij, without fixed signs."""
    members = len(kernel)
    values, vectors = scipy.linalg.eigh(
        -2 * double_centred(kernel),  # −½ J D J = J K J
        subset_by_index=(members - dimensions, members - 1),
        overwrite_a=True,
        check_finite=False,
    )
    layout: Array = vectors[:, ::-1] * np.sqrt(np.maximum(without_roundoff(values[::-1]), 0.0))
    return layout
