"""Alignment of layouts, whose origin, scale and orientation have no meaning."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from chromatic_descent.errors import UserError
from chromatic_descent.geometry.checks import Array


@dataclass(frozen=True, eq=False)
class Alignment:
    """A layout moved into the frame of a reference, and how well it fits.

    Attributes:
        layout: [S, k], in the reference's frame and unit.
        correlation: r in [0, 1]; 1 when the two have the same shape, NaN when one is a point.
        m2: the Procrustes statistic 1 − r², the share of the reference's variance left over.
    """

    layout: Array
    correlation: float
    m2: float


def procrustes(reference: ArrayLike, layout: ArrayLike) -> Alignment:
    """Translate, rotate or reflect, and scale `layout` to lie as close to `reference` as possible.

    With X and Y the centred reference and layout, and XᵀY = VΣWᵀ its singular values s:

        aligned = mean(reference) + c·YR, R = WVᵀ, c = Σs/‖Y‖²; r = Σs/(‖X‖‖Y‖), m² = 1 − r²

    R may be a reflection, since the sign of an MDS axis has no meaning. c is the least-squares
    scale, so the aligned layout has r times the reference's size. If the points of either one
    coincide, it has no shape: the layout is moved to the reference's mean, with r and m² NaN.

    Args:
        reference: [S, k].
        layout: [S, k].

    Raises:
        UserError: the two differ in shape, are not [S, k], or are not finite.

    Source: Gower 1975; Peres-Neto & Jackson 2001 for r. SciPy has the same m², in another frame.

    >>> square = np.array([[0.0, 0.0], [0.0, 2.0], [2.0, 2.0], [2.0, 0.0]])
    >>> fit = procrustes(square, 5 - 3 * square[:, ::-1])
    >>> round(fit.correlation, 12), bool(np.allclose(fit.layout, square))
    (1.0, True)
    """
    x, centre, size_x = _centre(reference, "reference")
    y, _, size_y = _centre(layout, "layout")
    if x.shape != y.shape:
        raise UserError(
            f"two layouts to align must have the same shape; found {list(x.shape)} and "
            f"{list(y.shape)}"
        )
    if size_x == 0 or size_y == 0:
        return Alignment(np.broadcast_to(centre, x.shape).copy(), np.nan, np.nan)
    v, s, wt = np.linalg.svd(x.T @ y)
    correlation = min(1.0, float(s.sum() / (size_x * size_y)))  # round-off may exceed 1
    aligned = centre + y @ (v @ wt).T * (s.sum() / size_y**2)
    return Alignment(aligned, correlation, 1 - correlation**2)


def _centre(points: ArrayLike, name: str) -> tuple[Array, Array, float]:
    """Return the centred points, their mean, and their norm (0 when it is round-off)."""
    array = np.asarray(points, dtype=np.float64)
    if array.ndim != 2 or array.size == 0 or not np.isfinite(array).all():
        raise UserError(
            f"{name} must be a finite layout of shape [S, k]; found shape {list(array.shape)}"
        )
    mean = array.mean(axis=0)
    centred = array - mean
    size = float(np.linalg.norm(centred))
    return centred, mean, size if size > 1e-14 * np.linalg.norm(array) else 0.0
