"""What ensembles of members are worth, why they gain, and which members to pick."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from chromatic_descent import ensemble, geometry
from chromatic_descent.analysis.distances import Distances
from chromatic_descent.analysis.results import Array, NotComputed, attempt
from chromatic_descent.ensemble.combination import check_combiners
from chromatic_descent.geometry.cores import one_thread_a_core
from chromatic_descent.own_code import is_own
from chromatic_descent.probe_logits import Population

GAIN_DISTANCE = "hellinger"  # by which members are picked and their spread is measured

T = TypeVar("T")


@dataclass(frozen=True)
class ImageMean:
    """A mean over probe images, and its standard error."""

    mean: float
    standard_error: float


@dataclass(frozen=True, eq=False)
class Diversity:
    """Diversity of the members' predicted classes, by measure."""

    means: dict[str, float]  # over pairs of members
    standard_errors: dict[str, float]  # of the means, over probe images
    pairs: dict[str, Array]  # [S, S]
    oracle_accuracy: float  # share of images that at least one member gets right


@dataclass(frozen=True)
class Decomposition:
    """A loss of the ensemble as that of its members less their diversity; means over images."""

    combiner: str
    ensemble: float
    members: float
    diversity: float
    diversity_standard_error: float


@dataclass(frozen=True, eq=False)
class Gain:
    """Whether the spread of a subset of members predicts what its ensemble gains."""

    distance: str  # by which spread is measured
    table: pd.DataFrame  # target, correlation, low, high, p_value, size, subsets
    subsets: pd.DataFrame  # spread, and the value of each target


@dataclass(frozen=True, eq=False)
class Ensembles:
    """What ensembles of these members are worth, and why."""

    curves: pd.DataFrame  # a row per combiner, stage (raw, calibrated), size and metric
    reliability: pd.DataFrame | NotComputed  # of, calibrated, confidence, accuracy, count
    uncertainty: dict[str, ImageMean] | NotComputed  # total, expected, mutual_information (nats)
    diversity: Diversity | NotComputed
    decompositions: dict[str, Decomposition] | NotComputed  # by loss
    selection: pd.DataFrame | NotComputed  # picked on half the probe, scored on the other half
    gain: Gain | NotComputed


def score_ensembles(
    population: Population,
    distances: Distances,
    *,
    combiners: Sequence[str] = tuple(ensemble.COMBINERS),
    subsets: int = 30,
    bootstrap: int = 200,
    permutations: int = 999,
    seed: int = 0,
) -> Ensembles:
    """Score ensembles by size and combiner, and ask why they gain and which members to pick."""
    logits, labels = population.logits, population.labels
    for name, combine in check_combiners(combiners).items():
        if is_own(name):  # a mistake in it is an error, not something that the data do not allow
            combine(logits[:, :1])

    with one_thread_a_core() as threads:

        def start(compute: Callable[[], T]) -> Future[T | NotComputed]:
            return threads.submit(attempt, compute)

        curves = threads.submit(
            ensemble.size_curves,
            *(logits, labels),
            combiners=combiners,
            subsets=subsets,
            resamples=bootstrap,
            calibrate=len(labels) > 1,
            seed=seed,
        )
        reliability = start(lambda: _reliability(population, seed))
        uncertainty = start(lambda: _uncertainty(population))
        diversity = start(lambda: _diversity(population))
        decompositions = start(lambda: _decompositions(population))
        selection = start(lambda: _selection(population, bootstrap, seed))
        gain = start(lambda: _gain(population, distances, permutations, seed))
    return Ensembles(
        curves=curves.result(),
        reliability=reliability.result(),
        uncertainty=uncertainty.result(),
        diversity=diversity.result(),
        decompositions=decompositions.result(),
        selection=selection.result(),
        gain=gain.result(),
    )


def _reliability(population: Population, seed: int) -> pd.DataFrame:
    """Reliability of all members' predictions pooled, and of their mean probability."""
    labels = population.labels
    tables = []
    stacks: dict[str, NDArray[np.floating]] = {
        "members": population.logits,  # [S, N, C]
        "ensemble": ensemble.mean_probability(population.logits)[None],  # [1, N, C]
    }
    for of, logits in stacks.items():
        for calibrated in (False, True):
            log_p = (
                ensemble.cross_calibrated(logits, labels, seed=seed).log_probs
                if calibrated
                else ensemble.log_softmax(logits)
            )
            bins = ensemble.reliability(np.concatenate(list(log_p)), np.tile(labels, len(log_p)))
            tables.append(
                pd.DataFrame(
                    {
                        "of": of,
                        "calibrated": calibrated,
                        "confidence": bins.confidence,
                        "accuracy": bins.accuracy,
                        "count": bins.counts,
                    }
                )
            )
    return pd.concat(tables, ignore_index=True)


def _uncertainty(population: Population) -> dict[str, ImageMean]:
    parts = vars(ensemble.uncertainty(population.logits))  # [N] each
    return {
        name: ImageMean(float(values.mean()), float(values.std() / np.sqrt(len(values))))
        for name, values in parts.items()
    }


def _diversity(population: Population) -> Diversity:
    pairwise = ensemble.diversity(population.logits, population.labels)
    oracle = ensemble.oracle_accuracy(population.logits, population.labels)
    return Diversity(**vars(pairwise), oracle_accuracy=oracle)


def _decompositions(population: Population) -> dict[str, Decomposition]:
    splits = ensemble.decompositions(population.logits, population.labels)
    return {
        loss: Decomposition(
            combiner=split.combiner,
            ensemble=float(split.ensemble.mean()),
            members=float(split.members.mean()),
            diversity=float(split.diversity.mean()),
            diversity_standard_error=float(split.diversity.std() / np.sqrt(len(split.diversity))),
        )
        for loss, split in splits.items()
    }


def _selection(population: Population, bootstrap: int, seed: int) -> pd.DataFrame:
    return ensemble.selection_curves(
        *(population.logits, population.labels),
        lambda half: geometry.distance_matrix(half, GAIN_DISTANCE),
        resamples=bootstrap,
        seed=seed,
    )


def _gain(
    population: Population, distances: Distances, permutations: int, seed: int
) -> Gain | NotComputed:
    matrix = distances.matrices.find(GAIN_DISTANCE, f"{GAIN_DISTANCE} is not among `distances`")
    if isinstance(matrix, NotComputed):
        return matrix
    gain = ensemble.distance_predicts_gain(
        *(matrix.squared, population.logits, population.labels),
        permutations=permutations,
        seed=seed,
    )
    return Gain(GAIN_DISTANCE, gain.table, gain.subsets)
