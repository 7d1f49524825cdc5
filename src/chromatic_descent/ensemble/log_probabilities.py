"""Log-probabilities of logits, member by member: the input of combiners and scores."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chromatic_descent.errors import UserError
from chromatic_descent.geometry.checks import Array, Floats, check_labels, check_logits

_BLOCK = 2**18  # float64 values (2 MiB) of members' probabilities that are held at once


def log_softmax(logits: ArrayLike) -> Array:
    """Return log-probabilities: log p_c = f_c − log Σ_c' exp(f_c'), in nats.

    Stable for logits of any size: the largest is subtracted first.

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
    return _log_softmax(check_any_logits(logits))


def _log_softmax(logits: Floats) -> Array:
    values = logits.astype(np.float64)
    values -= values.max(axis=-1, keepdims=True)
    values -= np.log(np.exp(values).sum(axis=-1, keepdims=True))
    return values


def log_mean_exp(log_p: Array) -> Array:
    """Return log (1/S) Σ_i exp(log p_i), stably: [S, ...] -> [...]."""
    top = log_p.max(axis=0)
    return np.asarray(top + np.log(np.exp(log_p - top).mean(axis=0)))


def log_softmax_blocks(stack: Floats) -> Iterator[tuple[slice, Array]]:
    """Yield members' log-probabilities [S, n, C] by blocks of items, with the items' slice."""
    members, items, classes = stack.shape
    step = max(1, _BLOCK // (members * classes))
    for start in range(0, items, step):
        block = slice(start, start + step)
        yield block, _log_softmax(stack[:, block])


def at_label(values: Array, labels: NDArray[np.intp]) -> Array:
    """Return the entry of each item's label: [..., N, C] -> [..., N]."""
    return values[..., np.arange(len(labels)), labels]


def check_members(logits: ArrayLike, labels: ArrayLike) -> tuple[Floats, NDArray[np.intp]]:
    """Return both as arrays, or raise UserError unless they are finite [S>=1, N, C>=2] and [N]."""
    stack = check_logits(logits, members=1)
    return stack, check_labels(labels, "an ensemble's score", *stack.shape[1:])


def check_any_logits(logits: ArrayLike) -> Floats:
    """Return `logits` as an array, or raise UserError unless it is finite [..., C>=2]."""
    array = np.asarray(logits)
    if array.ndim < 1 or array.shape[-1] < 2 or array.size == 0:
        raise UserError(
            f"logits must have shape [..., C] with at least 2 classes; found {list(array.shape)}"
        )
    stack = array.reshape(-1, *np.atleast_2d(array).shape[-2:])
    return check_logits(stack, members=1).reshape(array.shape)
