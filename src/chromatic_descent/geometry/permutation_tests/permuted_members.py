"""Permutations of the members, for tests that permute whole members."""

from collections.abc import Iterator
from itertools import permutations as all_permutations

import numpy as np
from numpy.typing import NDArray

from chromatic_descent.errors import UserError
from chromatic_descent.geometry.batches import batches, length
from chromatic_descent.geometry.checks import check_count

# With this few members every order is used (719 besides the given one), and the test is exact.
_ENUMERATED = 6


def permuted_members(
    members: int, permutations: int, seed: int, batch: int
) -> Iterator[NDArray[np.intp]]:
    """Yield permutations of the members in batches [B, S], without the identity.

    With 6 members or fewer, each permutation once, whatever `permutations` says. With more,
    `permutations` of them at random.
    """
    if members < 4:
        raise UserError(
            f"permuting members needs at least 4 of them; found {members}: with fewer, no p-value "
            "can be small; train more"
        )
    check_count("permutations", permutations)
    if members <= _ENUMERATED:
        everyone = np.array(list(all_permutations(range(members)))[1:], dtype=np.intp)
        for rows in batches(len(everyone), batch):
            yield everyone[rows]
        return
    rng = np.random.default_rng(seed)
    identity = np.arange(members, dtype=np.intp)
    for rows in batches(permutations, batch):
        yield rng.permuted(np.tile(identity, (length(rows), 1)), axis=1)
