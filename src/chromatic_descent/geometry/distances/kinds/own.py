"""Distances that users write, named `module.function`; what the function returns says its kind.

| returns              | the distance                            | is treated as           |
|----------------------|-----------------------------------------|-------------------------|
| features [S, n, K]   | D_ij = mean_n ‖φ_in − φ_jn‖²            | those in `EUCLIDEAN`    |
| distances [S, S]     | these, which must be squared            | `cka`: a matrix, no map |

Features are asked for by blocks of items, and of predictions that a null has made: those of an item
must depend on that member's logits for it alone.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from chromatic_descent.errors import UserError
from chromatic_descent.geometry.checks import Array, Floats, check_squared
from chromatic_descent.geometry.distances.definition import Distance, Report
from chromatic_descent.own_code import locate

_TRIED = 8  # items that show what a function returns


def own_distance(name: str) -> Distance:
    """Return the distance by the function of that name, of whichever kind.

    Raises UserError if there is no such function.
    """
    function = locate(name)
    return Distance(
        name=name,
        title=title_of_own(name),
        vector=partial(_features, function, name),
        adapt=partial(_adapted, function, name),
    )


def title_of_own(name: str) -> str:
    """Return a title for a name that is not one of this package's distances."""
    return name.replace("_", " ")


def _adapted(function: Callable[..., Any], name: str, logits: Floats) -> Distance:
    """Return the distance as what the function returns for a few items shows it to be."""
    few = logits[:, :_TRIED]
    tried = _called(function, name, few)
    if tried.ndim not in (2, 3):
        raise _unexpected(name, few, tried)
    euclidean = tried.ndim == 3
    return Distance(
        name=name,
        title=title_of_own(name),
        euclidean=euclidean,
        over_items=euclidean,
        vector=partial(_features, function, name),
        width=int(tried.shape[2]) if euclidean else None,
        alone=None if euclidean else partial(_matrix, function),
    )


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
    """Return what the function returns, as a new array: callers write on it."""
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
