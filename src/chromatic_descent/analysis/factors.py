"""The recipe factors that separate members."""

import json
from itertools import takewhile
from typing import Any

import numpy as np
import pandas as pd

from chromatic_descent import geometry
from chromatic_descent.analysis.distances import Distances
from chromatic_descent.analysis.maps import Maps
from chromatic_descent.analysis.results import Each, NotComputed, for_each
from chromatic_descent.probe_logits import Population
from chromatic_descent.probe_logits.identity import flatten

Factors = Each[pd.DataFrame]
"""By distance, a row per factor: factor, levels, pseudo_f, r_squared, p_value of PERMANOVA."""


def compare_factors(
    population: Population,
    maps: Maps,
    distances: Distances,
    *,
    permutations: int = 999,
    seed: int = 0,
) -> Factors | NotComputed:
    """Test each recipe factor that varies, and the seed if it repeats, by PERMANOVA."""
    factors = varied(population)
    if not factors:
        return NotComputed("no recipe factor varies, and no seed repeats")
    matrices = distances.matrices.computed()

    def compare(name: str) -> pd.DataFrame:
        rows, squared = [], matrices[name].squared
        for factor, levels in factors.items():
            test = geometry.permanova(squared, levels, permutations=permutations, seed=seed)
            rows.append((factor, len(set(levels)), test.observed, test.r_squared, test.p_value))
        return pd.DataFrame(rows, columns=["factor", "levels", "pseudo_f", "r_squared", "p_value"])

    return Each(for_each(maps, compare))


def varied(population: Population) -> dict[str, list[int]]:
    """Recipe factors with at least two levels and a level that repeats: the members' levels [S].

    Keys of the config that vary together (an optimiser and its options) are one factor, named by
    the part that their names share. Levels are numbered by value where all values are numbers,
    otherwise in order of appearance.
    """
    configs = [dict(flatten(record["config"])) for record in population.records]
    keys = dict.fromkeys(key for config in configs for key in config)
    columns: dict[str, list[Any]] = {key: [config.get(key) for config in configs] for key in keys}
    columns["seed"] = list(population.seeds)
    factors: dict[tuple[int, ...], tuple[list[str], list[int]]] = {}
    for key, values in columns.items():
        texts = [json.dumps(value, sort_keys=True) for value in values]
        if 1 < len(set(texts)) < len(texts):
            partition = tuple(pd.factorize(np.array(texts))[0].tolist())  # in whichever order
            factors.setdefault(partition, ([], _levels(values, texts)))[0].append(key)
    return {_shared_name(keys): levels for keys, levels in factors.values()}


def _levels(values: list[Any], texts: list[str]) -> list[int]:
    """The level of each value: in numerical order for numbers, otherwise in order of appearance."""
    numbers = all(isinstance(value, (int, float)) for value in values)
    levels = sorted(set(texts), key=json.loads) if numbers else list(dict.fromkeys(texts))
    return [levels.index(text) for text in texts]


def _shared_name(keys: list[str]) -> str:
    """The dotted prefix that all keys share, or the first key if they share none."""
    parts = zip(*(key.split(".") for key in keys), strict=False)
    shared = takewhile(lambda names: len(set(names)) == 1, parts)
    return ".".join(names[0] for names in shared) or keys[0]
