"""Spectra of members without common structure, with which parallel analysis compares.

All functions return eigenvalues of B = −½ J D² J for P populations drawn from a null hypothesis, in
the unit of the squared distances. Dealt predictions are multiplied in float32, as in `shuffles`.
"""

import numpy as np

from chromatic_descent.errors import UserError
from chromatic_descent.geometry.batches import batches
from chromatic_descent.geometry.checks import Array, Floats, Logits, check_count
from chromatic_descent.geometry.distances.by_name import resolve
from chromatic_descent.geometry.distances.definition import Distance
from chromatic_descent.geometry.nulls.dealing import by_item, deal_out, gram_of
from chromatic_descent.geometry.nulls.null_test import wishart_tridiagonal

# Matrices are decomposed, and items read, in batches of about this many float64 values (16 MiB).
_BATCH = 2**21

# This many items, those on which members differ most, are dealt out one by one; the sum over the
# others is drawn from its limit. With none dealt out, the limit alone would find structure among
# twelve independently erring members 8% of the time at a nominal 5% (heavy-tailed items, N =
# 4,000); with 300 dealt out, 5% to 6%.
_DEALT = 2000


def isotropic_spectra(
    members: int, degrees: int, *, draws: int = 199, seed: int = 0, scale: float = 1.0
) -> Array:
    """Draw the spectra of members that are isotropic Gaussian points.

        B = J X Xᵀ J, X [S, p] with entries N(0, scale / 2p), so that E D_ij = scale

    The S − 1 eigenvalues that are not zero are those of a Wishart matrix W_{S−1}(p), drawn as in
    `isotropic`: cost and memory do not grow with p. With p ≫ S they are all nearly equal, like
    those of equidistant members.

    Args:
        members: S >= 2.
        degrees: p >= 1, the dimensions in which members are scattered; N(C − 1) for N probe
            items.
        draws: P.
        seed: of the draws.
        scale: the mean squared distance, in its unit.

    Returns:
        [P, S] float64, descending; the last is 0.

    Raises:
        UserError: an argument is out of range.

    Source: Dumitriu & Edelman 2002, "Matrix models for beta ensembles", for the bidiagonal form.

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

    The 2,000 items on which members differ most are dealt out one by one. The sum over any
    others is drawn from its limit, which needs one pass over them for any number of draws.
    A permutation leaves unchanged the trace t of G, the spread a of its diagonal g,
    a = Σ_i (g_i − t/S)², and the rest of its norm, b = ‖G‖² − t²/(S−1) − a S/(S−2). As
    permutations act irreducibly on the two parts that vary, each has one variance in the limit (the
    items dealt out are those with the largest a + b):

        Σ_n P_n G_n P_nᵀ -> (Σt/(S−1)) J + M(u) + R, u ~ N(0, Σa/(S−1) J), E‖R‖² = Σb

    M(u) having diagonal u, entries −(u_i + u_j)/(S−2) and so rows that sum to zero, and R a
    diagonal and row sums of zero. R is the corresponding part of a Wishart matrix whose degrees of
    freedom give it the required mean and variance: a sum of squares is skewed, which matters for
    the longest axes.

    Args:
        logits: [S, N, C], or the path of a .npy or .npz file.
        distance: one of `EUCLIDEAN`, or a function of features; bound if it needs temperatures.
        draws: P.
        seed: of the draws.

    Returns:
        [P, S] float64, descending, in the unit of the squared distance.

    Raises:
        UserError: as `features`; fewer than 1 draw.

    Source: Jordan 2023, arXiv:2304.01910, for the null; the limit is our own.

    >>> import numpy as np
    >>> logits = np.random.default_rng(0).normal(size=(6, 200, 3))
    >>> independent_errors_spectra(logits, "hellinger").shape
    (199, 6)
    """
    check_count("draws", draws)
    array, known = resolve(logits, distance, "features")
    members, items, _ = array.shape
    rng = np.random.default_rng(seed)
    moments = _moments(array, known)  # [N, 3]
    order = np.argsort(-moments[:, 1:].sum(axis=1), kind="stable")
    dealt, rest = np.sort(order[:_DEALT]), order[_DEALT:]
    phi = known.features(array[:, dealt])
    phi -= phi.mean(axis=0)
    largest = np.abs(phi).max()
    unit = (
        largest if largest > 0 else np.float64(1)
    )  # in this unit all features are in float32's range
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
    """Draw spectra from every null that exists for a distance, to compare a population with.

    Args:
        logits: [S, N, C], or the path of a .npy or .npz file.
        distance: any; bound if it needs labels or temperatures.
        draws: P, from each null.
        seed: of the draws.

    Returns:
        `isotropic`, in units of the mean squared distance, and for the distances in `EUCLIDEAN`
        `independent_errors`, in that of the squared distance: [P, S] each, descending.

    Raises:
        UserError: as `isotropic_spectra` and `independent_errors_spectra`.

    >>> import numpy as np
    >>> logits = np.random.default_rng(0).normal(size=(6, 200, 3))
    >>> sorted(null_spectra(logits, "hellinger"))
    ['independent_errors', 'isotropic']
    """
    array, known = resolve(logits, distance, "matrix")
    members, items, classes = array.shape
    # The shift of raw logits is not counted, so that all distances between logits share one null.
    free = items * (known.degrees(classes) - known.sees_shift)
    nulls = {"isotropic": isotropic_spectra(members, free, draws=draws, seed=seed)}
    if known.euclidean:
        nulls["independent_errors"] = independent_errors_spectra(
            array, known, draws=draws, seed=seed
        )
    return nulls


def _moments(logits: Floats, distance: Distance) -> Array:
    """Return t, a and b of every item's G, as in `independent_errors_spectra`: [N, 3]."""
    members, items, classes = logits.shape
    moments = np.empty((items, 3))
    for block in batches(items, _BATCH // (members * classes)):
        phi = distance.features(logits, block)  # [S, n, C]
        phi -= phi.mean(axis=0)
        diagonal = np.einsum("snc,snc->ns", phi, phi)
        # ‖φφᵀ‖ = ‖φᵀφ‖: take the smaller of the two.
        phi = phi.transpose(1, 2, 0) if classes <= members else phi.transpose(1, 0, 2)
        gram = phi @ phi.transpose(0, 2, 1)
        trace = diagonal.sum(axis=1)
        spread = np.square(diagonal - trace[:, None] / members).sum(axis=1)
        rest = np.square(gram).sum(axis=(1, 2)) - trace**2 / (members - 1)
        rest -= spread * members / max(members - 2, 1)  # two members: no spread
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
        # Helmert's rows, orthogonal to 1 and to each other, embed S − 1 dimensions in S.
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
    """Draw W_size(degrees), sums of that many squares of standard normals: [P, size, size]."""
    if degrees >= size:  # through its Bartlett factor
        factor = np.tril(rng.standard_normal((draws, size, size)), k=-1)
        factor[:, range(size), range(size)] = np.sqrt(
            rng.chisquare(degrees - np.arange(size), size=(draws, size))
        )
    else:  # of lower rank, where the factor does not exist
        factor = rng.standard_normal((draws, size, max(1, round(degrees))))
    drawn: Array = factor @ factor.transpose(0, 2, 1)
    return drawn


def _with_diagonal(u: Array) -> Array:
    """Return M(u): diagonal u, entries −(u_i + u_j)/(S−2); [P, S] -> [P, S, S]."""
    members = u.shape[1]
    matrix: Array = -(u[:, :, None] + u[:, None, :]) / (members - 2)
    matrix[:, range(members), range(members)] = u
    return matrix
