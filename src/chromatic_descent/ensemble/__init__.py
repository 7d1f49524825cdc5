"""Ensembles: combining members, scoring and calibrating the result, and the value of diversity.

Pure functions on NumPy arrays: logits [S, N, C] from any source are enough.
"""

from chromatic_descent.ensemble.calibration import (
    CrossCalibrated,
    Reliability,
    calibrated_scores,
    cross_calibrated,
    fit_temperature,
    probe_halves,
    reliability,
)
from chromatic_descent.ensemble.combination import (
    COMBINERS,
    Combiner,
    geometric_mean,
    majority_vote,
    mean_logit,
    mean_probability,
)
from chromatic_descent.ensemble.curves import size_curves
from chromatic_descent.ensemble.decomposition import Decomposition, decompositions
from chromatic_descent.ensemble.diversity import Diversity, diversity, oracle_accuracy
from chromatic_descent.ensemble.gain import DistanceGain, distance_predicts_gain
from chromatic_descent.ensemble.log_probabilities import log_softmax
from chromatic_descent.ensemble.metrics import (
    METRICS,
    Metric,
    Prediction,
    accuracy,
    brier,
    classwise_ece,
    ece,
    nll,
)
from chromatic_descent.ensemble.paired import (
    PairedDifference,
    jackknife_interval,
    paired_difference,
)
from chromatic_descent.ensemble.selection import (
    farthest_point,
    greedy_forward,
    k_medoids,
    selection_curves,
)
from chromatic_descent.ensemble.uncertainty import Uncertainty, auroc, uncertainty

__all__ = [
    "COMBINERS",
    "METRICS",
    "Combiner",
    "CrossCalibrated",
    "Decomposition",
    "DistanceGain",
    "Diversity",
    "Metric",
    "PairedDifference",
    "Prediction",
    "Reliability",
    "Uncertainty",
    "accuracy",
    "auroc",
    "brier",
    "calibrated_scores",
    "classwise_ece",
    "cross_calibrated",
    "decompositions",
    "distance_predicts_gain",
    "diversity",
    "ece",
    "farthest_point",
    "fit_temperature",
    "geometric_mean",
    "greedy_forward",
    "jackknife_interval",
    "k_medoids",
    "log_softmax",
    "majority_vote",
    "mean_logit",
    "mean_probability",
    "nll",
    "oracle_accuracy",
    "paired_difference",
    "probe_halves",
    "reliability",
    "selection_curves",
    "size_curves",
    "uncertainty",
]
