"""Distances that users write, named `module.function`. The shape of the result decides the kind.

| returns              | the distance                            | is treated as           |
|----------------------|-----------------------------------------|-------------------------|
| features [S, n, K]   | D_ij = mean_n ‖φ_in − φ_jn‖²            | those in `EUCLIDEAN`    |
| distances [S, S]     | D itself, which must be squared         | `cka`: a matrix, no map |

The function is called for blocks of items, and for logits that a null has made, so an item's
features may depend only on one member's logits for it.
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
    """Return the distance by the function of that name, of whichever kind.

    Raises UserError if there is no such function.
    """
    function = locate(name)
    vector = partial(_features, function, name)
    known = Distance(name=name, title=title_of_own(name), vector=vector)
    return replace(known, adapt=partial(_adapted, function, known))


def title_of_own(name: str) -> str:
    """Return a title for a name that is not one of this package's distances."""
    return name.replace("_", " ")


def _adapted(function: Callable[..., Any], known: Distance, logits: Floats) -> Distance:
    """Return the distance with its kind, which a call with a few items reveals."""
    few = logits[:, :_TRIED]
    tried = _called(function, known.name, few)
    if tried.ndim == 3:
        return replace(known, euclidean=True, width=int(tried.shape[2]))
    if tried.ndim == 2:
        return replace(known, over_items=False, alone=partial(_matrix, function))
    raise _unexpected(known.name, few, tried)


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
    """Return the squared distances [S, S] that the function returns."""
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
    members, items, classes = logits.shape
    return UserError(
        f"{name} returns {list(returned.shape)} for logits [{members}, {items}, {classes}]: "
        f"expected features [{members}, {items}, K] or squared distances [{members}, {members}]"
    )
