"""Do groups of members lie in different places? PERMANOVA on any squared distance."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, lgamma

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chromatic_descent.errors import UserError
from chromatic_descent.geometry.checks import Array, check_apart, check_squared
from chromatic_descent.geometry.nulls.testing import NullTest, null_test
from chromatic_descent.geometry.resampling import permuted_members

_BATCH = 2**22  # float64 values of one-hot groups that are multiplied at a time (32 MiB)
_ROUNDOFF = 1e-12  # a sum of squares below this share of the total is round-off


@dataclass(frozen=True, eq=False)
class Permanova(NullTest):
    """A `NullTest` of the pseudo-F, with the share of variance that lies between groups.

    Attributes:
        r_squared: R² = 1 − SS_within / SS_total, in [0, 1]. It rises with the number of groups:
            under the null it is about (a − 1)/(S − 1).
        groups: the a groups, sorted.
        sizes: the number of members in each.
    """

    r_squared: float = np.nan
    groups: tuple[object, ...] = ()
    sizes: tuple[int, ...] = ()


def permanova(
    squared: ArrayLike,
    groups: Sequence[object] | NDArray[np.generic],
    *,
    permutations: int = 999,
    seed: int = 0,
) -> Permanova:
    """Test whether members of one group lie closer to each other than to the rest.

        SS_total = Σ_{i<j} D_ij / S,  SS_within = Σ_g Σ_{i<j in g} D_ij / n_g
        F = ((SS_total − SS_within)/(a − 1)) / (SS_within/(S − a)),  R² = 1 − SS_within/SS_total

    with a groups of n_g members. The groups' names are permuted among members, at random or, when
    S ≤ 6, in all ways. For Euclidean D the sums of squares are those of a multivariate analysis of
    variance. F is infinite when every group is a single point.

    It rejects that group names are exchangeable. It does not show that group *means* differ: groups
    that differ in spread and in size can also reject (Anderson & Walsh 2013).

    Args:
        squared: [S, S] squared distances.
        groups: [S], the group of each member: strings, numbers, anything that sorts.
        permutations: P; ignored when S ≤ 6.

    Raises:
        UserError: `squared` is not a matrix of squared distances, or all zero; members and groups
            differ in number; fewer than 2 groups, or one per member; too few members for p ≤ 0.05.

    Source: Anderson 2001, "A new method for non-parametric multivariate analysis of variance".
    scikit-bio's `permanova` is the same test.

    >>> x = np.random.default_rng(0).normal(size=(12, 2)) + 9 * np.repeat([0, 1], 6)[:, None]
    >>> test = permanova(((x[:, None] - x) ** 2).sum(-1), ["wide"] * 6 + ["narrow"] * 6)
    >>> test.r_squared > 0.9, test.p_value < 0.01, test.sizes
    (True, True, (6, 6))
    """
    squared = check_squared(squared)
    members = len(squared)
    labels = np.asarray(groups)
    if labels.dtype == object:  # None among names, for example: compare as text
        labels = labels.astype(str)
    names, codes = np.unique(labels, return_inverse=True)
    if codes.shape != (members,):
        raise UserError(
            f"groups must name one group for each of the {members} members; found shape "
            f"{list(labels.shape)}"
        )
    sizes = np.bincount(codes)
    _check_groups(sizes)
    total = squared.sum() / (2 * members)
    check_apart(squared, "so there is nothing to test")

    def within(order: NDArray[np.intp]) -> Array:
        """Return SS_within for each order [B, S] of the group names: [B]."""
        one_hot = np.eye(len(names))[codes[order]]  # [B, S, a]
        flat = one_hot.transpose(1, 0, 2).reshape(members, -1)  # [S, B·a]
        sums = np.einsum("sk,sk->k", flat, squared @ flat).reshape(-1, len(names))
        squares: Array = sums @ (0.5 / sizes)
        return squares

    def pseudo_f(inside: Array) -> Array:
        inside = np.where(inside > _ROUNDOFF * total, inside, 0.0)
        between = (total - inside) / (len(names) - 1)
        between *= members - len(names)
        infinite = np.full_like(inside, np.inf)
        ratio: Array = np.divide(between, inside, out=infinite, where=inside > 0)
        return ratio

    observed_within = within(np.arange(members, dtype=np.intp)[None])
    observed = float(pseudo_f(observed_within)[0])
    orders = permuted_members(members, permutations, seed, _BATCH // (members * len(names)))
    null = pseudo_f(np.concatenate([within(order) for order in orders]))
    tolerance = 1e-9 * observed if np.isfinite(observed) else 0.0
    hypothesis = "the groups' names are exchangeable among members"
    return Permanova(
        **vars(null_test(observed, null, hypothesis, tolerance)),
        r_squared=float(1 - observed_within[0] / total),
        groups=tuple(names.tolist()),
        sizes=tuple(sizes.tolist()),
    )


def _check_groups(sizes: NDArray[np.intp]) -> None:
    """Raise UserError unless there are at least 2 groups and at least 20 ways to assign them."""
    members = int(sizes.sum())
    if len(sizes) < 2 or len(sizes) == members:
        raise UserError(
            f"groups must be at least 2, and fewer than the {members} members; found {len(sizes)}"
        )
    # Exchanging groups of the same size gives the same division of the members.
    repeats = np.bincount(sizes)
    ways = lgamma(members + 1) - sum(lgamma(n + 1) for n in [*sizes, *repeats[1:]])
    if ways < np.log(19.5):
        raise UserError(
            f"{members} members can be divided into groups of {', '.join(map(str, sizes))} in only "
            f"{exp(ways):.0f} ways, so p cannot be below {exp(-ways):.2f}: train more members"
        )
