"""Is the structure real? Null hypotheses for the share of variance that a few axes explain.

A p-value here is (1 + #{null ≥ observed}) / (1 + P) over P draws from the null: never zero, and
valid at any P (Phipson & Smyth 2010).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chromatic_descent.errors import UserError
from chromatic_descent.geometry.distances import check_squared
from chromatic_descent.geometry.embeddings import double_centred

# Matrices are decomposed in batches of about this many float64 values (32 MiB).
_BATCH = 2**22


@dataclass(frozen=True, eq=False)
class NullTest:
    """An observed statistic beside what a null hypothesis gives.

    Attributes:
        observed: the statistic of the data.
        null: [P], the statistic of P draws from the null.
        p_value: (1 + #{null ≥ observed}) / (1 + P), one-sided.
    """

    observed: float
    null: NDArray[np.float64]
    p_value: float


def permuted_distances(
    squared: ArrayLike, *, permutations: int = 200, seed: int = 0, dimensions: int = 2
) -> NullTest:
    """Compare the top-k explained share with that of the same distances dealt out at random.

    The S(S−1)/2 distances above the diagonal are shuffled (and mirrored below it). Statistic:
    Σ_{i≤k} λ_i / Σ λ₊, where λ₊ are the positive eigenvalues of −½ J D² J.

    What it rejects: that the distances are exchangeable, *which pair is how far apart* being
    arbitrary. This is the null of the original experiment, and the weakest rung of the ladder,
    since a shuffled matrix is as a rule no longer Euclidean. Isotropic noise in five dimensions
    rejects it, and so does a single member far from the rest: a small p does not show that two
    axes are what matters, nor that there is more than chance gives S independent members (compare
    `equidistant_share`). Nor does a large p show there is nothing: faint groups often pass.

    Args:
        squared: [S, S] squared distances, S >= 4.
        permutations: P.
        seed: of the shuffles.
        dimensions: k, from 1 to S − 2; with more, the share is 1 whatever the data.

    Returns:
        A `NullTest` of shares in (0, 1].

    Raises:
        UserError: `squared` is no matrix of squared distances; 3 members or fewer, where a shuffle
            only renames them; all distances zero; dimensions or permutations out of range.

    >>> import numpy as np
    >>> x = np.linspace(0, 1, 8)
    >>> test = permuted_distances((x[:, None] - x) ** 2)
    >>> round(test.observed, 12), test.p_value < 0.05
    (1.0, True)
    """
    squared = check_squared(squared)
    members = len(squared)
    if members < 4:
        raise UserError(
            f"permuting distances says nothing about {members} members: it only renames them; "
            "train at least 4"
        )
    if not 1 <= dimensions <= members - 2:
        raise UserError(
            f"dimensions must be from 1 to {members - 2}, two below the {members} members; "
            f"found {dimensions}"
        )
    if permutations < 1:
        raise UserError(f"permutations must be at least 1; found {permutations}")
    if not squared.any():
        raise UserError("all distances are zero: the members are identical, nothing to test")

    rows, columns = np.triu_indices(members, k=1)
    entries = squared[rows, columns]  # [pairs]
    observed = float(_top_share(squared, dimensions))
    rng = np.random.default_rng(seed)
    null = np.empty(permutations)
    batch = max(1, _BATCH // members**2)
    for start in range(0, permutations, batch):
        draws = null[start : start + batch]  # a view, filled below
        shuffled = rng.permuted(np.tile(entries, (len(draws), 1)), axis=1)
        matrices = np.zeros((len(draws), members, members))
        matrices[:, rows, columns] = matrices[:, columns, rows] = shuffled
        draws[:] = _top_share(matrices, dimensions)
    # A shuffle that only renames members ties with the data, up to round-off: it must count.
    reached = int(np.count_nonzero(null >= observed * (1 - 1e-9)))
    return NullTest(observed, null, (1 + reached) / (1 + permutations))


def equidistant_share(members: int, dimensions: int = 2) -> float:
    """Return the top-k explained share of S equidistant points: min(1, k / (S − 1)).

    All S − 1 eigenvalues of equidistant points are equal. Members that share nothing are nearly
    equidistant in many dimensions, so an explained share must be read against this.

    Args:
        members: S >= 2.
        dimensions: k >= 1.

    Raises:
        UserError: an argument is out of range.

    >>> round(equidistant_share(12), 3)
    0.182
    """
    if members < 2 or dimensions < 1:
        raise UserError(
            "need at least 2 members and 1 dimension; "
            f"found {members} members and {dimensions} dimensions"
        )
    return min(1.0, dimensions / (members - 1))


def _top_share(squared: NDArray[np.float64], dimensions: int) -> NDArray[np.float64]:
    """Return Σ_{i≤k} λ_i / Σ λ₊ for one matrix [S, S] or a batch [P, S, S]."""
    positive = np.maximum(np.linalg.eigvalsh(double_centred(squared)), 0.0)  # upwards
    share: NDArray[np.float64] = positive[..., -dimensions:].sum(axis=-1) / positive.sum(axis=-1)
    return share
