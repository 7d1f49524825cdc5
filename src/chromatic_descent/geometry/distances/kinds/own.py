"""User-supplied distances, named `module.function`. The shape of the result decides the kind:

| returns              | the distance                            | is treated as             |
|----------------------|-----------------------------------------|---------------------------|
| features [S, n, K]   | D_ij = mean_n ‖φ_in − φ_jn‖²            | a member of `EUCLIDEAN`   |
| distances [S, S]     | D itself, which must be squared         | `cka`: a matrix, no map   |

The function is called for blocks of items, and for logits drawn from a null, so the features of an
item may depend only on one member's logits for that item.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from chromatic_descent.errors import UserError
from chromatic_descent.geometry.checks import Array, Floats, check_squared
from chromatic_descent.geometry.distances.definition import Distance, Report
from chromatic_descent.own_code import locate

_TRIED = 8  # items that a function is tried on


def own_distance(name: str) -> Distance:
    """Return the distance that a user's function computes, or raise UserError if it is missing."""
    function = locate(name)
    vector = partial(_features, function, name)
    distance = Distance(name=name, title=title_of_own(name), vector=vector)
    return replace(distance, adapt=partial(_adapted, function, distance))


def title_of_own(name: str) -> str:
    """Return a title for a name that is not one of this package's distances."""
    return name.replace("_", " ")


def _adapted(function: Callable[..., Any], distance: Distance, logits: Floats) -> Distance:
    """Return the distance with its kind, which a call with a few items reveals."""
    few = logits[:, :_TRIED]
    result = _called(function, distance.name, few)
    if result.ndim == 3:
        return replace(distance, euclidean=True, width=int(result.shape[2]))
    if result.ndim == 2:
        return replace(distance, over_items=False, alone=partial(_matrix, function))
    raise _unexpected(distance.name, few, result)


def _features(function: Callable[..., Any], name: str, logits: Floats) -> Array:
    """Return the features of logits [S, n, C], a new array [S, n, K]."""
    phi = _called(function, name, logits)
    if phi.ndim != 3 or phi.shape[:2] != logits.shape[:2] or phi.shape[2] < 1:
        raise _unexpected(name, logits, phi)
    return phi


def _matrix(
    function: Callable[..., Any],
    logits: Floats,
    distance: Distance,
    weights: Floats | None,
    report: Report,
) -> Array:
    """Return the function's squared distances [S, S], checked."""
    squared = _called(function, distance.name, logits)
    if squared.shape != (len(logits), len(logits)):
        raise _unexpected(distance.name, logits, squared)
    try:
        checked = check_squared(squared)
    except UserError as error:
        raise UserError(f"{distance.name}: {error}") from error
    report(1.0)
    return checked


def _called(function: Callable[..., Any], name: str, logits: Floats) -> Array:
    """Return the function's result as a new array, since callers overwrite it."""
    result: Array = np.array(function(logits), dtype=np.float64, order="C")
    if not np.isfinite(result).all():
        raise UserError(f"{name} returns NaN or infinite values for finite logits")
    return result


def _unexpected(name: str, logits: Floats, returned: Array) -> UserError:
    members, items, _ = logits.shape
    return UserError(
        f"{name} returns {list(returned.shape)} for logits {list(logits.shape)}: expected features "
        f"[{members}, {items}, K] or squared distances [{members}, {members}]"
    )
