"""Orders of the members, for tests that permute whole members and leave each intact."""

from collections.abc import Iterator
from itertools import permutations as all_orders

import numpy as np
from numpy.typing import NDArray

from chromatic_descent.errors import UserError

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
        for start in range(0, len(orders), batch):
            yield orders[start : start + batch]
        return
    rng = np.random.default_rng(seed)
    identity = np.arange(members, dtype=np.intp)
    for start in range(0, permutations, batch):
        count = min(batch, permutations - start)
        yield rng.permuted(np.tile(identity, (count, 1)), axis=1)
