"""What each member is worth alone."""

from chromatic_descent.analysis import Analysis
from chromatic_descent.analysis.output import Run
from chromatic_descent.report.summary.blocks import Block, Section, records


def _blocks(analysis: Analysis, _: Run) -> list[Block]:
    scores = ("accuracy", "nll", "brier", "ece", "temperature")
    return [records(analysis.members.table, ("member",), scores)]


SECTION = Section("members", "Members", "Members", _blocks, rank=-1)
