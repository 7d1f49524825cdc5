"""Members' paths through function space, where they were recorded along training."""

from chromatic_descent import geometry
from chromatic_descent.analysis.results import Result, attempt
from chromatic_descent.probe_logits import Population


def trajectories(population: Population, *, bootstrap: int = 200, seed: int = 0) -> Result:
    """InPCA of all members' checkpoints together; progress, path lengths, when members separate."""
    if population.trajectories is None or population.epochs is None:
        return {
            "not_computed": "members were not recorded along training: train with probe.every=1"
        }
    return dict(attempt(_trajectories, population, bootstrap, seed))


def _trajectories(population: Population, bootstrap: int, seed: int) -> Result:
    logits, epochs = population.trajectories, population.epochs
    assert logits is not None
    assert epochs is not None
    found = geometry.trajectories(logits, population.labels, resamples=bootstrap, seed=seed)

    def of_epoch(recorded: float) -> float:
        return float(epochs[int(recorded)]) if recorded < len(epochs) else float("inf")

    return {
        "epochs": epochs.tolist(),
        "explained_stress": found.embedding.explained_stress.tolist(),
        "coordinates": found.coordinates,
        "landmarks": found.landmarks.tolist(),
        "progress": found.progress.tolist(),
        "path_length": found.path_length.tolist(),
        "path_low": found.path_low.tolist(),
        "path_high": found.path_high.tolist(),
        "straightness": found.straightness.tolist(),
        "between": found.between.tolist(),
        "step": found.step.tolist(),
        "ratio": found.ratio.tolist(),
        "ratio_low": found.ratio_low.tolist(),
        "ratio_high": found.ratio_high.tolist(),
        "separation_epoch": of_epoch(found.separation),
        "separation_low": of_epoch(found.separation_low),
        "separation_high": of_epoch(found.separation_high),
    }
