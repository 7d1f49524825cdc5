"""Turning the logits of several members into one prediction."""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chromatic_descent.errors import UserError

# Every member casts one vote, and this share of another, spread as its probabilities are: too
# little to outvote anyone (below a million members), enough to break a tie.
TIE_BREAK = 1e-6

# What needs every member's probabilities takes them in blocks of about so many values (2 MiB).
_BLOCK = 2**18


def log_softmax(logits: ArrayLike) -> NDArray[np.float64]:
    """Return log-probabilities: log p_c = f_c − log Σ_c' exp(f_c'), in nats.

    Stable for logits of any size: the largest is taken out first.

    Args:
        logits: [..., C], any floating type.

    Returns:
        [..., C] float64, at most 0.

    Raises:
        UserError: fewer than 2 classes, or logits that are not finite.

    >>> import numpy as np
    >>> np.exp(log_softmax([[0.0, 0.0], [1e4, -1e4]]))
    array([[0.5, 0.5],
           [1. , 0. ]])
    """
    return _log_softmax(check_logits(logits))


def mean_probability(logits: ArrayLike) -> NDArray[np.float64]:
    """Return the log of the members' mean probability: log (1/S) Σ_i softmax(f_i).

    The usual deep ensemble. Taken in log space, so that an item on which every member is sure and
    wrong still has a finite log-probability.

    Args:
        logits: [S, N, C].

    Returns:
        [N, C] float64 log-probabilities, in nats.

    Raises:
        UserError: logits of another shape, or not finite.

    Source: Lakshminarayanan, Pritzel & Blundell 2017, arXiv:1612.01474.

    >>> import numpy as np
    >>> np.exp(mean_probability([[[1e4, 0.0]], [[0.0, 0.0]]]))
    array([[0.75, 0.25]])
    """
    stack = check_stack(logits)
    combined = np.empty(stack.shape[1:])
    for block, log_p in log_softmax_blocks(stack):  # [S, n, C]
        combined[block] = log_mean_exp(log_p)
    return combined


def mean_logit(logits: ArrayLike) -> NDArray[np.float64]:
    """Return the log-softmax of the members' mean logit: log softmax((1/S) Σ_i f_i).

    The same as `geometric_mean`, whatever the logits.

    Args:
        logits: [S, N, C].

    Returns:
        [N, C] float64 log-probabilities, in nats.

    Raises:
        UserError: logits of another shape, or not finite.

    >>> import numpy as np
    >>> np.exp(mean_logit([[[2.0, 0.0]], [[-2.0, 0.0]]]))
    array([[0.5, 0.5]])
    """
    return log_softmax(check_stack(logits).mean(axis=0, dtype=np.float64))


def geometric_mean(logits: ArrayLike) -> NDArray[np.float64]:
    """Return the log of the members' geometric mean probability, normalised.

        log q̄_c = (1/S) Σ_i log p_ic − log Z,   Z = Σ_c Π_i p_ic^(1/S)

    Identical to `mean_logit` but for round-off: log p_ic = f_ic − log Σ_c' exp f_ic', and what is
    taken off is the same for all classes of an item, so the normalisation takes it out again.
    Two names for one combiner: a logarithmic opinion pool, and the one for which cross-entropy
    has an exact decomposition (see `decompositions`).

    Args:
        logits: [S, N, C].

    Returns:
        [N, C] float64 log-probabilities, in nats.

    Raises:
        UserError: logits of another shape, or not finite.

    Source: Wood et al. 2023, arXiv:2301.03962, as the centroid of cross-entropy.

    >>> import numpy as np
    >>> p = np.array([[[0.8, 0.2]], [[0.5, 0.5]]])  # √(0.8·0.5) : √(0.2·0.5) is 2 : 1
    >>> np.exp(geometric_mean(np.log(p))).round(6)
    array([[0.666667, 0.333333]])
    """
    stack = check_stack(logits)
    mean = np.empty(stack.shape[1:])
    for block, log_p in log_softmax_blocks(stack):  # [S, n, C]
        mean[block] = log_p.mean(axis=0)
    return log_softmax(mean)


