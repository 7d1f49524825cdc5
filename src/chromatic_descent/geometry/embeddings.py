"""Layouts of members in a few dimensions, from their squared distances [S, S]."""

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chromatic_descent.errors import UserError
from chromatic_descent.geometry.distances import check_squared

# Eigenvalues below this share of the largest are round-off: double centring alone makes one of
# them zero, which would otherwise come out as ±1e-17, with a square root that looks like data.
_ROUNDOFF = 1e-12


@dataclass(frozen=True, eq=False)
class ClassicalMDS:
    """A classical MDS layout and the spectrum it comes from.

    Attributes:
        coordinates: [S, k], centred, axes in order of decreasing eigenvalue.
        eigenvalues: [S], descending; the unit is that of the squared distances.
        explained: [k], the cumulative share of the positive spectrum, Σ_{i≤k} λ_i / Σ λ₊. NaN when
            all members coincide: there is no variance to explain.
        negative_mass: Σ|λ₋| / Σ|λ|, 0 when the distances are Euclidean (or all zero).
    """

    coordinates: NDArray[np.float64]
    eigenvalues: NDArray[np.float64]
    explained: NDArray[np.float64]
    negative_mass: float


def classical_mds(squared: ArrayLike, dimensions: int = 2) -> ClassicalMDS:
    """Lay members out so that their squared distances are kept as well as k axes can.

        B = −½ J D² J = UΛUᵀ with J = I − 11ᵀ/S, and X = U√Λ₊

    The layout of a Euclidean D² is its principal component analysis. Eigenvectors have no sign:
    each axis is turned so that its largest |coordinate| is positive (of several within 1e-9 of
    the largest, the first member's), so that equal input gives equal output. Axes without a
    positive eigenvalue are zero; identical members give zeros throughout.

    Args:
        squared: [S, S] squared distances, S >= 2.
        dimensions: k, from 1 to S (S − 1 can be other than zero).

    Returns:
        A `ClassicalMDS`; coordinates in the unit of the distances (not squared).

    Raises:
        UserError: `squared` is no matrix of squared distances, or `dimensions` is out of range.

    Source: Torgerson 1952; Borg & Groenen 2005, Modern Multidimensional Scaling, chapter 12.

    >>> layout = classical_mds([[0.0, 9.0, 25.0], [9.0, 0.0, 16.0], [25.0, 16.0, 0.0]])  # 3, 4, 5
    >>> float(layout.explained[-1].round(12)), layout.negative_mass
    (1.0, 0.0)
    """
    squared = check_squared(squared)
    _check_dimensions(dimensions, len(squared))
    values, vectors = np.linalg.eigh(double_centred(squared))
    values, vectors = values[::-1], vectors[:, ::-1]  # eigh sorts upwards
    values = np.where(np.abs(values) > _ROUNDOFF * np.abs(values).max(), values, 0.0)
    positive = np.maximum(values, 0.0)

    coordinates = vectors[:, :dimensions] * np.sqrt(positive[:dimensions])  # [S, k]
    size = np.abs(coordinates)
    leader = np.argmax(size >= (1 - 1e-9) * size.max(axis=0), axis=0)  # [k] a member per axis
    coordinates *= np.where(coordinates[leader, np.arange(dimensions)] < 0, -1.0, 1.0)

    total = positive.sum()
    explained = np.cumsum(positive)[:dimensions]
    return ClassicalMDS(
        coordinates=coordinates,
        eigenvalues=values,
        explained=explained / total if total > 0 else np.full(dimensions, np.nan),
        negative_mass=float(1 - total / np.abs(values).sum()) if total > 0 else 0.0,
    )


def tsne(squared: ArrayLike, seed: int, perplexity: float | None = None) -> NDArray[np.float64]:
    """Lay members out in the plane by t-SNE, which keeps neighbours and not distances.

    Minimises KL(P‖Q) between neighbour probabilities P of the given distances and Q of the layout.
    The result depends on the seed, and with fewer than ten members means nothing: show it with
    several seeds and their Procrustes spread (`procrustes`).

    Args:
        squared: [S, S] squared distances, S >= 4.
        seed: of the random start.
        perplexity: the effective number of neighbours, 1 <= perplexity < S;
            min(30, (S − 1)/3) unless given.

    Returns:
        [S, 2] float64, in no unit.

    Raises:
        UserError: `squared` is no matrix of squared distances, too few members, or a perplexity
            out of range.

    Source: van der Maaten & Hinton 2008, JMLR 9; scikit-learn's `TSNE`.
    """
    squared = check_squared(squared)
    members = _at_least_four(squared, "t-SNE")
    if perplexity is None:
        perplexity = min(30.0, (members - 1) / 3)
    if not 1 <= perplexity < members:
        raise UserError(
            f"perplexity must be at least 1 and below the {members} members; found {perplexity}"
        )
    from sklearn.manifold import TSNE

    model = TSNE(
        metric="precomputed",  # else the distances would be taken for features
        init="random",  # the default, PCA, needs features
        perplexity=perplexity,
        random_state=seed,
        method="exact" if members <= 500 else "barnes_hut",  # the approximation is for speed only
    )
    layout: NDArray[np.float64] = model.fit_transform(np.sqrt(squared)).astype(np.float64)
    return layout


def umap(squared: ArrayLike, seed: int, neighbours: int = 15) -> NDArray[np.float64]:
    """Lay members out in the plane by UMAP, which keeps neighbours and not distances.

    The same caution as for `tsne`: a picture, not evidence. Needs `umap-learn`, whose first import
    compiles for some seconds.

    Args:
        squared: [S, S] squared distances, S >= 4.
        seed: of the random start.
        neighbours: size of a neighbourhood, at least 2; no more than S − 1 are used.

    Returns:
        [S, 2] float64, in no unit.

    Raises:
        UserError: umap-learn is not installed, `squared` is no matrix of squared distances, too
            few members, or fewer than 2 neighbours.

    Source: McInnes, Healy & Melville 2018, arXiv:1802.03426; umap-learn's `UMAP`.
    """
    squared = check_squared(squared)
    members = _at_least_four(squared, "UMAP")
    if neighbours < 2:
        raise UserError(f"neighbours must be at least 2; found {neighbours}")
    # It warns on every import (no TensorFlow) and every use (no inverse transform), by design.
    with warnings.catch_warnings(action="ignore"):
        try:
            from umap import UMAP
        except ImportError as error:
            raise UserError(
                "UMAP is not installed: pip install 'chromatic-descent[umap]'"
            ) from error
        model = UMAP(
            metric="precomputed",
            init="random",  # the default, spectral, fails on a handful of members
            n_neighbors=min(neighbours, members - 1),
            random_state=seed,
            n_jobs=1,  # what a fixed seed implies
        )
        layout: NDArray[np.float64] = model.fit_transform(np.sqrt(squared)).astype(np.float64)
    return layout


def double_centred(squared: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return B = −½ J D² J, the Gram matrix of centred points, for one matrix or a batch."""
    rows = squared.mean(axis=-1, keepdims=True)
    columns = squared.mean(axis=-2, keepdims=True)
    centred: NDArray[np.float64] = squared - rows - columns + rows.mean(axis=-2, keepdims=True)
    return -0.5 * centred


def _check_dimensions(dimensions: int, most: int) -> None:
    if not 1 <= dimensions <= most:
        raise UserError(f"dimensions must be from 1 to {most}; found {dimensions}")


def _at_least_four(squared: NDArray[np.float64], method: str) -> int:
    members = len(squared)
    if members < 4:
        raise UserError(
            f"{method} needs at least 4 members; found {members}: use classical_mds instead"
        )
    return members
