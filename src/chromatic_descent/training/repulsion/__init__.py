"""Repulsion: terms that push members apart, the points they look at, and against whom."""

from chromatic_descent.training.repulsion.points import Points, at_step, pool
from chromatic_descent.training.repulsion.repulsion import (
    Repulsion,
    evaluating,
    features,
    from_config,
)
from chromatic_descent.training.repulsion.terms import Term

__all__ = [
    "Points",
    "Repulsion",
    "Term",
    "at_step",
    "evaluating",
    "features",
    "from_config",
    "pool",
]
