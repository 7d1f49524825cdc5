"""Layouts of members in a few dimensions that keep their distances: classical MDS and SMACOF.

Both start from squared distances [S, S]. See `neighbours` for layouts that keep neighbours instead,
and `inpca` for divergences that are not distances.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from chromatic_descent.errors import UserError
from chromatic_descent.geometry.checks import Array, check_count, check_dimensions, check_squared

# Eigenvalues below this share of the largest are round-off. Double centring makes one of them zero;
# it is computed as ±1e-17, whose square root would look like data.
_ROUNDOFF = 1e-12


@dataclass(frozen=True, eq=False)
class ClassicalMDS:
    """A classical MDS layout and the spectrum it comes from.

    Attributes:
        coordinates: [S, k], centred, in the unit of the distances; longest axis first.
        eigenvalues: [S], descending; the unit is that of the squared distances.
        explained: [k], the cumulative share of the positive spectrum, Σ_{i≤k} λ_i / Σ λ₊. NaN when
            all members coincide: there is no variance to explain.
        negative_mass: Σ|λ₋| / Σ|λ|, 0 when the distances are Euclidean (or all zero).
    """

    coordinates: Array
    eigenvalues: Array
    explained: Array
    negative_mass: float


def classical_mds(squared: ArrayLike, dimensions: int = 2) -> ClassicalMDS:
    """Lay members out so that k axes keep their squared distances as well as possible.

        B = −½ J D² J = UΛUᵀ with J = I − 11ᵀ/S, and X = U√Λ₊

    For a Euclidean D² this is principal component analysis. Eigenvectors have no sign, so each axis
    is flipped to make its largest |coordinate| positive (of several within 1e-9 of the largest, the
    first member's). Axes without a positive eigenvalue are zero; identical members give zeros.

    Args:
        squared: [S, S] squared distances, S >= 2.
        dimensions: k, from 1 to S (at most S − 1 axes have an extent).

    Raises:
        UserError: `squared` is not a matrix of squared distances, or `dimensions` is out of range.

    Source: Torgerson 1952; Borg & Groenen 2005, Modern Multidimensional Scaling, chapter 12.

    >>> layout = classical_mds([[0.0, 9.0, 25.0], [9.0, 0.0, 16.0], [25.0, 16.0, 0.0]])  # 3, 4, 5
    >>> float(layout.explained[-1].round(12)), layout.negative_mass
    (1.0, 0.0)
    """
    squared = check_squared(squared)
    check_dimensions(dimensions, len(squared))
    values, vectors = np.linalg.eigh(double_centred(squared))  # ascending
    values, vectors = without_roundoff(values[::-1]), vectors[:, ::-1]
    positive = np.maximum(values, 0.0)
    total = positive.sum()
    explained = np.cumsum(positive)[:dimensions]
    return ClassicalMDS(
        coordinates=with_fixed_signs(vectors[:, :dimensions] * np.sqrt(positive[:dimensions])),
        eigenvalues=values,
        explained=explained / total if total > 0 else np.full(dimensions, np.nan),
        negative_mass=float(1 - total / np.abs(values).sum()) if total > 0 else 0.0,
    )


@dataclass(frozen=True, eq=False)
class Smacof:
    """A metric MDS layout and how far it is from the distances.

    Attributes:
        coordinates: [S, k], centred, on their principal axes, in the unit of the distances.
        stress: Kruskal's stress-1, √(Σ_{i<j} (δ_ij − d_ij)² / Σ_{i<j} d_ij²) with δ the distances
            given and d those of the layout; NaN when all members coincide.
        iterations: of the best start.
    """

    coordinates: Array
    stress: float
    iterations: int


def smacof(squared: ArrayLike, dimensions: int = 2, *, seed: int = 0, starts: int = 4) -> Smacof:
    """Lay members out so that the distances themselves, not their squares, are kept.

        minimise Σ_{i<j} (δ_ij − d_ij(X))², δ = √squared

    Classical MDS projects, so it makes every distance too short when members fill more than k
    dimensions; SMACOF spreads the error over long and short distances alike. It finds a local
    minimum, so it starts once from the classical layout and `starts` times at random, and keeps the
    best result. The axes are the principal axes of the layout, with signs as in `classical_mds`.

    Args:
        squared: [S, S] squared distances, S >= 2.
        dimensions: k, from 1 to S.
        starts: the number of random starts; 0 for the classical start alone.

    Raises:
        UserError: `squared` is not a matrix of squared distances, or an argument is out of range.

    Source: de Leeuw 1977; Borg & Groenen 2005, chapter 8; Kruskal 1964; scikit-learn's `smacof`.

    >>> layout = smacof([[0.0, 9.0, 25.0], [9.0, 0.0, 16.0], [25.0, 16.0, 0.0]])  # 3, 4, 5
    >>> layout.stress < 1e-3
    True
    """
    squared = check_squared(squared)
    check_dimensions(dimensions, len(squared))
    check_count("starts", starts, least=0)
    if not squared.any():
        return Smacof(np.zeros((len(squared), dimensions)), np.nan, 0)
    from sklearn.manifold import smacof as run

    distances = np.sqrt(squared)
    options: dict[str, Any] = {"n_components": dimensions, "n_jobs": 1, "return_n_iter": True}
    classical = classical_mds(squared, dimensions).coordinates
    runs = [run(distances, metric=True, init=classical, n_init=1, **options)]
    if starts:
        runs.append(run(distances, metric=True, n_init=starts, random_state=seed, **options))
    points, _, iterations = min(runs, key=lambda result: float(result[1]))  # the least stress

    points = points - points.mean(axis=0)
    _, _, axes = np.linalg.svd(points, full_matrices=False)
    points = with_fixed_signs(points @ axes.T)
    points = np.pad(points, ((0, 0), (0, dimensions - points.shape[1])))  # at most S axes so far
    rows, columns = np.triu_indices(len(points), k=1)
    fitted = np.linalg.norm(points[rows] - points[columns], axis=1)
    misfit = np.sum((distances[rows, columns] - fitted) ** 2) / np.sum(fitted**2)
    return Smacof(points, float(np.sqrt(misfit)), int(iterations))


def explained_stress(eigenvalues: ArrayLike) -> Array:
    """Return the part of a spectrum that the first k axes hold, imaginary axes included, for all k.

        χ_k = 1 − √(Σ_{i>k} λ_i² / Σ_i λ_i²), the λ ordered by |λ|

    That is 1 − ‖W − W_k‖/‖W‖ for the double-centred matrix W and its best approximation W_k of
    rank k. Unlike the explained share of variance, it counts negative eigenvalues as missed and
    gives large ones more weight, so the two cannot be compared. It is NaN when all λ are zero.

    Args:
        eigenvalues: [S], in any order; for example those of `ClassicalMDS` or `InPCA`.

    Raises:
        UserError: the eigenvalues are not finite, or not of shape [S].

    Source: Mao et al. 2024, see `trajectories`.

    >>> explained_stress([4.0, -3.0, 0.0])
    array([0.4, 1. , 1. ])
    """
    values = np.asarray(eigenvalues, dtype=np.float64)
    if values.ndim != 1 or values.size == 0 or not np.isfinite(values).all():
        raise UserError(
            f"eigenvalues must be finite numbers of shape [S]; found shape {list(values.shape)}"
        )
    power = np.sort((values / max(np.abs(values).max(), np.finfo(float).tiny)) ** 2)  # ascending
    if not power.any():
        return np.full(len(values), np.nan)
    sums = np.cumsum(power)  # from the smallest, so that large ones do not absorb small ones
    missed = np.append(sums[-2::-1], 0.0)  # [S] of the axes after the k-th
    stress: Array = 1 - np.sqrt(missed / sums[-1])
    return stress


def double_centred(squared: Array) -> Array:
    """Return B = −½ J D² J, the Gram matrix of centred points, for one matrix or a batch."""
    rows = squared.mean(axis=-1, keepdims=True)
    columns = squared.mean(axis=-2, keepdims=True)
    centred: Array = squared - rows - columns + rows.mean(axis=-2, keepdims=True)
    return -0.5 * centred


def with_fixed_signs(coordinates: Array) -> Array:
    """Return a layout [S, k] with the signs that `classical_mds` documents."""
    size = np.abs(coordinates)
    leader = np.argmax(size >= (1 - 1e-9) * size.max(axis=0), axis=0)  # [k] a member per axis
    signs = np.where(coordinates[leader, np.arange(coordinates.shape[1])] < 0, -1.0, 1.0)
    oriented: Array = coordinates * signs
    return oriented


def without_roundoff(eigenvalues: Array) -> Array:
    """Return the eigenvalues, with round-off set to zero."""
    size = np.abs(eigenvalues)
    return np.where(size > _ROUNDOFF * size.max(), eigenvalues, 0.0)
