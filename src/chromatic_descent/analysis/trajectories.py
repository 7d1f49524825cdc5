"""Members' paths through function space, where they were recorded along training."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chromatic_descent import geometry
from chromatic_descent.analysis.results import Array, NotComputed, attempt
from chromatic_descent.probe_logits import Population


@dataclass(frozen=True, eq=False)
class Trajectories:
    """Paths of S members over T recorded epochs.

    Attributes:
        epochs: [T], the epochs that were recorded.
        explained_stress: of the InPCA of all checkpoints together; cumulative, by axis.
        coordinates: [S, T, k] in that InPCA.
        landmarks: [2, k], where ignorance and the truth lie in it.
        progress: [S, T], from 0 (ignorance) to 1 (truth).
        path_length, path_low, path_high: [S], with a 95% interval over images.
        straightness: [S], the distance from first to last epoch as a share of the path length.
        between: [T], root mean squared Hellinger distance between two members.
        step: [T], the same between a member and itself one recorded epoch earlier.
        ratio, ratio_low, ratio_high: [T], between / step, with a 95% interval over images.
        separation_epoch, separation_low, separation_high: the epoch from which on the ratio
            exceeds 1, with a 95% interval over images; infinite if it does not by the last.
    """

    epochs: list[int]
    explained_stress: list[float]
    coordinates: Array
    landmarks: list[list[float]]
    progress: list[list[float]]
    path_length: list[float]
    path_low: list[float]
    path_high: list[float]
    straightness: list[float]
    between: list[float]
    step: list[float]
    ratio: list[float]
    ratio_low: list[float]
    ratio_high: list[float]
    separation_epoch: float
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
