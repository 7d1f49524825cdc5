"""Ensembles: combining members, scoring the result, calibrating it.

Pure functions on NumPy arrays; a `.npy` of logits [S, N, C] from any source is enough.
"""

from chromatic_descent.ensemble.calibration import fit_temperature
from chromatic_descent.ensemble.combine import log_softmax, mean_logit, mean_probability
from chromatic_descent.ensemble.curves import size_curve
from chromatic_descent.ensemble.metrics import accuracy, brier, ece, nll

__all__ = [
    "accuracy",
    "brier",
    "ece",
    "fit_temperature",
    "log_softmax",
    "mean_logit",
    "mean_probability",
    "nll",
    "size_curve",
]
