"""Where members lie: classical MDS under each distance, t-SNE, UMAP and InPCA."""

from functools import partial

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from chromatic_descent.analysis import Analysis, Each, computed
from chromatic_descent.analysis.maps import DistanceMap, Neighbours
from chromatic_descent.report.figures import panels
from chromatic_descent.report.figures.kind import FigureKind, needed
from chromatic_descent.report.names import heading_of

_NAMES = {"smacof": "SMACOF", "tsne": "t-SNE", "umap": "UMAP"}
_KEEPS_NEIGHBOURS = "keeps neighbours, not distances: gaps and sizes of clusters mean nothing."
_AXES = 3  # of a layout on the page
_layout_kind = partial(FigureKind, section="map", page="chromatic_map", folder="embeddings")


@panels.styled
def distance_maps(analysis: Analysis) -> Figure:
    """Classical MDS under each distance.

    Ellipses hold 95% of each member's positions when the probe images are resampled. Axes share one
    scale, and equal lengths are equal distances.
    """
    figure, views = panels.panel_for_each(analysis.maps.computed(), height=3.1)
    for axis, _, view in views:
        panels.draw_ellipses(axis, view.ellipses)
        panels.draw_members(axis, view.coordinates[:, :2], analysis)
        first, second = (panels.axis_label(k, view.shares) for k in (0, 1))
        axis.set(xlabel=first, ylabel=second)
        axis.set_aspect("equal", adjustable="datalim")
        axis.margins(0.12)
        axis.xaxis.set_major_locator(MaxNLocator(6))
    return figure


MDS = _layout_kind(
    name="map",
    title="Maps of the members under each distance",
    caption="Classical MDS under each distance. Ellipses hold 95% of a member’s positions when "
    "probe images are resampled; equal lengths are equal distances.",
    needs=lambda analysis: analysis.maps,
    draw=distance_maps,
)


@panels.styled
def neighbour_layouts(analysis: Analysis, method: str = "tsne") -> Figure:
    """t-SNE or UMAP under each distance, first seed, and how well the other seeds agree."""
    layouts = _neighbours(analysis, method).computed()
    figure, axes = panels.panel_for_each(layouts)
    for axis, name, neighbours in axes:
        rows = needed(analysis.maps[name]).layouts
        xy = rows[rows["layout"] == f"{method} 0"][["x", "y"]].to_numpy()
        panels.draw_members(axis, xy, analysis)
        agreement = neighbours.r_between_seeds
        note = f"r between seeds {agreement:.2f}" if computed(agreement) else "one seed"
        axis.set_title(f"{heading_of(name)}\n{method}, {note}")
        axis.set(xticks=[], yticks=[])
        axis.margins(0.1)
    return figure


def _neighbours(analysis: Analysis, method: str) -> Each[Neighbours]:
    """The layouts by one method, by distance."""
    views = analysis.maps.computed().items()
    return Each({name: view.neighbours.find(method) for name, view in views})


TSNE, UMAP = (
    _layout_kind(
        name=method,
        title=f"{_NAMES[method]} layouts of the members",
        caption=f"{_NAMES[method]} {_KEEPS_NEIGHBOURS}",
        needs=partial(_neighbours, method=method),
        draw=partial(neighbour_layouts, method=method),
    )
    for method in ("tsne", "umap")
)


@panels.styled
def inpca(analysis: Analysis) -> Figure:
    """InPCA of Bhattacharyya's distance: the first two axes, and the spectrum with its signs."""
    layout = needed(analysis.inpca)
    figure, (left, right) = panels.row_of_panels(2)
    panels.draw_members(left, layout.coordinates[:, :2], analysis)
    left.set_title(f"InPCA, explained stress {layout.explained_stress[1]:.0%}")
    eigenvalues = np.array(layout.eigenvalues)
    first, second = (_inpca_axis(k, eigenvalues[k]) for k in (0, 1))
    left.set(xlabel=first, ylabel=second)
    left.margins(0.15)
    left.xaxis.set_major_locator(MaxNLocator(5))
    axes = np.arange(1, len(eigenvalues) + 1)
    right.bar(axes, eigenvalues, color=np.where(eigenvalues < 0, panels.RED, panels.BLUE))
    right.axhline(0, color="black", linewidth=0.6)
    right.set(xlabel="axis", ylabel="eigenvalue (nats)")
    if (eigenvalues < 0).any():
        right.set_title("negative: imaginary axes")
    return figure


def _inpca_axis(axis: int, eigenvalue: float) -> str:
    return f"axis {axis + 1}" + (" (imaginary)" if eigenvalue < 0 else "")


INPCA = _layout_kind(
    name="inpca",
    title="InPCA of the members",
    caption="InPCA of Bhattacharyya’s distance. Along imaginary axes squared distances count "
    "as negative.",
    needs=lambda analysis: analysis.inpca,
    draw=inpca,
)


def layouts_for_page(analysis: Analysis, view: DistanceMap) -> dict[str, object]:
    """By name: title, coordinates by axis, labels of the axes, and how to read the layout."""
    share = np.nan_to_num(view.shares)
    coordinates = view.coordinates[:, :_AXES].T
    layouts: dict[str, object] = {
        "mds": {
            "title": "classical MDS",
            "xyz": coordinates,
            "axes": [f"axis {k + 1} ({share[k]:.1%})" for k in range(len(coordinates))],
            "note": f"Two axes hold {share[:2].sum():.1%} of the variance; if all members were "
            f"equally far apart, two axes would hold {view.top_2_share_equidistant:.1%}.",
        }
    }
    for layout, rows in view.layouts.groupby("layout", sort=False):
        method, _, seed = str(layout).partition(" ")
        if method != "mds":
            title = _NAMES.get(method, method)
            layouts[str(layout)] = {
                "title": f"{title}, seed {seed}" if seed else title,
                "xyz": rows[["x", "y"]].to_numpy().T,
                "axes": ["", ""],
                "note": _note(view, method, seed),
            }
    if computed(signed := analysis.inpca):
        coordinates, stress = signed.coordinates[:, :_AXES].T, signed.explained_stress
        layouts["inpca"] = {
            "title": "InPCA (Bhattacharyya)",
            "note": "Always of the Bhattacharyya distance, whatever distance is chosen above: the "
            f"first two axes explain {stress[min(1, len(stress) - 1)]:.0%} of the stress, which is "
            "not a share of variance. Along imaginary axes squared distances count as negative.",
            "xyz": coordinates,
            "axes": [_inpca_axis(k, signed.eigenvalues[k]) for k in range(len(coordinates))],
        }
    return layouts


def _note(view: DistanceMap, method: str, seed: str) -> str:
    if method == "smacof":
        return (
            f"Keeps distances as well as a plane can: stress {needed(view.smacof).stress:.2f}, "
            "where 0 is perfect. The axes have no meaning of their own."
        )
    neighbours = needed(view.neighbours[method])
    note = _KEEPS_NEIGHBOURS.capitalize()
    trust, agreement = neighbours.trustworthiness[int(seed)], neighbours.r_between_seeds
    if computed(trust):
        note += f" Trustworthiness {trust:.2f}."
    if computed(agreement):
        note += f" Layouts of other seeds agree at r = {agreement:.2f}."
    return f"{note} With so few members it means nothing." if neighbours.means_nothing else note