def majority_vote(logits: ArrayLike) -> NDArray[np.float64]:
    """Return the log of the members' shares of votes, with one more vote spread evenly.

        log p_c,   p_c = (n_c + 1/C) / (S + 1),   n_c = #{i: argmax_c' f_ic' = c}

    A vote holds no probability: a label that nobody votes for has a share of 0, and an infinite
    NLL, whatever the other items. The added vote (the even Dirichlet prior of total weight 1)
    makes it finite: about log(C (S + 1)) nats at most. So NLL and calibration of this combiner
    are those of smoothed shares, and its confidence is at most (S + 1/C)/(S + 1) however sure the
    members are; its accuracy is that of the plain vote.

    Ties go to the class of larger mean probability among those that tie: to this end each member
    also gives a millionth of a vote, spread as its probabilities are (of its own equally probable
    classes a member votes for the first).

    Args:
        logits: [S, N, C].

    Returns:
        [N, C] float64 log-probabilities, in nats.

    Raises:
        UserError: logits of another shape, or not finite.

    >>> import numpy as np
    >>> np.exp(majority_vote([[[9.0, 0.0]], [[0.0, 1.0]], [[0.0, 1.0]]])).round(6)
    array([[0.375, 0.625]])
    >>> votes = np.exp(majority_vote([[[9.0, 0.0]], [[0.0, 1.0]]]))  # a tie: the surer one wins
    >>> votes.round(6), int(votes.argmax())
    (array([[0.5, 0.5]]), 0)
    """
    stack = check_stack(logits)
    members, items, classes = stack.shape
    votes: NDArray[np.float64] = np.full((items, classes), 1 / classes)
    for block, log_p in log_softmax_blocks(stack):  # [S, n, C]
        votes[block] += TIE_BREAK * np.exp(log_p).sum(axis=0)
        n = log_p.shape[1]
        voted = stack[:, block].argmax(axis=-1) + classes * np.arange(n)  # [S, n]
        votes[block] += np.bincount(voted.ravel(), minlength=n * classes).reshape(n, classes)
    log_votes: NDArray[np.float64] = np.log(votes / (members * (1 + TIE_BREAK) + 1))
    return log_votes


def _log_softmax(logits: NDArray[np.floating]) -> NDArray[np.float64]:
    values = logits.astype(np.float64)
    values -= values.max(axis=-1, keepdims=True)
    values -= np.log(np.exp(values).sum(axis=-1, keepdims=True))
    return values


def log_mean_exp(log_p: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return log (1/S) Σ_i exp(log p_i), stably: [S, ...] -> [...]."""
    top = log_p.max(axis=0)
    combined: NDArray[np.float64] = top + np.log(np.exp(log_p - top).mean(axis=0))
    return combined


COMBINERS: dict[str, Callable[[ArrayLike], NDArray[np.float64]]] = {
    "mean_probability": mean_probability,
    "mean_logit": mean_logit,
    "geometric_mean": geometric_mean,
    "majority_vote": majority_vote,
}
"""Every combiner by name: each takes logits [S, N, C] and returns log-probabilities [N, C]."""


def log_softmax_blocks(
    stack: NDArray[np.floating],
) -> Iterator[tuple[slice, NDArray[np.float64]]]:
    """Yield members' log-probabilities [S, n, C] by blocks of items, with the items' slice."""
    members, items, classes = stack.shape
    step = max(1, _BLOCK // (members * classes))
    for start in range(0, items, step):
        block = slice(start, start + step)
        yield block, _log_softmax(stack[:, block])


def check_logits(logits: ArrayLike) -> NDArray[np.floating]:
    """Return `logits` as an array, or raise UserError unless it is finite [..., C>=2]."""
    array = np.asarray(logits)
    if array.dtype.kind in "iu":
        array = array.astype(np.float64)
    if array.dtype.kind != "f":
        raise UserError(f"logits must be real numbers; found dtype {array.dtype}")
    if array.ndim < 1 or array.shape[-1] < 2 or array.size == 0:
        raise UserError(
            f"logits must have shape [..., C] with at least 2 classes; found {list(array.shape)}"
        )
    # Member by member: the array may be on disk, and larger than memory.
    parts = array if array.ndim > 2 else [array]
    bad = sum(part.size - int(np.count_nonzero(np.isfinite(part))) for part in parts)
    if bad:
        raise UserError(f"logits must be finite; found {bad} of {array.size} to be NaN or infinite")
    return array


def check_stack(logits: ArrayLike) -> NDArray[np.floating]:
    """Return `logits` as an array, or raise UserError unless it is finite [S, N, C>=2]."""
    array = check_logits(logits)
    if array.ndim != 3:
        raise UserError(f"the members' logits must have shape [S, N, C]; found {list(array.shape)}")
    return array
