"""What each member is worth alone."""

from chromatic_descent.analysis import Analysis
from chromatic_descent.analysis.output import Run
from chromatic_descent.report.names import SCORES
from chromatic_descent.report.summary.blocks import Block, Section, records


def _blocks(analysis: Analysis, _: Run) -> list[Block]:
    return [records(analysis.members.table, ("member",), (*SCORES, "temperature"))]


SECTION = Section("members", "Members", "Members", _blocks, rank=-1)
