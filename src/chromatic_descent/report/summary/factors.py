"""Which recipe factors set members apart."""

from chromatic_descent.analysis import Analysis
from chromatic_descent.analysis.output import Run
from chromatic_descent.report.summary.blocks import Block, Section, by_distance, not_computed


def _blocks(analysis: Analysis, _: Run) -> list[Block]:
    factors, columns = analysis.factors, ("pseudo_f", "r_squared", "p_value")
    table = by_distance(factors, lambda frame: frame, ("factor", "levels"), columns)
    return [*table, *not_computed(factors)]


SECTION = Section("factors", "Recipe factors", blocks=_blocks)
