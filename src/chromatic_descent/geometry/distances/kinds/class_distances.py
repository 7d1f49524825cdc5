"""Distances between predicted classes: how often members differ, and whether they err alike."""

import numpy as np

from chromatic_descent.geometry.checks import Array
from chromatic_descent.geometry.distances import definition
from chromatic_descent.geometry.distances.definition import Distance, Gram, Kernel, Totals
from chromatic_descent.geometry.distances.ingredients import one_hot

_ALL = ("predicted", "predicted")
_WRONG = ("wrongly_predicted", "wrongly_predicted")
_COMMON_ERRORS = ("common_errors", "common_errors")


def _differing(sums: Totals, distance: Distance) -> tuple[Array, Array | None]:
    """Return twice the weight of the items on which two members' predictions differ."""
    return _twice_less(sums.gram(_ALL), sums)


def _differing_from_errors(sums: Totals, distance: Distance) -> tuple[Array, Array | None]:
    """Return the same, from the items on which both err alike and those that both get right."""
    agreed, common = sums.gram(_WRONG), sums.gram(_COMMON_ERRORS)
    errors = common.diagonal().copy()
    agreed += common
    agreed += sums.weight
    agreed -= errors[:, None]
    agreed -= errors
    return _twice_less(agreed, sums)


def _twice_less(agreed: Array, sums: Totals) -> tuple[Array, Array | None]:
    agreed -= sums.weight
    agreed *= -2
    return agreed, _error(agreed, sums)


def _differing_errors(sums: Totals, distance: Distance) -> tuple[Array, Array | None]:
    """Return the weight of the items that two members get wrong with different predictions."""
    squared = sums.gram(_COMMON_ERRORS)
    squared -= sums.gram(_WRONG)
    return squared, _error(squared, sums)


def _error(squared: Array, sums: Totals) -> Array | None:
    return None if sums.exact else np.full_like(squared, 2 * sums.weight)


def _different_errors(others: Array, one: Array) -> Array:
    """Return 1 where both are wrong with different predictions, otherwise 0: [others, n]."""
    both: Array = others.sum(axis=-1) * one.sum(axis=-1)
    both -= np.einsum("jnc,nc->jn", others, one)  # the same prediction
    return both


DISAGREEMENT = Distance(
    name="disagreement",
    title="disagreement",
    formula="1 if the most probable classes differ, otherwise 0",
    blind_to="all but the predicted class",
    unit="0 to 1",
    euclidean=True,
    vector=one_hot,
    divisor=2.0,
    gram=Gram((_ALL,), _differing, beside=Gram((_WRONG, _COMMON_ERRORS), _differing_from_errors)),
)

ERROR_DISAGREEMENT = Distance(
    name="error_disagreement",
    title="error disagreement",
    formula="the same, over images that both get wrong",
    blind_to="all but wrong predictions",
    unit="0 to 1",
    errors_only=True,
    vector=one_hot,
    by_item=_different_errors,
    kernel=Kernel(sides=definition.as_they_are),
    gram=Gram((_WRONG, _COMMON_ERRORS), _differing_errors, over=_COMMON_ERRORS),
)
