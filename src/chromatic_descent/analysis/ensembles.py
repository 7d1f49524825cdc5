"""How good ensembles of members are, why they gain, and which members to pick."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

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


@dataclass(frozen=True)
class ImageMean:
    """A mean over probe images, and its standard error."""

    mean: float
    standard_error: float


@dataclass(frozen=True, eq=False)
class Diversity(ensemble.Diversity):
    """Diversity of the members' predicted classes, and the best that they could do together."""

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
    """Scores of ensembles of these members, and what explains them."""

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
    """Score ensembles by size and combiner; explain their gain; select members."""
    logits, labels = population.logits, population.labels
    for name, combine in check_combiners(combiners).items():
        if is_own(name):  # a mistake in it is an error, not something that the data do not allow
            combine(logits[:, :1])

    parts: dict[str, Callable[[], Any]] = {
        "curves": partial(
            ensemble.size_curves,
            *(logits, labels),
            combiners=combiners,
            subsets=subsets,
            resamples=bootstrap,
            calibrate=len(labels) > 1,
            seed=seed,
        ),
        "reliability": partial(attempt, _reliability, population, seed),
        "uncertainty": partial(attempt, _uncertainty, population),
        "diversity": partial(attempt, _diversity, population),
        "decompositions": partial(attempt, _decompositions, population),
        "selection": partial(
            attempt,
            ensemble.selection_curves,
            *(logits, labels, partial(geometry.distance_matrix, distance=GAIN_DISTANCE)),
            resamples=bootstrap,
            seed=seed,
        ),
        "gain": partial(attempt, _gain, population, distances, permutations, seed),
    }
    with one_thread_a_core() as threads:
        started = {name: threads.submit(part) for name, part in parts.items()}
    return Ensembles(**{name: part.result() for name, part in started.items()})


def _reliability(population: Population, seed: int) -> pd.DataFrame:
    """Reliability of all members' predictions pooled, and of their mean probability."""
    labels, tables = population.labels, []
    stacks: dict[str, NDArray[np.floating]] = {
        "members": population.logits,  # [S, N, C]
        "ensemble": ensemble.mean_probability(population.logits)[None],  # [1, N, C]
    }
    for of, logits in stacks.items():
        calibrated = ensemble.cross_calibrated(logits, labels, seed=seed).log_probs
        for stage, log_p in enumerate((ensemble.log_softmax(logits), calibrated)):
            bins = ensemble.reliability(np.concatenate(list(log_p)), np.tile(labels, len(log_p)))
            columns = {"confidence": bins.confidence, "accuracy": bins.accuracy}
            table = pd.DataFrame({"of": of, "calibrated": stage == 1, **columns})
            tables.append(table.assign(count=bins.counts))
    return pd.concat(tables, ignore_index=True)


def _uncertainty(population: Population) -> dict[str, ImageMean]:
    parts = vars(ensemble.uncertainty(population.logits))  # [N] each
    return {name: _over_images(values) for name, values in parts.items()}


def _over_images(values: Array) -> ImageMean:
    return ImageMean(float(values.mean()), float(values.std() / np.sqrt(len(values))))


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
            diversity=(diversity := _over_images(split.diversity)).mean,
            diversity_standard_error=diversity.standard_error,
        )
        for loss, split in splits.items()
    }


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
