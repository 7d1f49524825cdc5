"""The map that gives members their colours."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from chromatic_descent.analysis import Analysis, computed
from chromatic_descent.geometry import title_of
from chromatic_descent.report.figures import panels
from chromatic_descent.report.figures.kind import FigureKind, Interactive, needed
from chromatic_descent.report.figures.maps import layouts_for_page
from chromatic_descent.report.names import heading_of

_MANY = 2000  # pairs of members, from which on dots are small


@panels.styled
def chromatic_map(analysis: Analysis, *, safe: bool = False) -> Figure:
    """The map that gives members their colours, from the front and the side, and its fidelity.

    Classical MDS: axes 1 and 2 with ellipses that hold 95% of each member's positions when the
    probe images are resampled, then axes 3 and 2 at the same scale. Right: how different the
    colours of two members look (ΔE OK) against how far apart the members are.

    Args:
        analysis: of at least two members.
        safe: axis 1 alone in blue and yellow, for every kind of colour vision.
    """
    colours = analysis.colours
    coordinates, shares = colours.coordinates, np.array(colours.shares)
    figure = Figure(figsize=(2 * panels.COLUMN, 2.5))
    front, side, fidelity = figure.subplots(1, 3, width_ratios=[1, 1, 0.9])
    reach = np.abs(coordinates).max()
    if computed(view := analysis.maps.find(colours.distance)):
        ellipses = view.ellipses
        panels.draw_ellipses(front, ellipses)
        ends = ellipses[["x", "y"]].abs().max(axis=1) + ellipses["half_axis_1"]
        reach = max(reach, min(ends.max(), 1.5 * reach))
    radius = 1.1 * reach or 1.0
    for axis, across in ((front, 0), (side, 2)):
        panels.draw_members(axis, coordinates[:, [across, 1]], analysis, safe=safe)
        axis.set(xlim=(-radius, radius), ylim=(-radius, radius), aspect="equal")
        axis.set(xlabel=panels.axis_label(across, shares), ylabel=panels.axis_label(1, shares))
        axis.xaxis.set_major_locator(MaxNLocator(4))
        axis.yaxis.set_major_locator(MaxNLocator(4))
    front.set_title(f"{heading_of(colours.distance)}, from the front")
    side.set_title("from the side")
    many = len(colours.pairs) > _MANY
    size, alpha = (1, 0.2) if many else (6, 0.6)
    fidelity.scatter(
        *colours.pairs.T, s=size, color=panels.BLUE, alpha=alpha, linewidths=0, rasterized=many
    )
    fidelity.set_ylim(bottom=0)
    fidelity.set(xlabel="distance of two members", ylabel="difference of their colours (ΔE OK)")
    if np.isfinite(colours.correlation):
        fidelity.set_title(f"Spearman {colours.correlation:.2f}, stress {colours.stress:.2f}")
    panels.marker_legend(figure, analysis)
    return figure


def _caption(analysis: Analysis) -> str:
    colours, fidelity = analysis.colours, ""
    if np.isfinite(colours.correlation):
        r = colours.correlation
        fidelity = f"; ΔE of colours follows distances at rank correlation {r:.2f}"
    if np.isfinite(colours.stress):
        fidelity += f", stress {colours.stress:.2f}"
    return (
        "Members by what they predict on the probe. A member’s colour is its position in function "
        f"space under the {title_of(colours.distance)} distance, and the same in every "
        f"figure{fidelity}. Ellipses hold 95% of a member’s positions when probe images are "
        "resampled: they are about images, not about seeds. Equal lengths are equal distances. The "
        "map does not show how much of the variance it leaves out; the spectrum below does."
    )


def _data(analysis: Analysis, name: str) -> object:
    view = needed(analysis.maps[name])
    layouts = layouts_for_page(analysis, view)
    return {"layouts": layouts, "ellipses": view.ellipses[panels.ELLIPSE].to_numpy()}


KIND = FigureKind(
    name="chromatic_map",
    section="map",
    title="Map of the members",
    caption=_caption,
    needs=lambda analysis: analysis.maps,
    draw=chromatic_map,
    page=Interactive(("map",), data_by_distance=_data, size="tall"),
    folder="embeddings",
)
