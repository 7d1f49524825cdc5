"""Spectra of members without common structure, for parallel analysis.

All functions return eigenvalues of B = −½ J D² J for P populations drawn from a null hypothesis, in
the unit of the squared distances. Dealt predictions are multiplied in float32, as in `shuffles`.
"""

import numpy as np

from chromatic_descent.errors import UserError
from chromatic_descent.geometry.checks import Array, Floats, Logits, check_count
from chromatic_descent.geometry.cores import batches
from chromatic_descent.geometry.distances.by_name import resolve
from chromatic_descent.geometry.distances.definition import Distance
from chromatic_descent.geometry.nulls.testing import by_item, deal_out, gram_of, wishart_tridiagonal

_BATCH = 2**21  # float64 values of matrices, or of items, held at once (16 MiB)

# The number of items dealt out one by one; the sum over the others is drawn from its limit. The
# limit alone would find structure among twelve independently erring members 8% of the time at a
# nominal 5% (heavy-tailed items, N = 4,000); with 300 items dealt out it is 5% to 6%.
_DEALT = 2000


def isotropic_spectra(
    members: int, degrees: int, *, draws: int = 199, seed: int = 0, scale: float = 1.0
) -> Array:
    """Draw the spectra, [P, S] and descending, of members that are isotropic Gaussian points.

        B = J X Xᵀ J, X [S, p] with entries N(0, scale / 2p), so that E D_ij = scale

    The S − 1 eigenvalues other than zero are those of a Wishart matrix W_{S−1}(p), drawn as in
    `isotropic`: cost and memory do not grow with p. With p ≫ S they are all nearly equal.

    Args:
        members: S >= 2.
        degrees: p >= 1, the dimensions in which members are scattered; N(C − 1) for N items.
        draws: P.
        scale: the mean squared distance, in its unit.

    Raises:
        UserError: an argument is out of range.

    >>> spectra = isotropic_spectra(5, 10_000, scale=3.0)
    >>> spectra.shape, round(float(spectra.sum(axis=1).mean()), 1)  # E tr B = (S − 1) scale / 2
    ((199, 5), 6.0)
    """
    if members < 2 or degrees < 1 or draws < 1 or not 0 < scale < np.inf:
        raise UserError(
            "need at least 2 members, 1 degree of freedom, 1 draw and a positive scale; found "
            f"{members} members, {degrees} degrees, {draws} draws and a scale of {scale}"
        )
    from scipy.linalg import eigvalsh_tridiagonal

    spectra = np.zeros((draws, members))
    drawn = wishart_tridiagonal(members, degrees, draws, seed)
    for row, tridiagonal in zip(spectra, drawn, strict=True):
        values = eigvalsh_tridiagonal(*tridiagonal)[::-1]
        row[: len(values)] = np.maximum(values, 0)
    spectra *= scale / (2 * degrees)
    return spectra


