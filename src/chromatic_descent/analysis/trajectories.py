"""Members' paths through function space, if they were recorded during training."""

import math
from dataclasses import dataclass

import numpy as np

from chromatic_descent import geometry
from chromatic_descent.analysis.results import Array, NotComputed, attempt
from chromatic_descent.probe_logits import Population


@dataclass(frozen=True, eq=False)
class Trajectories:
    """Paths of S members over T recorded epochs, in the InPCA of all checkpoints together."""

    epochs: list[int]  # [T]
    explained_stress: list[float]  # cumulative, by axis
    coordinates: Array  # [S, T, k]
    landmarks: list[list[float]]  # [2, k], ignorance and the truth
    progress: list[list[float]]  # [S, T], from 0 (ignorance) to 1 (truth)
    path_length: list[float]  # [S], with a 95% interval over images
    path_low: list[float]
    path_high: list[float]
    straightness: list[float]  # [S], the distance from start to end by the path length
    between: list[float]  # [T], root mean squared Hellinger distance between two members
    step: list[float]  # [T], between a member and itself one recorded epoch earlier
    ratio: list[float]  # [T], between / step, with a 95% interval over images
    ratio_low: list[float]
    ratio_high: list[float]
    separation_epoch: float  # from which on the ratio exceeds 1; infinite if it never does
    separation_low: float
    separation_high: float


def follow_trajectories(
    population: Population, *, bootstrap: int = 200, seed: int = 0
) -> Trajectories | NotComputed:
    """Lay out all members' checkpoints by InPCA, and find when members separate."""
    logits, epochs = population.trajectories, population.epochs
    if logits is None or epochs is None:
        return NotComputed("members were not recorded along training: train with probe.every=1")
    inputs = logits, population.labels
    paths = attempt(geometry.trajectories, *inputs, resamples=bootstrap, seed=seed)
    if isinstance(paths, NotComputed):
        return paths
    arrays = {k: value for k, value in vars(paths).items() if isinstance(value, np.ndarray)}
    coordinates = arrays.pop("coordinates")

    def epoch_of(recorded: float) -> float:
        return float(epochs[int(recorded)]) if recorded < len(epochs) else math.inf

    return Trajectories(
        epochs=epochs.tolist(),
        explained_stress=paths.embedding.explained_stress.tolist(),
        coordinates=coordinates,
        separation_epoch=epoch_of(paths.separation),
        separation_low=epoch_of(paths.separation_low),
        separation_high=epoch_of(paths.separation_high),
        **{name: array.tolist() for name, array in arrays.items()},
    )
