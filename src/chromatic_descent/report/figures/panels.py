"""What figures share: style, colours, panels, and members as coloured dots."""

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Ellipse
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray

from chromatic_descent.analysis import Analysis
from chromatic_descent.report.names import member_labels

STYLE = str(Path(__file__).with_name("chromatic.mplstyle"))
BLUE, GREY, RED = "#4477aa", "#bbbbbb", "#aa3377"
COLUMN = 3.4  # inches, of a paper with two columns; every length here is in inches
FEW = 60  # members whose labels can be read


def row_of_panels(count: int, height: float = 2.7) -> tuple[Figure, list[Axes]]:
    """Panels as wide as a column, two in a row, in as many rows of this height as needed."""
    columns = min(count, 2)
    rows = -(-count // columns)
    figure = Figure(figsize=(COLUMN * columns, height * rows))
    grid = figure.subplots(rows, columns, squeeze=False)
    axes = list(grid.ravel())
    for unused in axes[count:]:
        unused.remove()
    return figure, axes[:count]


def axis_label(axis: int, shares: NDArray[np.float64]) -> str:
    """`axis 1 (17%)`, with the axis' share of the variance where it is known."""
    known = axis < len(shares) and np.isfinite(shares[axis])
    return f"axis {axis + 1}" + (f" ({shares[axis]:.0%})" if known else "")


def draw_ellipses(axis: Axes, ellipses: pd.DataFrame) -> None:
    """An ellipse for each member, below the dots."""
    columns = ["x", "y", "half_axis_1", "half_axis_2", "angle"]
    for x, y, first, second, angle in ellipses[columns].to_numpy():
        turn = np.degrees(angle)
        axis.add_patch(
            Ellipse((x, y), 2 * first, 2 * second, angle=turn, color=GREY, alpha=0.35, lw=0)
        )


def draw_members(
    axis: Axes, xy: NDArray[np.float64], analysis: Analysis, *, safe: bool = False
) -> None:
    """A dot for each member at its coordinates [S, 2], with its label if there are few members.

    Dots have the members' colours of the chromatic map, the colour-blind-safe ones if `safe`.
    """
    colours = analysis.colours
    filled, markers = colours.safe if safe else colours.hex, colours.markers
    few = len(xy) <= FEW
    for marker in sorted(set(markers)):
        members = [k for k, other in enumerate(markers) if other == marker]
        axis.scatter(
            xy[members, 0],
            xy[members, 1],
            s=36 if few else 14,
            marker=marker,
            c=[filled[k] for k in members],
            edgecolors="#333333",
            linewidths=0.4,
            zorder=2,
        )
    if few:
        halo = [withStroke(linewidth=1.5, foreground="white", alpha=0.8)]
        offsets = 6.5 * _away_from_neighbours(xy)  # points
        labels = member_labels(analysis, beside_markers=True)
        for label, point, offset in zip(labels, xy, offsets, strict=True):
            axis.annotate(
                *(label, point),
                xytext=offset,
                textcoords="offset points",
                ha="center",
                va="center",
                size=5.5,
                path_effects=halo,
                zorder=3,
            )


def marker_legend(figure: Figure, analysis: Analysis) -> None:
    """A legend below the panels, in room of its own, of what each marker stands for."""
    colours = analysis.colours
    used = {marker: name for marker, name in colours.shapes.items() if marker in colours.markers}
    handles = [
        Line2D([], [], marker=marker, ls="", mfc="white", mec="#333333", mew=0.6, ms=5, label=name)
        for marker, name in used.items()
    ]
    columns = min(4, max(1, 120 // (max(map(len, used.values())) + 6)))  # as many as fit
    figure.legend(handles=handles, loc="outside lower center", ncols=columns)
    figure.set_figheight(figure.get_figheight() + 0.16 * -(-len(used) // columns))


def _away_from_neighbours(xy: NDArray[np.float64]) -> NDArray[np.float64]:
    """A direction for each point [S, 2] that leads away from the points near it."""
    gaps = (xy[:, None] - xy) / (np.ptp(xy, axis=0).max() or 1.0)  # [S, S, 2]
    nearness = 1 / (np.linalg.norm(gaps, axis=-1, keepdims=True) ** 3 + 1e-6)
    pushes = (gaps * nearness).sum(axis=1)
    lengths = np.linalg.norm(pushes, axis=1, keepdims=True)
    directions: NDArray[np.float64] = np.where(
        lengths > 1e-9, pushes / np.maximum(lengths, 1e-9), [0.7, 0.7]
    )
    return directions
