"""Distances that users write, named `module.function`; what the function returns says its kind.

| returns              | the distance                            | is treated as           |
|----------------------|-----------------------------------------|-------------------------|
| features [S, n, K]   | D_ij = mean_n ‖φ_in − φ_jn‖²            | those in `EUCLIDEAN`    |
| distances [S, S]     | these, which must be squared            | `cka`: a matrix, no map |

Features are asked for by blocks of items, and of answers that a null has made: those of an item
must depend on that member's logits for it alone.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from chromatic_descent.errors import UserError
from chromatic_descent.own_code import locate

_TRIED = 8  # items by which the kind is found out


def has_features(logits: NDArray[np.floating], name: str) -> bool:
    """Whether the function `name` returns features, not a matrix.

    Raises UserError if it returns neither.
    """
    tried = _called(logits[:, :_TRIED], name)
    if tried.ndim not in (2, 3):
        raise _unexpected(logits[:, :_TRIED], name, tried)
    return tried.ndim == 3


def own_features(logits: NDArray[np.floating], name: str) -> NDArray[np.float64]:
    """The features of logits [S, n, C], a new array [S, n, K].

    Raises UserError if the function returns anything else, or values that are not finite.
    """
    phi = _called(logits, name)
    if phi.ndim == 2:
        raise UserError(
            f"{name} returns distances between members, not features of items: like cka it has a "
            "matrix, and no map, resampling or null that shuffles answers"
        )
    if phi.ndim != 3 or phi.shape[:2] != logits.shape[:2] or phi.shape[2] < 1:
        raise _unexpected(logits, name, phi)
    return phi


def own_matrix(logits: NDArray[np.floating], name: str) -> NDArray[np.float64]:
    """The squared distances [S, S] that the function `name` returns, unchecked but for shape."""
    squared = _called(logits, name)
    if squared.shape != (len(logits), len(logits)):
        raise _unexpected(logits, name, squared)
    return squared


def _called(logits: NDArray[np.floating], name: str) -> NDArray[np.float64]:
    """What the function returns, as a new array: callers write on it."""
    made: Any = np.array(locate(name)(logits), dtype=np.float64, order="C")
    if not np.isfinite(made).all():
        raise UserError(f"{name} returns NaN or infinite values for finite logits")
    result: NDArray[np.float64] = made
    return result


def _unexpected(logits: NDArray[np.floating], name: str, found: NDArray[np.float64]) -> UserError:
    members, items, classes = logits.shape
    return UserError(
        f"{name} returns {list(found.shape)} for logits [{members}, {items}, {classes}]: expected "
        f"features [{members}, {items}, K] or squared distances [{members}, {members}]"
    )
