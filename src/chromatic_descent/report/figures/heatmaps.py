"""Distances between members, in the order of a clustering."""

import numpy as np
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from numpy.typing import NDArray

from chromatic_descent.analysis import Analysis
from chromatic_descent.report.figures.kind import FigureKind, Interactive, needed
from chromatic_descent.report.figures.panels import FEW, STYLE, row_of_panels
from chromatic_descent.report.names import heading_of, member_labels


@style.context(STYLE)
def heatmaps(analysis: Analysis) -> Figure:
    """Distances between members (not squared), ordered by average-linkage clustering."""
    views = analysis.maps.computed()
    figure, axes = row_of_panels(len(views), height=3.1)
    labels = member_labels(analysis)
    colours = np.array([to_rgb(text) for text in analysis.colours.hex])
    for axis, (name, view) in zip(axes, views.items(), strict=True):
        order = view.clustering.order
        distances = _distances(analysis, name)
        np.fill_diagonal(distances, np.nan)  # left white: its zeros would wash the rest out
        image = axis.imshow(distances[np.ix_(order, order)], interpolation="nearest")
        axis.set_title(heading_of(name))
        names = [labels[k] for k in order]
        few = len(names) <= FEW
        axis.set_xticks(range(len(names)) if few else [], names if few else [], rotation=90)
        axis.set_yticks(range(len(names)) if few else [], names if few else [])
        axis.tick_params(length=0, labelsize=min(6.5, 150 / len(names)))
        axis.spines[:].set_visible(False)
        _draw_strips(axis, colours[order])
        figure.colorbar(image, ax=axis, shrink=0.7, label="distance")
    return figure


def _distances(analysis: Analysis, name: str) -> NDArray[np.float64]:
    squared = needed(analysis.distances.matrices[name]).squared
    distances: NDArray[np.float64] = np.sqrt(np.maximum(squared, 0))
    return distances


def _draw_strips(axis: Axes, colours: NDArray[np.float64]) -> None:
    """Members' colours [S, 3] along the left and the upper side of a heatmap."""
    count = len(colours)
    low, high, wide = -0.5, count - 0.5, 0.04 * count
    sides = [  # left, right, bottom, top
        (colours[:, None], (low - 1.5 * wide, low - wide / 2, high, low)),
        (colours[None], (low, high, low - wide / 2, low - 1.5 * wide)),
    ]
    for strip, extent in sides:
        axis.imshow(strip, extent=extent, interpolation="nearest")
    axis.set(xlim=(low - 1.5 * wide, high), ylim=(high, low - 1.5 * wide))


def _data(analysis: Analysis, name: str) -> object:
    """Distances above the diagonal, row by row, in the order of the tree; and the tree."""
    clustering = needed(analysis.maps[name]).clustering
    order = clustering.order
    above = np.triu_indices(len(order), 1)
    ordered = _distances(analysis, name)[np.ix_(order, order)]
    return {"order": order, "upper": ordered[above], "tree": clustering.tree}


KIND = FigureKind(
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
