"""Combining many subsets of the same members at once.

A combiner that averages something over its members is a row of a matrix product, so all subsets
are combined together and the members' share is computed once. Arrays are [C, N], classes first:
sums over classes are then sums of long rows, which stay in the cache.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chromatic_descent.geometry.checks import Array, Floats

Subset = tuple[int, ...]

# Every member casts one vote, and this share of another, spread like its probabilities: too
# little to outvote anyone (below a million members), enough to break a tie.
TIE_BREAK = 1e-6

# Members' terms [S, C, N] are held up to this many float64 values (128 MiB). Beyond, they are
# computed anew for each chunk of subsets, block by block of items (16 MiB).
_HELD, _BLOCK = 2**24, 2**21

# Values in a chunk of subsets: one that stays in the cache (4 MiB) if members are held, otherwise
# one that takes few rounds (512 MiB).
_SMALL_CHUNK, _CHUNK = 2**19, 2**26

# A mean probability below this may have lost digits, or everything, to underflow.
_TINY = 1e-290


@dataclass(frozen=True)
class Pooling:
    """A combiner as a function of a mean over members.

    Attributes:
        terms: logits less each item's largest [S, C, n], which may be overwritten -> what is
            averaged over members, [S, C, n].
        finish: the sum of the terms over a subset [C, N], which is overwritten, and the subset's
            size -> probabilities and log-probabilities [C, N]; None where the sum lost digits and
            the subset has to be combined by itself.
    """

    terms: Callable[[Array], Array]
    finish: Callable[[Array, int], tuple[Array, Array] | None]


def membership(subsets: Sequence[Subset], members: int) -> Array:
    """Return 1 where a member is in a subset, otherwise 0: [M, S]."""
    inside = np.zeros((len(subsets), members))
    for row, subset in zip(inside, subsets, strict=True):
        row[list(subset)] = 1
    return inside


def pooled_sums(
    logits: Floats, order: NDArray[np.intp], subsets: Sequence[Subset], pooling: Pooling
) -> Iterator[Array]:
    """Yield each subset's sum of terms [C, N], items in this order; it may be overwritten."""
    members, items, classes = logits.shape
    inside = membership(subsets, members)  # [M, S]
    held = members * items * classes <= _HELD
    if held:
        terms = _terms(logits[:, order], pooling).reshape(members, -1)
    chunk = max(1, (_SMALL_CHUNK if held else _CHUNK) // (items * classes))
    step = max(1, _BLOCK // (members * classes))
    for start in range(0, len(subsets), chunk):
        rows = inside[start : start + chunk]  # [m, S]
        if held:
            sums = (rows @ terms).reshape(-1, classes, items)
        else:
            sums = np.empty((len(rows), classes, items))
            for first in range(0, items, step):
                block = slice(first, first + step)
                x = _terms(logits[:, order[block]], pooling).reshape(members, -1)
                sums[:, :, block] = (rows @ x).reshape(len(rows), classes, -1)
        yield from sums


def _terms(logits: Floats, pooling: Pooling) -> Array:
    """Return what a combiner averages over members: [S, n, C] -> [S, C, n]."""
    x = np.array(logits.transpose(0, 2, 1), dtype=np.float64, order="C")
    x -= x.max(axis=1, keepdims=True)
    return pooling.terms(x)


def _softmax(x: Array) -> Array:
    """Return softmax over classes of [S, C, n] with a largest entry of 0, in place."""
    np.exp(x, out=x)
    x /= x.sum(axis=1, keepdims=True)
    return x


def _softmax_of_mean(x: Array, size: int) -> tuple[Array, Array]:
    x /= size
    x -= x.max(axis=0)
    log_p = x.copy()
    np.exp(x, out=x)
    total = x.sum(axis=0)
    x /= total
    log_p -= np.log(total)
    return x, log_p


def _mean_probability(p: Array, size: int) -> tuple[Array, Array] | None:
    if p.min() < _TINY:  # nearly certain: to be combined in log space
        return None
    p /= size
    return p, np.log(p)


def _votes(x: Array) -> Array:
    chosen = x.argmax(axis=1, keepdims=True)
    x = _softmax(x)
    x *= TIE_BREAK
    np.put_along_axis(x, chosen, 1 + np.take_along_axis(x, chosen, axis=1), axis=1)
    return x


def _smoothed_shares(votes: Array, size: int) -> tuple[Array, Array]:
    votes += 1 / len(votes)
    votes /= size * (1 + TIE_BREAK) + 1
    return votes, np.log(votes)


PROBABILITIES = Pooling(_softmax, _mean_probability)
LOGITS = Pooling(lambda x: x, _softmax_of_mean)
VOTES = Pooling(_votes, _smoothed_shares)
