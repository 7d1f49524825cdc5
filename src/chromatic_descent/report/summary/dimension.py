"""In how many dimensions members differ."""

from chromatic_descent.analysis import Analysis
from chromatic_descent.analysis.output import Run
from chromatic_descent.report.summary.blocks import Block, Section, by_distance, not_computed


def _blocks(analysis: Analysis, _: Run) -> list[Block]:
    dimension, columns = analysis.dimension, ("value", "low", "high")
    table = by_distance(dimension, lambda each: each.estimates, ("quantity",), columns)
    return [*table, *not_computed(dimension)]


SECTION = Section("dimension", "Dimension", "Dimension", _blocks)
