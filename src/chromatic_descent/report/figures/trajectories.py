"""Members' paths through training."""

import numpy as np
from matplotlib import style
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from chromatic_descent.analysis import Analysis
from chromatic_descent.report.figures.kind import FigureKind, Interactive, needed
from chromatic_descent.report.figures.panels import STYLE, draw_members, row_of_panels


@style.context(STYLE)
def trajectories(analysis: Analysis) -> Figure:
    """All members' paths through training: InPCA of every checkpoint, and progress by epoch.

    A path has the colour of its end.
    """
    paths = needed(analysis.trajectories)
    figure, (left, right) = row_of_panels(2)
    epochs = np.array(paths.epochs)
    for path, progress, colour in zip(
        paths.coordinates, paths.progress, analysis.colours.hex, strict=True
    ):
        left.plot(path[:, 0], path[:, 1], ".-", linewidth=0.8, markersize=3, color=colour)
        right.plot(epochs, progress, ".-", linewidth=0.8, markersize=3, color=colour)
    draw_members(left, paths.coordinates[:, -1, :2], analysis)
    left.set_title(f"InPCA, explained stress {paths.explained_stress[1]:.0%}")
    left.set_xlabel("axis 1")
    left.set_ylabel("axis 2")
    right.xaxis.set_major_locator(MaxNLocator(integer=True))
    right.set_xlabel("epochs trained")
    right.set_ylabel("progress, ignorance to truth")
    return figure


def _caption(analysis: Analysis) -> str:
    return (
        "Paths of all members from ignorance (every class equally probable) towards the truth: "
        "InPCA of all checkpoints together. The plane explains "
        f"{needed(analysis.trajectories).explained_stress[1]:.0%} of the stress. Low-dimensional "
        "paths do not make their ends low-dimensional."
    )


def _plane(analysis: Analysis) -> object:
    paths = needed(analysis.trajectories)
    return {
        "epochs": paths.epochs,
        "landmarks": paths.landmarks,
        "xy": paths.coordinates[:, :, :2],
    }


def _by_epoch(analysis: Analysis) -> object:
    paths = needed(analysis.trajectories)
    return {
        "epochs": paths.epochs,
        "progress": paths.progress,
        "ratio": paths.ratio,
        "low": paths.ratio_low,
        "high": paths.ratio_high,
    }


PATHS = FigureKind(
    name="trajectories",
    section="paths",
    title="Paths of members through training",
    caption=_caption,
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
