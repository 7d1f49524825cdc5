"""In how many dimensions members differ."""

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


def _blocks(analysis: Analysis, _: Run) -> list[Block]:
    estimates = {name: each.estimates for name, each in analysis.dimension.computed().items()}
    cells = {**columns(("quantity",), str), **columns(("value", "low", "high"), short)}
    return [*by_distance(estimates, cells), *not_computed(analysis.dimension, "distance")]


SECTION = Section("dimension", "Dimension", "Dimension", _blocks)
