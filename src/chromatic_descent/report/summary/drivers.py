"""What drives the axes."""

import pandas as pd

from chromatic_descent.analysis import Analysis
from chromatic_descent.analysis.output import Run
from chromatic_descent.report.summary.blocks import (
    Block,
    Section,
    by_distance,
    columns,
    not_computed,
    short,
)

_STRONGEST = 3  # candidates for each of the first two axes


def _blocks(analysis: Analysis, _: Run) -> list[Block]:
    correlated = analysis.drivers.computed()
    absent = not_computed(analysis.drivers, "distance")
    if not correlated:
        return absent
    strongest = {name: _strongest(each.table) for name, each in correlated.items()}
    measured = ("r", "low", "high", "p_holm")
    cells = {**columns(("axis", "driver"), str), **columns(measured, short)}
    removed = ("removed", "low", "high", "removed_total", "correlation")
    interventions = {name: each.interventions for name, each in correlated.items()}
    return [
        "The three strongest candidates for each axis:",
        *by_distance(strongest, cells),
        "The share of the first two axes' variance that an intervention on the logits removes:",
        *by_distance(interventions, {**columns(("intervention",), str), **columns(removed, short)}),
        *absent,
    ]


def _strongest(table: pd.DataFrame) -> pd.DataFrame:
    by_strength = table.sort_values("r", key=lambda r: -r.abs(), kind="stable")
    axes = [by_strength[by_strength["axis"] == axis].head(_STRONGEST) for axis in (1, 2)]
    return pd.concat(axes)


SECTION = Section("drivers", "What drives the axes?", "Drivers", _blocks)
