"""Repulsion: terms that push members apart, the images they use, and the members they act on."""

from chromatic_descent.training.repulsion.features import evaluating, features
from chromatic_descent.training.repulsion.points import Points, at_step, pool
from chromatic_descent.training.repulsion.repulsion import Repulsion, from_config
from chromatic_descent.training.repulsion.terms import Term

__all__ = ["Points", "at_step", "evaluating", "features", "pool"]
__all__ += ["Repulsion", "Term", "from_config"]
