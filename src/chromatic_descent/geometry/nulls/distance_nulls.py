"""Is the structure real? Nulls that need only the distances.

Every null asks whether the first k axes of the classical MDS explain more of the variance than they
would if some hypothesis were true. Five hypotheses form a ladder: `permuted_distances` and
`isotropic`, which use only distances, then `independent_errors`, `within_class_shuffles` and
`temperature_and_bias`, which use the predictions. Rejecting a null shows only that it is false; the
nulls that a study does not reject tell more.
"""

import numpy as np
from numpy.typing import ArrayLike

from chromatic_descent.errors import UserError
from chromatic_descent.geometry.checks import check_squared
from chromatic_descent.geometry.cores import batches, length
from chromatic_descent.geometry.layouts.mds import double_centred
from chromatic_descent.geometry.nulls import testing
from chromatic_descent.geometry.nulls.testing import NullTest, gram_shares, null_test

_BATCH = 2**22  # float64 values of matrices decomposed at a time (32 MiB)


def permuted_distances(
    squared: ArrayLike, *, permutations: int = 200, seed: int = 0, dimensions: int = 2
) -> NullTest:
    """Compare the top-k explained share with that of the same distances, shuffled.

    The S(S−1)/2 distances above the diagonal are shuffled (and mirrored below it). Statistic:
    Σ_{i≤k} λ_i / Σ λ₊, where λ₊ are the positive eigenvalues of −½ J D² J.

    It rejects that the distances are exchangeable, so that it is arbitrary *which pair is how far
    apart*. This is the null of the original experiment, and the weakest rung of the ladder, since a
    shuffled matrix is usually no longer Euclidean: isotropic noise in five dimensions rejects it,
    and so does a single member far from the rest. A small p shows neither that two axes suffice nor
    that there is more structure than S independent members have by chance (compare
    `equidistant_share`). A large p does not show the opposite: faint groups often go unnoticed.

    Args:
        squared: [S, S] squared distances, S >= 4.
        dimensions: k, from 1 to S − 2; beyond that the share is 1 for any data.

    Raises:
        UserError: `squared` is not a matrix of squared distances; fewer than 4 members, which a
            shuffle only renames; all distances zero; dimensions or permutations out of range.

    >>> x = np.linspace(0, 1, 8)
    >>> test = permuted_distances((x[:, None] - x) ** 2)
    >>> round(test.observed, 12), test.p_value < 0.05
    (1.0, True)
    """
    squared = check_squared(squared)
    members = len(squared)
    if members < 4:
        raise UserError(
            f"permuting the distances of {members} members only renames them, which tests nothing; "
            "train at least 4"
        )
    testing.check_null(members, dimensions, permutations, "permutations")
    observed = testing.top_share(squared, dimensions)

    rows, columns = np.triu_indices(members, k=1)
    entries = squared[rows, columns]  # [pairs]
    rng = np.random.default_rng(seed)
    null = np.empty(permutations)
    for batch in batches(permutations, _BATCH // members**2):
        shuffled = rng.permuted(np.tile(entries, (length(batch), 1)), axis=1)
        matrices = np.zeros((len(shuffled), members, members))
        matrices[:, rows, columns] = matrices[:, columns, rows] = shuffled
        null[batch] = gram_shares(double_centred(matrices), dimensions)
    hypothesis = "the distances are exchangeable: which pair is how far apart is arbitrary"
    return null_test(observed, null, hypothesis, 1e-9 * observed)


def isotropic(
    squared: ArrayLike, *, degrees: int, draws: int = 200, seed: int = 0, dimensions: int = 2
) -> NullTest:
    """Compare the top-k explained share with that of members drawn from an isotropic Gaussian.

    If the S members are independent points of an isotropic Gaussian in `degrees` dimensions, their
    Gram matrix is Wishart with that many degrees of freedom, and double-centring leaves a Wishart
    matrix of S − 1 members. Its eigenvalues are those of LLᵀ, L lower bidiagonal with

        independent χ_n, χ_{n−1}, … on the diagonal and χ_{S−2}, …, χ_1 below it, n = degrees

    which takes Bartlett's decomposition one step further, to three diagonals. So a draw is exact
    and costs O(S), for any `degrees`. The members' spread does not affect the share.

    It rejects that members spread equally in every direction of function space. For degrees ≫ S the
    null share is only a little above `equidistant_share`. It does not show that anything is shared
    across items: real predictions vary more on some items and classes than on others, so they have
    fewer effective dimensions than entries, and independent members also reject this null;
    `independent_errors` keeps that variation.

    Args:
        squared: [S, S] squared distances, S >= 4.
        degrees: n > k, the dimensions in which members could differ: N·C for raw logits, N·(C − 1)
            for centred logits and for probabilities.
        dimensions: k, from 1 to S − 2.

    Raises:
        UserError: `squared` is not a matrix of squared distances, all distances are zero, fewer
            than 4 members, or an argument out of range.

    Source: Bartlett 1933; Dumitriu & Edelman 2002, "Matrix models for beta ensembles", for L.

    >>> points = np.random.default_rng(0).normal(size=(12, 5000))
    >>> squared = ((points[:, None] - points) ** 2).sum(-1)
    >>> isotropic(squared, degrees=5000).p_value > 0.05
    True
    """
    squared = check_squared(squared)
    members = len(squared)
    testing.check_null(members, dimensions, draws)
    if degrees <= dimensions:
        raise UserError(
            f"degrees must be above the {dimensions} dimensions of the layout; found {degrees}"
        )
    from scipy.linalg import eigvalsh_tridiagonal

    observed = testing.top_share(squared, dimensions)
    null = np.empty(draws)
    matrices = testing.wishart_tridiagonal(members, int(degrees), draws, seed)
    for p, (main, off) in enumerate(matrices):
        largest = (max(0, len(main) - dimensions), len(main) - 1)
        top = eigvalsh_tridiagonal(main, off, select="i", select_range=largest)
        null[p] = top.sum() / main.sum()
    hypothesis = f"members are independent points of an isotropic Gaussian in {degrees} dimensions"
    return null_test(observed, null, hypothesis, 1e-9 * observed)


def equidistant_share(members: int, dimensions: int = 2) -> float:
    """Return the top-k explained share of S equidistant points: min(1, k / (S − 1)).

    All S − 1 eigenvalues of equidistant points are equal. Members that share nothing are nearly
    equidistant in many dimensions, so compare an explained share with this value.

    Raises:
        UserError: fewer than 2 members, or fewer than 1 dimension.

    >>> round(equidistant_share(12), 3)
    0.182
    """
    if members < 2 or dimensions < 1:
        raise UserError(
            "need at least 2 members and 1 dimension; "
            f"found {members} members and {dimensions} dimensions"
        )
    return min(1.0, dimensions / (members - 1))
