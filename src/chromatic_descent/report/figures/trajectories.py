"""Members' paths through training."""

from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from chromatic_descent.analysis import Analysis
from chromatic_descent.report.figures import panels
from chromatic_descent.report.figures.kind import FigureKind, Interactive, needed


@panels.styled
def trajectories(analysis: Analysis) -> Figure:
    """All members' paths through training: InPCA of every checkpoint, and progress by epoch.

    A path has the colour of its end.
    """
    paths = needed(analysis.trajectories)
    figure, (left, right) = panels.row_of_panels(2)
    members = zip(paths.coordinates, paths.progress, analysis.colours.hex, strict=True)
    for path, progress, colour in members:
        look: dict[str, Any] = {"linewidth": 0.8, "markersize": 3, "color": colour}
        left.plot(path[:, 0], path[:, 1], ".-", **look)
        right.plot(paths.epochs, progress, ".-", **look)
    panels.draw_members(left, paths.coordinates[:, -1, :2], analysis)
    left.set_title(f"InPCA, explained stress {paths.explained_stress[1]:.0%}")
    left.set(xlabel="axis 1", ylabel="axis 2")
    right.xaxis.set_major_locator(MaxNLocator(integer=True))
    right.set(xlabel="epochs trained", ylabel="progress, ignorance to truth")
    return figure


def _plane(analysis: Analysis) -> object:
    paths = needed(analysis.trajectories)
    plane = paths.coordinates[:, :, :2]
    return {"epochs": paths.epochs, "landmarks": paths.landmarks, "xy": plane}


def _by_epoch(analysis: Analysis) -> object:
    paths = needed(analysis.trajectories)
    ratio = {"ratio": paths.ratio, "low": paths.ratio_low, "high": paths.ratio_high}
    return {"epochs": paths.epochs, "progress": paths.progress, **ratio}


PATHS = FigureKind(
    name="trajectories",
    section="paths",
    title="Paths of members through training",
    caption=lambda analysis: (
        "Paths of all members from ignorance (every class equally probable) towards the truth: "
        "InPCA of all checkpoints together. The plane explains "
        f"{needed(analysis.trajectories).explained_stress[1]:.0%} of the stress. Low-dimensional "
        "paths do not make their ends low-dimensional."
    ),
    needs=lambda analysis: analysis.trajectories,
    draw=trajectories,
    page=Interactive(("paths",), _plane, size="tall"),
)

PROGRESS = FigureKind(
    name="progress",
    section="paths",
    title="Progress and separation",
    caption="Left, how far along the shortest way from ignorance to truth: how far, not how "
    "well. Right, the distance between members over the distance of a member from itself one "
    "epoch earlier, with a 95% interval over images; above 1, members are farther from each "
    "other than from where they were. Both depend on how often epochs are recorded.",
    needs=lambda analysis: analysis.trajectories,
    page=Interactive(("progress", "separation"), _by_epoch),
)
