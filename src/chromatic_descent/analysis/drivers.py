"""The drivers of the axes of each map."""

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from chromatic_descent import geometry
from chromatic_descent.analysis.distances import Distances
from chromatic_descent.analysis.factors import varied
from chromatic_descent.analysis.maps import Maps
from chromatic_descent.analysis.results import Each, for_each
from chromatic_descent.probe_logits import Population

_CLASS = re.compile(r"^(class \w+): (\d+)$")  # a driver of one class, by its number


@dataclass(frozen=True, eq=False)
class AxisDrivers:
    """The drivers of the axes of the map under one distance."""

    table: pd.DataFrame  # axis, group, driver, r, low, high, p, p_holm
    groups: pd.DataFrame  # of drivers: axis, group, drivers, r2, p, p_holm
    permutations: int  # of members, from which the p-values come
    left_out: list[str]  # drivers that do not vary between members, or whose class is too rare
    interventions: pd.DataFrame  # on the logits, and what they remove of the top-2 variance


Drivers = Each[AxisDrivers]


def correlate_drivers(
    population: Population,
    maps: Maps,
    distances: Distances,
    *,
    bootstrap: int = 200,
    splits: int = 20,
    seed: int = 0,
) -> Drivers:
    """Correlate each axis with each driver, and measure what interventions on the logits remove."""
    factors = varied(population).items()
    recipe = {name: np.array(levels, dtype=float) for name, levels in factors if name != "seed"}

    def with_class_name(driver: str) -> str:
        return _CLASS.sub(lambda m: f"{m[1]}: {population.classes[int(m[2])]}", driver)

    def correlate(name: str) -> AxisDrivers:
        inputs = (population.logits, population.labels, distances.bound(population, name))
        known: dict[str, Any] = {"temperature": distances.temperature, "seed": seed}
        drivers = geometry.drive_axes(*inputs, recipe=recipe, splits=splits, **known)
        return AxisDrivers(
            table=drivers.drivers.assign(driver=drivers.drivers["driver"].map(with_class_name)),
            groups=drivers.groups,
            permutations=drivers.permutations,
            left_out=[with_class_name(driver) for driver in drivers.left_out],
            interventions=geometry.interventions(*inputs, resamples=bootstrap, **known),
        )

    return Each(for_each(maps, correlate))
