"""What drives the axes."""

import pandas as pd

from chromatic_descent.analysis import Analysis
from chromatic_descent.analysis.drivers import AxisDrivers
from chromatic_descent.analysis.output import Run
from chromatic_descent.report.summary.blocks import Block, Section, by_distance, not_computed

_STRONGEST = 3  # candidates for each of the first two axes


def _blocks(analysis: Analysis, _: Run) -> list[Block]:
    drivers = analysis.drivers
    removed = ("removed", "low", "high", "removed_total", "correlation")
    strongest = by_distance(drivers, _strongest, ("axis", "driver"), ("r", "low", "high", "p_holm"))
    removals = by_distance(drivers, lambda each: each.interventions, ("intervention",), removed)
    if not strongest:
        return not_computed(drivers)
    return [
        "The three strongest candidates for each axis:",
        *strongest,
        "The share of the first two axes' variance that an intervention on the logits removes:",
        *removals,
        *not_computed(drivers),
    ]


def _strongest(drivers: AxisDrivers) -> pd.DataFrame:
    table = drivers.table.sort_values("r", key=lambda r: -r.abs(), kind="stable")
    return pd.concat([table[table["axis"] == axis].head(_STRONGEST) for axis in (1, 2)])


SECTION = Section("drivers", "What drives the axes?", "Drivers", _blocks)
