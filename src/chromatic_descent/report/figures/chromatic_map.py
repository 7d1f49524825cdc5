"""The map that gives members their colours."""

import numpy as np
from matplotlib import style
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from chromatic_descent.analysis import Analysis
from chromatic_descent.analysis.maps import DistanceMap
from chromatic_descent.analysis.results import computed
from chromatic_descent.geometry import title_of
from chromatic_descent.report.figures.kind import FigureKind, Interactive, needed
from chromatic_descent.report.figures.panels import (
    BLUE,
    COLUMN,
    STYLE,
    axis_label,
    draw_ellipses,
    draw_members,
    marker_legend,
)
from chromatic_descent.report.names import heading_of

_MANY = 2000  # pairs of members, from which on dots are small
_AXES = 3


@style.context(STYLE)
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
    figure = Figure(figsize=(2 * COLUMN, 2.5))
    front, side, fidelity = figure.subplots(1, 3, width_ratios=[1, 1, 0.9])
    reach = np.abs(coordinates).max()
    view = analysis.maps.find(colours.distance)
    if computed(view):
        ellipses = view.ellipses
        draw_ellipses(front, ellipses)
        ends = ellipses[["x", "y"]].abs().max(axis=1) + ellipses["half_axis_1"]
        reach = max(reach, min(ends.max(), 1.5 * reach))
    radius = 1.1 * reach or 1.0
    for axis, across in ((front, 0), (side, 2)):
        draw_members(axis, coordinates[:, [across, 1]], analysis, safe=safe)
        axis.set(xlim=(-radius, radius), ylim=(-radius, radius), aspect="equal")
        axis.set_xlabel(axis_label(across, shares))
        axis.set_ylabel(axis_label(1, shares))
        axis.xaxis.set_major_locator(MaxNLocator(4))
        axis.yaxis.set_major_locator(MaxNLocator(4))
    front.set_title(f"{heading_of(colours.distance)}, from the front")
    side.set_title("from the side")
    many = len(colours.pairs) > _MANY
    size, alpha = (1, 0.2) if many else (6, 0.6)
    fidelity.scatter(
        *colours.pairs.T, s=size, color=BLUE, alpha=alpha, linewidths=0, rasterized=many
    )
    fidelity.set_ylim(bottom=0)
    fidelity.set_xlabel("distance of two members")
    fidelity.set_ylabel("difference of their colours (ΔE OK)")
    if np.isfinite(colours.correlation):
        fidelity.set_title(f"Spearman {colours.correlation:.2f}, stress {colours.stress:.2f}")
    marker_legend(figure, analysis)
    return figure


def _caption(analysis: Analysis) -> str:
    colours = analysis.colours
    title = title_of(colours.distance)
    fidelity = ""
    if np.isfinite(colours.correlation):
        fidelity += (
            f"; ΔE of colours follows distances at rank correlation {colours.correlation:.2f}"
        )
    if np.isfinite(colours.stress):
        fidelity += f", stress {colours.stress:.2f}"
    return (
        "Members by what they predict on the probe. A member’s colour is its position in function "
        f"space under the {title} distance, and the same in every figure{fidelity}. Ellipses hold "
        "95% of a member’s positions when probe images are resampled: they are about images, not "
        "about seeds. Equal lengths are equal distances. The map does not show how much of the "
        "variance it leaves out; the spectrum below does."
    )


def _data(analysis: Analysis, name: str) -> object:
    view = needed(analysis.maps[name])
    columns = ["x", "y", "half_axis_1", "half_axis_2", "angle"]
    return {"layouts": _layouts(view), "ellipses": view.ellipses[columns].to_numpy()}


def _layouts(view: DistanceMap) -> dict[str, object]:
    """By name: title, coordinates by axis, labels of the axes, and how to read the layout."""
    share = np.nan_to_num(view.shares)
    coordinates = view.coordinates[:, :_AXES].T
    layouts: dict[str, object] = {
        "mds": {
            "title": "classical MDS",
            "xyz": list(coordinates),
            "axes": [f"axis {k + 1} ({share[k]:.1%})" for k in range(len(coordinates))],
            "note": f"Two axes hold {share[:2].sum():.1%} of the variance; if all members were "
            f"equally far apart, two axes would hold {view.top_2_share_equidistant:.1%}.",
        }
    }
    for layout, rows in view.layouts.groupby("layout", sort=False):
        kind, _, seed = str(layout).partition(" ")
        if kind != "mds":
            title = {"smacof": "SMACOF", "tsne": "t-SNE", "umap": "UMAP"}.get(kind, kind)
            layouts[str(layout)] = {
                "title": f"{title}, seed {seed}" if seed else title,
                "xyz": [rows["x"].to_numpy(), rows["y"].to_numpy()],
                "axes": ["", ""],
                "note": _note(view, kind, seed),
            }
    return layouts


def _note(view: DistanceMap, kind: str, seed: str) -> str:
    if kind == "smacof":
        return (
            f"Keeps distances as well as a plane can: stress {needed(view.smacof).stress:.2f}, "
            "where 0 is perfect. The axes have no meaning of their own."
        )
    neighbours = needed(view.neighbours[kind])
    note = "Keeps neighbours, not distances: gaps and sizes of clusters mean nothing."
    trust, agreement = neighbours.trustworthiness[int(seed)], neighbours.r_between_seeds
    if computed(trust):
        note += f" Trustworthiness {trust:.2f}."
    if computed(agreement):
        note += f" Layouts of other seeds agree at r = {agreement:.2f}."
    return f"{note} With so few members it means nothing." if neighbours.means_nothing else note


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
