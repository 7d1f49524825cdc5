"""Members' paths through function space, where they were recorded along training."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

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
    """Lay out all members' checkpoints by InPCA, and ask when members separate."""
    logits, epochs = population.trajectories, population.epochs
    if logits is None or epochs is None:
        return NotComputed("members were not recorded along training: train with probe.every=1")
    return attempt(_follow, logits, epochs, population.labels, bootstrap, seed)


def _follow(
    logits: NDArray[np.floating],
    epochs: NDArray[np.int64],
    labels: NDArray[np.int64],
    bootstrap: int,
    seed: int,
) -> Trajectories:
    paths = geometry.trajectories(logits, labels, resamples=bootstrap, seed=seed)

    def epoch_of(recorded: float) -> float:
        return float(epochs[int(recorded)]) if recorded < len(epochs) else float("inf")

    return Trajectories(
        epochs=epochs.tolist(),
        explained_stress=paths.embedding.explained_stress.tolist(),
        coordinates=paths.coordinates,
        landmarks=paths.landmarks.tolist(),
        progress=paths.progress.tolist(),
        path_length=paths.path_length.tolist(),
        path_low=paths.path_low.tolist(),
        path_high=paths.path_high.tolist(),
        straightness=paths.straightness.tolist(),
        between=paths.between.tolist(),
        step=paths.step.tolist(),
        ratio=paths.ratio.tolist(),
        ratio_low=paths.ratio_low.tolist(),
        ratio_high=paths.ratio_high.tolist(),
        separation_epoch=epoch_of(paths.separation),
        separation_low=epoch_of(paths.separation_low),
        separation_high=epoch_of(paths.separation_high),
    )
