"""t-SNE and UMAP under each distance."""

from functools import partial

from matplotlib import style
from matplotlib.figure import Figure

from chromatic_descent.analysis import Analysis
from chromatic_descent.analysis.maps import DistanceMap, Neighbours
from chromatic_descent.analysis.results import Each, computed
from chromatic_descent.report.figures.kind import FigureKind
from chromatic_descent.report.figures.panels import STYLE, draw_members, row_of_panels
from chromatic_descent.report.names import heading_of


@style.context(STYLE)
def neighbour_layouts(analysis: Analysis, method: str = "tsne") -> Figure:
    """t-SNE or UMAP under each distance, first seed, and how well the other seeds agree."""
    views = {
        name: (view, neighbours)
        for name, view in analysis.maps.computed().items()
        if computed(neighbours := view.neighbours.find(method))
    }
    figure, axes = row_of_panels(len(views))
    for axis, (name, (view, neighbours)) in zip(axes, views.items(), strict=True):
        layouts = view.layouts
        xy = layouts[layouts["layout"] == f"{method} 0"][["x", "y"]].to_numpy()
        draw_members(axis, xy, analysis)
        agreement = neighbours.r_between_seeds
        note = f"r between seeds {agreement:.2f}" if computed(agreement) else "one seed"
        axis.set_title(f"{heading_of(name)}\n{method}, {note}")
        axis.set_xticks([])
        axis.set_yticks([])
        axis.margins(0.1)
    return figure


def _needs(method: str, analysis: Analysis) -> Each[Neighbours]:
    views: dict[str, DistanceMap] = analysis.maps.computed()
    return Each({name: view.neighbours.find(method) for name, view in views.items()})


def _kind(method: str, title: str) -> FigureKind:
    return FigureKind(
        name=method,
        section="map",
        title=f"{title} layouts of the members",
        caption=f"{title} keeps neighbours, not distances: gaps and sizes of clusters mean "
        "nothing.",
        needs=partial(_needs, method),
        draw=partial(neighbour_layouts, method=method),
        page="chromatic_map",
        folder="embeddings",
    )


TSNE = _kind("tsne", "t-SNE")
UMAP = _kind("umap", "UMAP")
