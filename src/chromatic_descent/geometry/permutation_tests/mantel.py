"""Do two distances between the same members agree? The Mantel test, one pair or a whole matrix.

The S(S−1)/2 entries of a distance matrix are not independent: a member far from one is far from
many. So members are permuted, rows and columns together; a test that shuffled entries would report
agreement where there is none.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chromatic_descent.errors import UserError
from chromatic_descent.geometry.checks import Array, check_squared
from chromatic_descent.geometry.nulls.testing import NullTest, null_test
from chromatic_descent.geometry.resampling import permuted_members

Method = Literal["pearson", "spearman"]

_BATCH = 2**20  # pairs of members gathered at a time (8 MiB of float64)
_TIE = 1e-9  # the accuracy of correlations: draws this close to the data tie with it


@dataclass(frozen=True, eq=False)
class MantelMatrix:
    """The Mantel correlation of every two of K distances.

    Attributes:
        names: the K distances, in order.
        correlation: [K, K], symmetric, 1 on the diagonal.
        p_value: [K, K], symmetric, one-sided, uncorrected; NaN on the diagonal.
    """

    names: tuple[str, ...]
    correlation: Array
    p_value: Array


def mantel(
    a: ArrayLike,
    b: ArrayLike,
    *,
    permutations: int = 999,
    seed: int = 0,
    method: Method = "pearson",
) -> NullTest:
    """Test whether pairs of members that are far apart by one distance are far apart by another.

        r = correlation over i < j of a_ij with b_ij; null: of a_ij with b_π(i)π(j)

    over random permutations π of the members, or all S! of them when S ≤ 6. One-sided: only r > 0
    counts against the null. Pearson's r differs between squared and plain distances.

    It rejects that the members' names in one matrix are unrelated to the names in the other. It
    does not show that both measure the same thing: one member far from the rest by both is enough.

    Args:
        a: [S, S] distances, squared or not, S >= 4.
        b: [S, S], of the same members in the same order.
        permutations: P; ignored when S ≤ 6.
        method: "pearson", or "spearman" for the correlation of ranks.

    Raises:
        UserError: a matrix is not symmetric, finite and non-negative with a zero diagonal; the two
            differ in size; all distances of one are equal; fewer than 4 members; unknown method.

    Source: Mantel 1967; Legendre & Legendre, Numerical Ecology. scikit-bio's `mantel` with
    `alternative="greater"` is the same test.

    >>> x = np.random.default_rng(0).normal(size=(10, 2))
    >>> squared = ((x[:, None] - x) ** 2).sum(-1)
    >>> test = mantel(squared, np.sqrt(squared))
    >>> test.observed > 0.9, test.p_value
    (True, 0.001)
    """
    x, y = _standardised({"a": a, "b": b}, method)  # [pairs] each
    shuffles = _shuffled_pairs(len(np.asarray(a)), permutations, seed)
    null = np.concatenate([y.take(shuffled) @ x for shuffled in shuffles])
    hypothesis = "the members' names in one distance are unrelated to those in the other"
    return null_test(float(x @ y), null, hypothesis, _TIE)


def mantel_matrix(
    distances: Mapping[str, ArrayLike],
    *,
    permutations: int = 999,
    seed: int = 0,
    method: Method = "pearson",
) -> MantelMatrix:
    """Return the Mantel test of every two of K distances between the same members.

    Each is as by `mantel`; all pairs share the permutations, and so the work.

    Args:
        distances: by name, [S, S] each, squared or not, of the same S >= 4 members in the same
            order. The other arguments are as in `mantel`.

    Raises:
        UserError: fewer than two distances, or as `mantel`, naming the distance.

    >>> x = np.random.default_rng(0).normal(size=(10, 2))
    >>> squared = ((x[:, None] - x) ** 2).sum(-1)
    >>> both = mantel_matrix({"plain": np.sqrt(squared), "squared": squared}, permutations=99)
    >>> both.names, both.p_value
    (('plain', 'squared'), array([[ nan, 0.01],
           [0.01,  nan]]))
    """
    if len(distances) < 2:
        raise UserError(f"a Mantel matrix needs at least 2 distances; found {len(distances)}")
    pairs = _standardised(distances, method)  # [K, pairs]
    correlation = np.clip(pairs @ pairs.T, -1.0, 1.0)
    members = len(np.asarray(next(iter(distances.values()))))
    reached, count = np.zeros_like(correlation), 0
    for batch in _shuffled_pairs(members, permutations, seed):
        for shuffled in batch:
            reached += pairs @ pairs.take(shuffled, axis=1).T >= correlation - _TIE
            count += 1
    p_value = (1 + reached) / (1 + count)
    upper = np.triu(p_value, k=1)  # below the diagonal π is inverted: valid too, but not the same
    p_value = upper + upper.T
    np.fill_diagonal(p_value, np.nan)
    np.fill_diagonal(correlation, 1.0)
    return MantelMatrix(tuple(distances), correlation, p_value)


def _standardised(distances: Mapping[str, ArrayLike], method: str) -> Array:
    """Return the pairs i < j of each matrix, centred and of norm 1: [K, pairs]."""
    if method not in ("pearson", "spearman"):
        raise UserError(f"method must be 'pearson' or 'spearman'; found {method!r}")
    rows = []
    checked = {name: check_squared(matrix) for name, matrix in distances.items()}
    first, members = next((name, len(squared)) for name, squared in checked.items())
    for name, squared in checked.items():
        if len(squared) != members:
            raise UserError(
                f"distances must be between the same members; found {len(squared)} members in "
                f"{name!r} and {members} in {first!r}"
            )
        values = squared[np.triu_indices(members, k=1)]
        if np.ptp(values) <= 1e-12 * values.max():
            raise UserError(f"all distances in {name!r} are equal: there is nothing to correlate")
        if method == "spearman":
            from scipy.stats import rankdata

            values = rankdata(values)
        values = values - values.mean()
        rows.append(values / np.linalg.norm(values))
    return np.array(rows)


def _shuffled_pairs(members: int, permutations: int, seed: int) -> Iterator[NDArray[np.int32]]:
    """Yield [B, pairs]: for each permutation, the index from which each pair i < j is read."""
    rows, columns = np.triu_indices(members, k=1)
    index = np.zeros((members, members), dtype=np.int32)
    index[rows, columns] = index[columns, rows] = np.arange(len(rows))
    for order in permuted_members(members, permutations, seed, _BATCH // len(rows)):
        # Flat indices: indexing by two arrays is ten times slower.
        yield index.ravel().take(order.take(rows, axis=1) * members + order.take(columns, axis=1))
