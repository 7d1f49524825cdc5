"""What drives the axes, and which recipe factors set members apart."""

import json
import re
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from chromatic_descent import geometry
from chromatic_descent.analysis.maps import temperatures
from chromatic_descent.analysis.results import Result, for_each
from chromatic_descent.probe_logits import Population

_CLASS = re.compile(r"^(class \w+): (\d+)$")  # drivers of one class, by its number


def drivers(
    population: Population,
    members: Result,
    maps: Result,
    *,
    bootstrap: int = 200,
    splits: int = 20,
    seed: int = 0,
) -> Result:
    """By distance: how each axis correlates with each driver, and what interventions remove."""
    recipe = {name: levels for name, levels in varied(population).items() if name != "seed"}
    coded = {factor: np.array(levels, dtype=float) for factor, levels in recipe.items()}
    options = {"temperature": temperatures(members), "seed": seed}
    return for_each(maps, _drivers, population, coded, splits, bootstrap, options)


def factors(
    population: Population,
    maps: Result,
    distances: Result,
    *,
    permutations: int = 999,
    seed: int = 0,
) -> Result:
    """By distance: PERMANOVA of each recipe factor that varies, and of the seed if it repeats."""
    levels = varied(population)
    if not levels:
        return {"not_computed": "no recipe factor varies, and no seed repeats"}
    return for_each(maps, _permanova, distances, levels, permutations, seed)


def varied(population: Population) -> dict[str, list[int]]:
    """Recipe factors with at least two levels and a level that repeats: the members' levels [S].

    Keys of the config that vary together (an optimiser and its options) are one factor, named by
    what their names share. Levels are numbered in the order of their values where these are
    numbers, else of their appearance.
    """
    configs = [dict(flatten(record["config"])) for record in population.records]
    keys = dict.fromkeys(key for config in configs for key in config)
    columns: dict[str, list[Any]] = {key: [config.get(key) for config in configs] for key in keys}
    columns["seed"] = list(population.seeds)
    alike: dict[tuple[int, ...], list[str]] = defaultdict(list)
    for key, values in columns.items():
        texts = [json.dumps(value, sort_keys=True) for value in values]
        if 1 < len(set(texts)) < len(texts):
            alike[tuple(_numbered(values, texts))].append(key)
    partitions: dict[tuple[int, ...], tuple[list[str], tuple[int, ...]]] = {}
    for coded, names in alike.items():  # the same partition with its levels in another order
        first = tuple(pd.factorize(np.array(coded))[0].tolist())
        partitions.setdefault(first, ([], coded))[0].extend(names)
    return {_shared_name(names): list(coded) for names, coded in partitions.values()}


def _drivers(
    name: str,
    population: Population,
    recipe: dict[str, NDArray[np.float64]],
    splits: int,
    bootstrap: int,
    options: dict[str, Any],
) -> Result:
    inputs = (population.logits, population.labels, name)
    found = geometry.drive_axes(*inputs, recipe=recipe, splits=splits, **options)

    def with_class_name(driver: str) -> str:
        return _CLASS.sub(lambda m: f"{m[1]}: {population.classes[int(m[2])]}", driver)

    return {
        "table": found.drivers.assign(driver=found.drivers["driver"].map(with_class_name)),
        "groups": found.groups,
        "permutations": found.permutations,
        "left_out": [with_class_name(driver) for driver in found.left_out],
        "interventions": geometry.interventions(*inputs, resamples=bootstrap, **options),
    }


def _permanova(
    name: str, distances: Result, levels: dict[str, list[int]], permutations: int, seed: int
) -> pd.DataFrame:
    squared = distances["matrices"][name]["squared"]
    rows = []
    for factor, groups in levels.items():
        test = geometry.permanova(squared, groups, permutations=permutations, seed=seed)
        rows.append((factor, len(set(groups)), test.observed, test.r_squared, test.p_value))
    return pd.DataFrame(rows, columns=["factor", "levels", "pseudo_f", "r_squared", "p_value"])


def _numbered(values: list[Any], texts: list[str]) -> list[int]:
    """Each value's level: in numerical order for numbers, else in the order of appearance."""
    if all(isinstance(value, (int, float)) for value in values):
        order = sorted(set(texts), key=json.loads)
    else:
        order = list(dict.fromkeys(texts))
    return [order.index(text) for text in texts]


def _shared_name(keys: list[str]) -> str:
    """What dotted names share from the left, or the first of them where they share nothing."""
    if len(keys) == 1:
        return keys[0]
    shared = []
    for parts in zip(*(key.split(".") for key in keys), strict=False):
        if len(set(parts)) > 1:
            break
        shared.append(parts[0])
    return ".".join(shared) or keys[0]


def flatten(node: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """A nested dict as dotted keys with their values."""
    if isinstance(node, dict) and node:
        for key, value in node.items():
            yield from flatten(value, f"{prefix}.{key}" if prefix else str(key))
    else:
        yield prefix, node
