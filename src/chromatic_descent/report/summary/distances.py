"""Which distances are not defined for these members."""

from chromatic_descent.analysis import Analysis
from chromatic_descent.analysis.output import Run
from chromatic_descent.report.summary.blocks import Block, Section, not_computed


def _blocks(analysis: Analysis, _: Run) -> list[Block]:
    return not_computed(analysis.distances.matrices)


SECTION = Section("distances", "Distances", "Distances", _blocks)
