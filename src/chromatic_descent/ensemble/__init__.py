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

__all__ = ["CrossCalibrated", "Reliability", "calibrated_scores", "cross_calibrated"]
__all__ += ["fit_temperature", "probe_halves", "reliability"]
__all__ += ["COMBINERS", "Combiner", "geometric_mean", "majority_vote", "mean_logit"]
__all__ += ["mean_probability"]
__all__ += ["size_curves"]
__all__ += ["Decomposition", "decompositions"]
__all__ += ["Diversity", "diversity", "oracle_accuracy"]
__all__ += ["DistanceGain", "distance_predicts_gain"]
__all__ += ["log_softmax"]
__all__ += ["METRICS", "Metric", "Prediction", "accuracy", "brier", "classwise_ece", "ece", "nll"]
__all__ += ["PairedDifference", "jackknife_interval", "paired_difference"]
__all__ += ["farthest_point", "greedy_forward", "k_medoids", "selection_curves"]
__all__ += ["Uncertainty", "auroc", "uncertainty"]
