"""Turning the logits of several members into one prediction."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chromatic_descent.errors import UserError


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
    values = check_logits(logits).astype(np.float64)
    values -= values.max(axis=-1, keepdims=True)
    values -= np.log(np.exp(values).sum(axis=-1, keepdims=True))
    return values


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
    log_p = log_softmax(check_stack(logits))  # [S, N, C]
    top = log_p.max(axis=0)
    combined: NDArray[np.float64] = top + np.log(np.exp(log_p - top).mean(axis=0))
    return combined


def mean_logit(logits: ArrayLike) -> NDArray[np.float64]:
    """Return the log-softmax of the members' mean logit: log softmax((1/S) Σ_i f_i).

    The same as their geometric mean probability, normalised.

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
    bad = int(array.size - np.count_nonzero(np.isfinite(array)))
    if bad:
        raise UserError(f"logits must be finite; found {bad} of {array.size} to be NaN or infinite")
    return array


def check_stack(logits: ArrayLike) -> NDArray[np.floating]:
    """Return `logits` as an array, or raise UserError unless it is finite [S, N, C>=2]."""
    array = check_logits(logits)
    if array.ndim != 3:
        raise UserError(f"the members' logits must have shape [S, N, C]; found {list(array.shape)}")
    return array
