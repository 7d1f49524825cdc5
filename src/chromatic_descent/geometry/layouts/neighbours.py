"""Layouts that keep neighbours rather than distances, and measures of how far to trust them.

t-SNE and UMAP depend on their seed. A plot of either shows nothing without several seeds, their
agreement (`seed_spread`) and the layout's `trustworthiness`.
"""

import warnings
from collections.abc import Sequence
from itertools import combinations

import numpy as np
from numpy.typing import ArrayLike

from chromatic_descent.errors import UserError
from chromatic_descent.geometry.checks import Array, check_count, check_squared
from chromatic_descent.geometry.layouts.alignment import procrustes


def tsne(squared: ArrayLike, seed: int, perplexity: float | None = None) -> Array:
    """Lay members out in the plane, [S, 2], by t-SNE, which keeps neighbours rather than distances.

    It minimises KL(P‖Q) between neighbour probabilities P of the given distances and Q of the
    layout. The result depends on the seed, and with fewer than ten members it means nothing: show
    it for several seeds, with their `seed_spread`. Coordinates have no unit.

    Args:
        squared: [S, S] squared distances, S >= 4.
        perplexity: the effective number of neighbours, 1 to below S; default min(30, (S − 1)/3).

    Raises:
        UserError: `squared` is not a matrix of squared distances; an argument out of range.

    Source: van der Maaten & Hinton 2008, JMLR 9; scikit-learn's `TSNE`.
    """
    distances = _distances(squared, "t-SNE")
    members = len(distances)
    if perplexity is None:
        perplexity = min(30.0, (members - 1) / 3)
    if not 1 <= perplexity < members:
        raise UserError(
            f"perplexity must be at least 1 and below the {members} members; found {perplexity}"
        )
    from sklearn.manifold import TSNE

    model = TSNE(
        metric="precomputed",  # otherwise distances are taken for features
        init="random",  # the default, PCA, needs features
        perplexity=perplexity,
        random_state=seed,
        method="exact" if members <= 500 else "barnes_hut",  # an approximation that saves time
    )
    return np.asarray(model.fit_transform(distances), dtype=np.float64)


def umap(squared: ArrayLike, seed: int, neighbours: int = 15) -> Array:
    """Lay members out in the plane, [S, 2], by UMAP, which keeps neighbours rather than distances.

    As with `tsne`, the result is a picture, not evidence. Importing `umap-learn` takes seconds.

    Args:
        squared: [S, S] squared distances, S >= 4.
        neighbours: size of a neighbourhood, at least 2; at most S − 1 are used.

    Raises:
        UserError: umap-learn is not installed, `squared` is not a matrix of squared distances, too
            few members, or fewer than 2 neighbours.

    Source: McInnes, Healy & Melville 2018, arXiv:1802.03426; umap-learn's `UMAP`.
    """
    distances = _distances(squared, "UMAP")
    check_count("neighbours", neighbours, least=2)
    # UMAP warns on every import (no TensorFlow) and every use (no inverse transform), by design.
    with warnings.catch_warnings(action="ignore"):
        try:
            from umap import UMAP
        except ImportError as error:
            message = "UMAP is not installed: pip install 'chromatic-descent[umap]'"
            raise UserError(message) from error
        model = UMAP(
            metric="precomputed",
            init="random",  # the default, spectral, fails with few members
            n_neighbors=min(neighbours, len(distances) - 1),
            random_state=seed,
            n_jobs=1,  # implied by a fixed seed
        )
        return np.asarray(model.fit_transform(distances), dtype=np.float64)


def trustworthiness(squared: ArrayLike, layout: ArrayLike, neighbours: int = 5) -> float:
    """Return the degree to which neighbours in a layout are true neighbours.

        T = 1 − 2/(S k (2S − 3k − 1)) Σ_i Σ_{j ∈ N_k(i)} max(0, r(i, j) − k)

    with N_k(i) the k nearest to i in the layout and r(i, j) the rank of j by its given distance
    from i. T lies in [0, 1]: it is 1 when the layout adds no false neighbours, and about 1/2 for a
    random layout. It does not measure which true neighbours the layout separates.

    Args:
        squared: [S, S] squared distances.
        layout: [S, d], of the same members in the same order.
        neighbours: k, at least 1 and below S/2.

    Raises:
        UserError: as `tsne`; the layout is not finite or not [S, d]; neighbours out of range.

    Source: Venna & Kaski 2001; scikit-learn's `trustworthiness`.

    >>> x = np.arange(6.0)
    >>> trustworthiness((x[:, None] - x) ** 2, x[:, None], neighbours=2)
    1.0
    """
    squared = check_squared(squared)
    layout = np.asarray(layout, dtype=np.float64)
    members = len(squared)
    if layout.ndim != 2 or len(layout) != members or not np.isfinite(layout).all():
        raise UserError(
            f"layout must be finite and of shape [{members}, d], one row per member of the "
            f"distances; found shape {list(layout.shape)}"
        )
    if not 1 <= neighbours < members / 2:
        raise UserError(
            f"neighbours must be at least 1 and below half of the {members} members; "
            f"found {neighbours}"
        )
    from sklearn.manifold import trustworthiness as measure

    # Only ranks matter, and squares have the ranks of the distances.
    return float(measure(squared, layout, n_neighbors=neighbours, metric="precomputed"))


def seed_spread(layouts: Sequence[ArrayLike]) -> float:
    """Return the agreement of layouts of the same members from several seeds.

    It is the mean Procrustes correlation r over all pairs of layouts, in [0, 1]: 1 when they differ
    only by a translation, rotation, reflection and scale; NaN when a layout is a point.

    Args:
        layouts: at least two, each [S, k].

    Raises:
        UserError: fewer than two layouts, or as `procrustes`.

    >>> square = np.array([[0.0, 0.0], [0.0, 2.0], [2.0, 2.0], [2.0, 0.0]])
    >>> round(seed_spread([square, -square, 3 * square + 1]), 12)
    1.0
    """
    if len(layouts) < 2:
        raise UserError(f"seed_spread needs layouts of at least 2 seeds; found {len(layouts)}")
    pairs = combinations(layouts, 2)
    return float(np.mean([procrustes(one, other).correlation for one, other in pairs]))


def _distances(squared: ArrayLike, method: str) -> Array:
    """Return √squared, checked, in a unit that suits float32, in which both methods compute."""
    squared = check_squared(squared)
    if len(squared) < 4:
        raise UserError(
            f"{method} needs at least 4 members; found {len(squared)}: use classical_mds instead"
        )
    exponent = int(np.frexp(squared.max())[1])
    if abs(exponent) > 100:  # a power of two: no digit is lost, and neighbours do not change
        squared = np.ldexp(squared, -2 * (exponent // 2))
    return np.sqrt(squared)
