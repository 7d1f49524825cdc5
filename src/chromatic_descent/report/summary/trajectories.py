"""Members' paths through training."""

from chromatic_descent.analysis import Analysis, NotComputed
from chromatic_descent.analysis.output import Run
from chromatic_descent.report.summary.blocks import Block, Section, not_computed, short

_AXES = 3


def _blocks(analysis: Analysis, _: Run) -> list[Block]:
    paths = analysis.trajectories
    if isinstance(paths, NotComputed):
        return not_computed(paths)
    stress = paths.explained_stress[:_AXES][-1]
    return [
        f"InPCA of {len(paths.epochs)} checkpoints per member: the first three axes explain "
        f"{short(stress)} of the stress."
    ]


SECTION = Section("paths", "Trajectories", "Paths", _blocks, rank=1)
