"""Members trained together, in one process: `population=joint`."""

from chromatic_descent.training.joint.train import joint

__all__ = ["joint"]
