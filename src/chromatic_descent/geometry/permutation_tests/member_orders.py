"""Orders of the members, for tests that permute whole members and leave each intact."""

from collections.abc import Iterator
from itertools import permutations as all_orders

import numpy as np
from numpy.typing import NDArray

from chromatic_descent.errors import UserError
from chromatic_descent.geometry.batches import batches, length

# With so few members every order is taken (719 beside the given one), which is exact.
_ENUMERATED = 6


def member_orders(
    members: int, permutations: int, seed: int, batch: int
) -> Iterator[NDArray[np.intp]]:
    """Yield orders of the members in batches [B, S], the given order not among them.

    With 6 members or fewer: every other order once, whatever `permutations` says. With more:
    `permutations` orders at random.
    """
    if members < 4:
        raise UserError(
            f"permuting members needs at least 4 of them; found {members}: with so few no p-value "
            "can be small; train more"
        )
    if permutations < 1:
        raise UserError(f"permutations must be at least 1; found {permutations}")
    if members <= _ENUMERATED:
        orders = np.array(list(all_orders(range(members)))[1:], dtype=np.intp)
        for rows in batches(len(orders), batch):
            yield orders[rows]
        return
    rng = np.random.default_rng(seed)
    identity = np.arange(members, dtype=np.intp)
    for rows in batches(permutations, batch):
        yield rng.permuted(np.tile(identity, (length(rows), 1)), axis=1)