def independent_errors_spectra(
    logits: Logits, distance: str | Distance, *, draws: int = 199, seed: int = 0
) -> Array:
    """Draw the spectra of populations whose members err independently on each item.

    Every draw deals each item's S predictions out among the members, by a permutation π_n of its
    own: each item keeps its distribution of predictions, and no member keeps a character.

        B = mean_n P_n G_n P_nᵀ, G_n = J φ_n φ_nᵀ J, φ from `features`

    The 2,000 items with the largest a + b (below) are dealt out one by one. The sum over any others
    is drawn from its limit, which needs one pass over them for any number of draws. A permutation
    does not change the trace t of G, the spread a = Σ_i (g_i − t/S)² of its diagonal g, or the rest
    of its norm, b = ‖G‖² − t²/(S−1) − a S/(S−2). As permutations act irreducibly on the two parts
    that vary, each has one variance in the limit:

        Σ_n P_n G_n P_nᵀ -> (Σt/(S−1)) J + M(u) + R, u ~ N(0, Σa/(S−1) J), E‖R‖² = Σb

    M(u) has diagonal u and entries −(u_i + u_j)/(S−2), so its rows sum to zero; R has a diagonal
    and row sums of zero. R is that part of a Wishart matrix whose degrees of freedom give it the
    required mean and variance; a sum of squares is skewed, which matters for the longest axes.

    Arguments are as in `independent_errors`; the spectra are [P, S], descending.

    Raises:
        UserError: as `features`; fewer than 1 draw.

    Source: Jordan 2023, arXiv:2304.01910, for the null; the limit is our own.

    >>> logits = np.random.default_rng(0).normal(size=(6, 200, 3))
    >>> independent_errors_spectra(logits, "hellinger").shape
    (199, 6)
    """
    check_count("draws", draws)
    array, distance = resolve(logits, distance, "features")
    members, items, _ = array.shape
    rng = np.random.default_rng(seed)
    moments = _moments(array, distance)  # [N, 3]
    order = np.argsort(-moments[:, 1:].sum(axis=1), kind="stable")
    dealt, rest = np.sort(order[:_DEALT]), order[_DEALT:]
    phi = distance.features(array[:, dealt])
    phi -= phi.mean(axis=0)
    unit = np.abs(phi).max() or np.float64(1)  # in this unit features are in float32's range
    predictions = by_item(phi / unit)
    limit = moments[rest].sum(axis=0)

    spectra = np.empty((draws, members))
    for batch in batches(draws, _BATCH // members**2):
        grams = _limit(members, limit, len(spectra[batch]), rng)
        for gram in grams:
            gram += unit**2 * gram_of(deal_out(predictions, rng))
        spectra[batch] = np.linalg.eigvalsh(grams / items)[:, ::-1]
    return spectra


def null_spectra(
    logits: Logits, distance: str | Distance, *, draws: int = 199, seed: int = 0
) -> dict[str, Array]:
    """Draw spectra from every null that a distance allows, to compare a population with.

    Args:
        logits: [S, N, C], or the path of a .npy or .npz file.
        distance: any; bound if it needs labels or temperatures.
        draws: P, from each null.

    Returns:
        `isotropic`, in units of the mean squared distance, and for the distances in `EUCLIDEAN`
        `independent_errors`, in the unit of the squared distance: [P, S] each, descending.

    Raises:
        UserError: as `isotropic_spectra` and `independent_errors_spectra`.

    >>> logits = np.random.default_rng(0).normal(size=(6, 200, 3))
    >>> sorted(null_spectra(logits, "hellinger"))
    ['independent_errors', 'isotropic']
    """
    array, distance = resolve(logits, distance, "matrix")
    members, items, classes = array.shape
    # The shift of raw logits is not counted, so that all distances between logits share one null.
    degrees = items * (distance.degrees(classes) - distance.sees_shift)
    nulls = {"isotropic": isotropic_spectra(members, degrees, draws=draws, seed=seed)}
    if distance.euclidean:
        spectra = independent_errors_spectra(array, distance, draws=draws, seed=seed)
        nulls["independent_errors"] = spectra
    return nulls


def _moments(logits: Floats, distance: Distance) -> Array:
    """Return t, a and b of every item's G, as in `independent_errors_spectra`: [N, 3]."""
    members, items, classes = logits.shape
    moments = np.empty((items, 3))
    for block in batches(items, _BATCH // (members * classes)):
        phi = distance.features(logits, block)  # [S, n, C]
        phi -= phi.mean(axis=0)
        diagonal = np.einsum("snc,snc->ns", phi, phi)
        # ‖φφᵀ‖ = ‖φᵀφ‖: compute the smaller of the two.
        phi = phi.transpose(1, 2, 0) if classes <= members else phi.transpose(1, 0, 2)
        gram = phi @ phi.transpose(0, 2, 1)
        trace = diagonal.sum(axis=1)
        spread = np.square(diagonal - trace[:, None] / members).sum(axis=1)
        rest = np.square(gram).sum(axis=(1, 2)) - trace**2 / (members - 1)
        rest -= spread * members / max(members - 2, 1)  # the spread of two members is 0
        moments[block] = np.stack([trace, spread, np.maximum(rest, 0)], axis=1)
    return moments


def _limit(members: int, moments: Array, draws: int, rng: np.random.Generator) -> Array:
    """Draw Σ_n P_n G_n P_nᵀ from its limit, given Σt, Σa and Σb: [P, S, S]."""
    trace, spread, rest = moments
    centre = np.eye(members) - 1 / members  # J
    drawn = np.tile(trace / (members - 1) * centre, (draws, 1, 1))
    if spread > 0 and members > 2:
        u = rng.standard_normal((draws, members))
        u -= u.mean(axis=1, keepdims=True)
        drawn += np.sqrt(spread / (members - 1)) * _with_diagonal(u)
    if rest > 0 and members > 3:
        size = members * (members - 3) / 2
        degrees = 2 * size * (trace / (members - 1)) ** 2 / rest
        # Helmert's rows, orthogonal to the vector of ones and to each other, embed S − 1 axes in S.
        basis = np.tril(np.ones((members - 1, members)), k=0)
        basis[range(members - 1), range(1, members)] = -np.arange(1, members)
        basis /= np.linalg.norm(basis, axis=1, keepdims=True)
        varied = basis.T @ _wishart(draws, members - 1, degrees, rng) @ basis
        diagonal = np.arange(members)
        u = varied[:, diagonal, diagonal]
        mean = u.mean(axis=1, keepdims=True)
        varied -= (mean * members / (members - 1))[..., None] * centre + _with_diagonal(u - mean)
        drawn += np.sqrt(rest / size / (2 * degrees)) * varied
    return drawn


def _wishart(draws: int, size: int, degrees: float, rng: np.random.Generator) -> Array:
    """Draw Wishart matrices W_size(degrees), [P, size, size]."""
    if degrees >= size:  # from the Bartlett factor
        factor = np.tril(rng.standard_normal((draws, size, size)), k=-1)
        squares = rng.chisquare(degrees - np.arange(size), size=(draws, size))
        factor[:, range(size), range(size)] = np.sqrt(squares)
    else:  # of lower rank, for which it does not exist
        factor = rng.standard_normal((draws, size, max(1, round(degrees))))
    drawn: Array = factor @ factor.transpose(0, 2, 1)
    return drawn


def _with_diagonal(u: Array) -> Array:
    """Return M(u): diagonal u, entries −(u_i + u_j)/(S−2); [P, S] -> [P, S, S]."""
    members = u.shape[1]
    matrix: Array = -(u[:, :, None] + u[:, None, :]) / (members - 2)
    matrix[:, range(members), range(members)] = u
    return matrix
