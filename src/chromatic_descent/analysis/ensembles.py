"""What members, and ensembles of them, are worth."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from chromatic_descent import ensemble, geometry
from chromatic_descent.analysis.results import Result, computed, for_each
from chromatic_descent.ensemble.combination import check_combiners
from chromatic_descent.errors import UserError
from chromatic_descent.own_code import is_own
from chromatic_descent.probe_logits import Population

GAIN_DISTANCE = "hellinger"  # members are picked, and their spread measured, by this


def members(population: Population) -> Result:
    """One row per member: member, seed, every metric, temperature, confidence, entropy."""
    rows = []
    for logits in population.logits:  # one at a time: a stack may be larger than memory
        log_p = ensemble.log_softmax(logits)  # [N, C]
        p = np.exp(log_p)
        scores = {name: score(log_p, population.labels) for name, score in ensemble.METRICS.items()}
        rows.append(
            {
                **scores,
                "temperature": ensemble.fit_temperature(logits, population.labels),
                "confidence": p.max(axis=-1).mean(),
                "entropy": -(p * log_p).sum(axis=-1).mean(),
            }
        )
    names = {"member": population.names, "seed": population.seeds}
    return {"table": pd.concat([pd.DataFrame(names), pd.DataFrame(rows, dtype=float)], axis=1)}


def ensembles(
    population: Population,
    distances: Result,
    *,
    combiners: Sequence[str] = tuple(ensemble.COMBINERS),
    subsets: int = 30,
    bootstrap: int = 200,
    permutations: int = 999,
    seed: int = 0,
) -> Result:
    """Ensembles by size; why they gain; which members to pick.

    {curves, reliability, uncertainty, diversity, decompositions, selection, gain}
    """
    logits, labels = population.logits, population.labels
    for name, combine in check_combiners(combiners).items():
        if is_own(name):  # its mistakes are errors, not what the data do not allow
            combine(logits[:, :1])
    parts: dict[str, Callable[[], Any]] = {
        "curves": lambda: ensemble.size_curves(
            *(logits, labels),
            combiners=combiners,
            subsets=subsets,
            resamples=bootstrap,
            calibrate=len(labels) > 1,
            seed=seed,
        ),
        "reliability": lambda: _reliability(population, seed),
        "uncertainty": lambda: _uncertainty(population),
        "diversity": lambda: _diversity(population),
        "decompositions": lambda: _decompositions(population),
        "selection": lambda: _selection(population, bootstrap, seed),
        "gain": lambda: _gain(population, distances, permutations, seed),
    }
    return for_each(parts, lambda part: parts[part]())


def _reliability(population: Population, seed: int) -> pd.DataFrame:
    """Reliability of all members' predictions together, and of their mean probability."""
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
            found = ensemble.reliability(np.concatenate(list(log_p)), np.tile(labels, len(log_p)))
            tables.append(
                pd.DataFrame(
                    {
                        "of": of,
                        "calibrated": calibrated,
                        "confidence": found.confidence,
                        "accuracy": found.accuracy,
                        "count": found.counts,
                    }
                )
            )
    return pd.concat(tables, ignore_index=True)


def _uncertainty(population: Population) -> Result:
    split = ensemble.uncertainty(population.logits)
    return {
        name: {"mean": values.mean(), "standard_error": values.std() / np.sqrt(len(values))}
        for name, values in vars(split).items()
    }


def _diversity(population: Population) -> Result:
    found = ensemble.diversity(population.logits, population.labels)
    return {
        "means": found.means,
        "standard_errors": found.standard_errors,
        "pairs": found.pairs,
        "oracle_accuracy": ensemble.oracle_accuracy(population.logits, population.labels),
    }


def _decompositions(population: Population) -> Result:
    found = ensemble.decompositions(population.logits, population.labels)
    return {
        name: {
            "combiner": split.combiner,
            "ensemble": split.ensemble.mean(),
            "members": split.members.mean(),
            "diversity": split.diversity.mean(),
            "diversity_standard_error": split.diversity.std() / np.sqrt(len(split.diversity)),
        }
        for name, split in found.items()
    }


def _selection(population: Population, bootstrap: int, seed: int) -> pd.DataFrame:
    return ensemble.selection_curves(
        *(population.logits, population.labels),
        lambda half: geometry.distance_matrix(half, GAIN_DISTANCE),
        resamples=bootstrap,
        seed=seed,
    )


def _gain(population: Population, distances: Result, permutations: int, seed: int) -> Result:
    matrix = distances["matrices"].get(GAIN_DISTANCE)
    if matrix is None:
        raise UserError(f"{GAIN_DISTANCE} is not among `distances`")
    if not computed(matrix):
        return dict(matrix)
    found = ensemble.distance_predicts_gain(
        *(matrix["squared"], population.logits, population.labels),
        permutations=permutations,
        seed=seed,
    )
    return {"distance": GAIN_DISTANCE, "table": found.table, "subsets": found.subsets}
