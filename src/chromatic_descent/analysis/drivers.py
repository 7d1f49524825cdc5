"""What drives the axes of each map."""

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from chromatic_descent import geometry
from chromatic_descent.analysis.factors import varied
from chromatic_descent.analysis.maps import Maps
from chromatic_descent.analysis.members import Members
from chromatic_descent.analysis.results import Each, for_each
from chromatic_descent.probe_logits import Population

_CLASS = re.compile(r"^(class \w+): (\d+)$")  # a driver of one class, by its number


@dataclass(frozen=True, eq=False)
class AxisDrivers:
    """What drives the axes under one distance.

    Attributes:
        table: a row per axis and driver: axis, group, driver, r, low, high, p, p_holm.
        groups: a row per axis and group of drivers: axis, group, drivers, r2, p, p_holm.
        permutations: of members, from which the p-values come.
        left_out: candidates that do not vary between members, or whose class is too rare.
        interventions: a row per intervention on the logits: intervention, removed (share of the
            variance of the first two axes), low, high, removed_total, top_2_share, correlation.
    """

    table: pd.DataFrame
    groups: pd.DataFrame
    permutations: int
    left_out: list[str]
    interventions: pd.DataFrame


Drivers = Each[AxisDrivers]


def correlate_drivers(
    population: Population,
    members: Members,
    maps: Maps,
    *,
    bootstrap: int = 200,
    splits: int = 20,
    seed: int = 0,
) -> Drivers:
    """Correlate each axis with each driver, and see what interventions on the logits remove."""
    recipe = {
        factor: np.array(levels, dtype=float)
        for factor, levels in varied(population).items()
        if factor != "seed"
    }
    bound: dict[str, Any] = {"temperature": members.temperature, "seed": seed}

    def with_class_name(driver: str) -> str:
        return _CLASS.sub(lambda m: f"{m[1]}: {population.classes[int(m[2])]}", driver)

    def correlate(name: str) -> AxisDrivers:
        inputs = (population.logits, population.labels, name)
        drivers = geometry.drive_axes(*inputs, recipe=recipe, splits=splits, **bound)
        return AxisDrivers(
            table=drivers.drivers.assign(driver=drivers.drivers["driver"].map(with_class_name)),
            groups=drivers.groups,
            permutations=drivers.permutations,
            left_out=[with_class_name(driver) for driver in drivers.left_out],
            interventions=geometry.interventions(*inputs, resamples=bootstrap, **bound),
        )

    return Each(for_each(maps, correlate))
