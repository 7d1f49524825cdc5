"""Would another set of probe images have drawn the same map?"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from chromatic_descent.errors import UserError
from chromatic_descent.geometry.checks import Array, Logits
from chromatic_descent.geometry.distances.by_name import resolve
from chromatic_descent.geometry.distances.definition import Distance
from chromatic_descent.geometry.distances.matrices import distance_matrix
from chromatic_descent.geometry.layouts.alignment import procrustes
from chromatic_descent.geometry.layouts.mds import classical_mds
from chromatic_descent.geometry.resampling import resampled_counts
from chromatic_descent.geometry.stability.weighted_layouts import weighted_layouts


@dataclass(frozen=True, eq=False)
class Bootstrap:
    """Layouts of resampled probes, in the frame of the layout of the whole probe.

    Attributes:
        layouts: [B, S, k], aligned with the reference.
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
        half_axes: [S, 2], the longer first; in the unit of the layout.
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
    answer says nothing about other members, and a stable map need not be low-dimensional.

    From 100 members on, D_b is computed in float32, and layouts are off by about 1e-5 of their
    size.

    Args:
        logits: [S, N, C], or the path of a .npy or .npz file.
        distance: any but `cka`; bound if it needs labels or temperatures, which are held fixed.
        resamples: B.
        seed: of the resampling.
        dimensions: k, from 1 to S.
        on_progress: called from time to time with the fraction of the work done, from 0 to 1.

    Returns:
        A `Bootstrap`; layouts in the unit of the distance (not squared).

    Raises:
        UserError: as `distance_matrix` and `classical_mds`; `cka`, which is not a mean over items;
            fewer than 1 resample; two members without a common error in a resample.

    Source: Efron 1979; Peres-Neto & Jackson 2001 for the Procrustes correlation.

    >>> import numpy as np
    >>> logits = np.random.default_rng(0).normal(size=(5, 400, 3))
    >>> bootstrap = bootstrap_layouts(logits, "hellinger", resamples=20)
    >>> bootstrap.layouts.shape, bootstrap.correlations.shape
    ((20, 5, 2), (20,))
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

    The centre is the mean of the resampled positions. Noise shifts it from the position in the
    layout of the whole probe, since a resample repeats items and all its distances carry more
    noise. Like the bootstrap, this is about *these probe images*; a member trained again would move
    farther.

    Args:
        bootstrap: with at least 2 dimensions and 3 resamples.
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
    x, y = vectors[:, 0, 1], vectors[:, 1, 1]  # the longer axis, in either direction
    angles = np.where(half_axes[:, 0] > 0, np.arctan2(np.where(x < 0, -y, y), np.abs(x)), 0.0)
    angles[angles == -np.pi / 2] = np.pi / 2
    return Ellipses(centres, half_axes, angles, level)
