"""Classical MDS under each distance."""

from matplotlib import style
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from chromatic_descent.analysis import Analysis
from chromatic_descent.report.figures.kind import FigureKind
from chromatic_descent.report.figures.panels import (
    STYLE,
    axis_label,
    draw_ellipses,
    draw_members,
    row_of_panels,
)
from chromatic_descent.report.names import heading_of


@style.context(STYLE)
def distance_maps(analysis: Analysis) -> Figure:
    """Classical MDS under each distance.

    Ellipses hold 95% of each member's positions when the probe images are resampled. Axes share one
    scale, and equal lengths are equal distances.
    """
    views = analysis.maps.computed()
    figure, axes = row_of_panels(len(views), height=3.1)
    for axis, (name, view) in zip(axes, views.items(), strict=True):
        draw_ellipses(axis, view.ellipses)
        draw_members(axis, view.coordinates[:, :2], analysis)
        axis.set_xlabel(axis_label(0, view.shares))
        axis.set_ylabel(axis_label(1, view.shares))
        axis.set_title(heading_of(name))
        axis.set_aspect("equal", adjustable="datalim")
        axis.margins(0.12)
        axis.xaxis.set_major_locator(MaxNLocator(6))
    return figure


KIND = FigureKind(
    name="map",
    section="map",
    title="Maps of the members under each distance",
    caption="Classical MDS under each distance. Ellipses hold 95% of a member’s positions when "
    "probe images are resampled; equal lengths are equal distances.",
    needs=lambda analysis: analysis.maps,
    draw=distance_maps,
    page="chromatic_map",
    folder="embeddings",
)
