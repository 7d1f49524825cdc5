"""Distances between members, and how far different distances agree."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from numpy.typing import NDArray

from chromatic_descent.analysis import Analysis
from chromatic_descent.report.figures import panels
from chromatic_descent.report.figures.kind import FigureKind, Interactive, needed
from chromatic_descent.report.names import member_labels, words


@panels.styled
def heatmaps(analysis: Analysis) -> Figure:
    """Distances between members (not squared), ordered by average-linkage clustering."""
    figure, views = panels.panel_for_each(analysis.maps.computed(), height=3.1)
    labels = member_labels(analysis)
    colours = np.array([to_rgb(text) for text in analysis.colours.hex])
    for axis, name, view in views:
        order = view.clustering.order
        distances = _ordered_distances(analysis, name)
        np.fill_diagonal(distances, np.nan)  # left white: its zeros would wash the rest out
        image = axis.imshow(distances, interpolation="nearest")
        shown = range(len(labels) if len(labels) <= panels.FEW else 0)
        names = [labels[order[k]] for k in shown]
        axis.set_xticks(shown, names, rotation=90)
        axis.set_yticks(shown, names)
        axis.tick_params(length=0, labelsize=min(6.5, 150 / len(labels)))
        axis.spines[:].set_visible(False)
        _draw_strips(axis, colours[order])
        figure.colorbar(image, ax=axis, shrink=0.7, label="distance")
    return figure


def _ordered_distances(analysis: Analysis, name: str) -> NDArray[np.float64]:
    """Distances [S, S] in the order of the tree."""
    order = needed(analysis.maps[name]).clustering.order
    squared = needed(analysis.distances.matrices[name]).squared
    distances: NDArray[np.float64] = np.sqrt(np.maximum(squared, 0))[np.ix_(order, order)]
    return distances


def _draw_strips(axis: Axes, colours: NDArray[np.float64]) -> None:
    """Members' colours [S, 3] along the left and the upper side of a heatmap."""
    low, high, wide = -0.5, len(colours) - 0.5, 0.04 * len(colours)
    sides = [  # left, right, bottom, top
        (colours[:, None], (low - 1.5 * wide, low - wide / 2, high, low)),
        (colours[None], (low, high, low - wide / 2, low - 1.5 * wide)),
    ]
    for strip, extent in sides:
        axis.imshow(strip, extent=extent, interpolation="nearest")
    axis.set(xlim=(low - 1.5 * wide, high), ylim=(high, low - 1.5 * wide))


def _data(analysis: Analysis, name: str) -> object:
    """Distances above the diagonal, row by row, in the order of the tree; and the tree."""
    clustering, ordered = needed(analysis.maps[name]).clustering, _ordered_distances(analysis, name)
    upper = ordered[np.triu_indices(len(ordered), 1)]
    return {"order": clustering.order, "upper": upper, "tree": clustering.tree}


HEATMAP = FigureKind(
    name="heatmap",
    section="distances",
    title="Distances between members in dendrogram order",
    caption="Distances between members (roots of the squared ones), in the order of an "
    "average-linkage tree, beside each member’s colour. Clusters are found by construction; a "
    "tree does not show that there are groups.",
    needs=lambda analysis: analysis.maps,
    draw=heatmaps,
    page=Interactive(("heatmap",), data_by_distance=_data, size="square"),
    folder="embeddings",
)


@panels.styled
def mantel(analysis: Analysis) -> Figure:
    """Mantel's r between every two distances: how far they agree."""
    result = needed(analysis.distances.mantel)
    labels, r = [words(name) for name in result.names], np.array(result.r)
    figure = Figure(figsize=(4.6, 4.2))
    axis = figure.subplots()
    panels.draw_correlations(axis, r, "Mantel's r")
    axis.set_xticks(range(len(labels)), labels, rotation=90)
    axis.set_yticks(range(len(labels)), labels)
    return figure


def _mantel_data(analysis: Analysis) -> object:
    result = needed(analysis.distances.mantel)
    return {"names": [words(name) for name in result.names], "r": result.r}


MANTEL = FigureKind(
    name="mantel",
    section="distances",
    title="Mantel correlations between distances",
    caption="Mantel’s r between every two distances: near 1 they agree. One member far from all "
    "others makes every correlation high.",
    needs=lambda analysis: analysis.distances.mantel,
    draw=mantel,
    page=Interactive(("mantel",), _mantel_data, size="square"),
)
