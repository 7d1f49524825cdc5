"""Figures of where members lie, each in its colour of the chromatic map."""

import numpy as np
import pandas as pd
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from chromatic_descent import geometry
from chromatic_descent.analysis import Analysis
from chromatic_descent.analysis.results import computed
from chromatic_descent.report.colour import colours_of
from chromatic_descent.report.panels import (
    BLUE,
    COLUMN,
    FEW,
    GREY,
    NOTHING,
    RED,
    STYLE,
    draw_members,
    member_names,
    row_of_panels,
    shape_legend,
    title_of,
    views_of,
)


@style.context(STYLE)
def chromatic_map(analysis: Analysis, *, safe: bool = False) -> Figure:
    """The map that gives members their colours, from the front and the side, and its fidelity.

    Classical MDS: axes 1 and 2 with ellipses that hold 95% of each member's places when the probe
    images are resampled, then axes 3 and 2 at the same scale. Right: how different two members
    look (ΔE OK) against how far apart they are.

    Args:
        analysis: of at least two members.
        safe: axis 1 alone in blue and yellow, for every kind of colour vision.
    """
    colours = colours_of(analysis)
    squared = analysis.results["distances"]["matrices"][colours.distance]["squared"]
    mds = geometry.classical_mds(squared, min(3, len(squared)))
    places = np.zeros((len(squared), 3))
    places[:, : mds.coordinates.shape[1]] = mds.coordinates
    shares = np.diff(mds.explained, prepend=0)
    figure = Figure(figsize=(2 * COLUMN, 2.7))
    front, side, fidelity = figure.subplots(1, 3, width_ratios=[1, 1, 0.9])
    view = views_of(analysis).get(colours.distance)
    if view is not None:
        _draw_ellipses(front, view["ellipses"])
    radius = 1.2 * np.abs(places).max() or 1.0
    for axis, across in ((front, 0), (side, 2)):
        draw_members(axis, places[:, [across, 1]], analysis, safe=safe)
        axis.set(xlim=(-radius, radius), ylim=(-radius, radius), aspect="equal")
        axis.set_xlabel(_axis_label(across, shares))
        axis.set_ylabel(_axis_label(1, shares))
        axis.xaxis.set_major_locator(MaxNLocator(4))
        axis.yaxis.set_major_locator(MaxNLocator(4))
    front.set_title(f"{title_of(colours.distance)}, from the front")
    side.set_title("from the side")
    pairs = np.triu_indices(len(squared), 1)
    apart = np.linalg.norm(colours.oklab[:, None] - colours.oklab, axis=-1)[pairs]
    many = len(apart) > 2000
    size, alpha = (1, 0.2) if many else (6, 0.6)
    fidelity.scatter(
        np.sqrt(squared[pairs]),
        apart,
        s=size,
        color=BLUE,
        alpha=alpha,
        linewidths=0,
        rasterized=many,
    )
    fidelity.set_ylim(bottom=0)
    fidelity.set_xlabel("distance of two members")
    fidelity.set_ylabel("difference of their colours (ΔE OK)")
    if colours.correlation is not None:
        fidelity.set_title(f"Spearman {colours.correlation:.2f}, stress {colours.stress:.2f}")
    shape_legend(figure, analysis)
    return figure


@style.context(STYLE)
def distance_maps(analysis: Analysis) -> Figure:
    """Classical MDS under each distance.

    Ellipses hold 95% of each member's places when the probe images are resampled. Axes share one
    scale, and equal lengths are equal distances.
    """
    views = views_of(analysis)
    figure, axes = row_of_panels(len(views), height=3.1)
    for axis, (name, view) in zip(axes, views.items(), strict=True):
        _draw_ellipses(axis, view["ellipses"])
        draw_members(axis, view["coordinates"][:, :2], analysis)
        shares = np.diff(view["explained"], prepend=0)
        axis.set_xlabel(_axis_label(0, shares))
        axis.set_ylabel(_axis_label(1, shares))
        axis.set_title(title_of(name))
        axis.set_aspect("equal", adjustable="datalim")
        axis.margins(0.12)
    return figure


@style.context(STYLE)
def inpca(analysis: Analysis) -> Figure:
    """InPCA of Bhattacharyya's distance: the first two axes, and the spectrum with its signs."""
    found = analysis.results["inpca"]
    figure, (left, right) = row_of_panels(2)
    draw_members(left, found["coordinates"][:, :2], analysis)
    left.set_title(f"InPCA, explained stress {found['explained_stress'][1]:.0%}")
    eigenvalues = np.array(found["eigenvalues"])
    names = [f"axis {k + 1}" + (" (imaginary)" if eigenvalues[k] < 0 else "") for k in (0, 1)]
    left.set_xlabel(names[0])
    left.set_ylabel(names[1])
    left.margins(0.15)
    left.xaxis.set_major_locator(MaxNLocator(5))
    places = np.arange(1, len(eigenvalues) + 1)
    right.bar(places, eigenvalues, color=np.where(eigenvalues < 0, RED, BLUE))
    right.axhline(0, color="black", linewidth=0.6)
    right.set_xlabel("axis")
    right.set_ylabel("eigenvalue (nats)")
    if (eigenvalues < 0).any():
        right.set_title("negative: imaginary axes")
    return figure


@style.context(STYLE)
def neighbour_layouts(analysis: Analysis, method: str = "tsne") -> Figure:
    """t-SNE or UMAP under each distance, first seed, with how alike the other seeds came out."""
    views = {
        name: view
        for name, view in views_of(analysis).items()
        if computed(view["neighbours"].get(method, NOTHING))
    }
    figure, axes = row_of_panels(len(views))
    for axis, (name, view) in zip(axes, views.items(), strict=True):
        layouts = view["layouts"]
        xy = layouts[layouts["layout"] == f"{method} 0"][["x", "y"]].to_numpy()
        draw_members(axis, xy, analysis)
        spread = view["neighbours"][method]["r_between_seeds"]
        note = f"r between seeds {spread:.2f}" if computed(spread) else "one seed"
        axis.set_title(f"{title_of(name)}\n{method}, {note}")
        axis.set_xticks([])
        axis.set_yticks([])
        axis.margins(0.1)
    return figure


@style.context(STYLE)
def heatmaps(analysis: Analysis) -> Figure:
    """Distances between members (not squared), ordered by average-linkage clustering."""
    from scipy.cluster.hierarchy import leaves_list, linkage
    from scipy.spatial.distance import squareform

    views = views_of(analysis)
    figure, axes = row_of_panels(len(views), height=3.1)
    told = member_names(analysis)
    colours = np.array([to_rgb(text) for text in colours_of(analysis).hex])
    for axis, name in zip(axes, views, strict=True):
        distances = np.sqrt(analysis.results["distances"]["matrices"][name]["squared"])
        order = leaves_list(
            linkage(
                squareform(distances, checks=False),
                "average",
                optimal_ordering=len(distances) < 300,
            )
        )
        np.fill_diagonal(distances, np.nan)  # left white: its zeros would wash the rest out
        image = axis.imshow(distances[np.ix_(order, order)], interpolation="nearest")
        axis.set_title(title_of(name))
        names = [told[k] for k in order]
        few = len(names) <= FEW
        size = min(6.5, 150 / len(names))
        axis.set_xticks(range(len(names)) if few else [], names if few else [], rotation=90)
        axis.set_yticks(range(len(names)) if few else [], names if few else [])
        axis.tick_params(length=0, labelsize=size)
        axis.spines[:].set_visible(False)
        _colour_strips(axis, colours[order])
        figure.colorbar(image, ax=axis, shrink=0.7, label="distance")
    return figure


@style.context(STYLE)
def mantel(analysis: Analysis) -> Figure:
    """Mantel's r between every two distances: how far they tell the same story."""
    found = analysis.results["distances"]["mantel"]
    names, r = found["names"], np.array(found["r"])
    figure = Figure(figsize=(4.6, 4.2))
    axis = figure.subplots()
    image = axis.imshow(r, vmin=-1, vmax=1, cmap="RdBu_r")
    labels = [name.replace("_", " ") for name in names]
    axis.set_xticks(range(len(names)), labels, rotation=90)
    axis.set_yticks(range(len(names)), labels)
    axis.spines[:].set_visible(False)
    for (i, j), value in np.ndenumerate(r):
        colour = "white" if abs(value) > 0.6 else "black"
        axis.text(j, i, f"{value:.2f}", ha="center", va="center", size=5, color=colour)
    figure.colorbar(image, ax=axis, shrink=0.7, label="Mantel's r")
    return figure


@style.context(STYLE)
def trajectories(analysis: Analysis) -> Figure:
    """All members' paths through training: InPCA of every checkpoint, and progress by epoch.

    Paths have the colours of their ends.
    """
    found = analysis.results["trajectories"]
    figure, (left, right) = row_of_panels(2)
    epochs = np.array(found["epochs"])
    paths = zip(found["coordinates"], found["progress"], colours_of(analysis).hex, strict=True)
    for path, progress, colour in paths:
        left.plot(path[:, 0], path[:, 1], ".-", linewidth=0.8, markersize=3, color=colour)
        right.plot(epochs, progress, ".-", linewidth=0.8, markersize=3, color=colour)
    ends = np.array([path[-1, :2] for path in found["coordinates"]])
    draw_members(left, ends, analysis)
    left.set_title(f"InPCA, explained stress {found['explained_stress'][1]:.0%}")
    left.set_xlabel("axis 1")
    left.set_ylabel("axis 2")
    right.xaxis.set_major_locator(MaxNLocator(integer=True))
    right.set_xlabel("epochs trained")
    right.set_ylabel("progress, ignorance to truth")
    return figure


def _axis_label(axis: int, shares: NDArray[np.float64]) -> str:
    """`axis 1 (17%)`, its share of the variance where there is any."""
    known = axis < len(shares) and np.isfinite(shares[axis])
    return f"axis {axis + 1}" + (f" ({shares[axis]:.0%})" if known else "")


def _draw_ellipses(axis: Axes, ellipses: pd.DataFrame) -> None:
    columns = ["x", "y", "half_axis_1", "half_axis_2", "angle"]
    for x, y, first, second, angle in ellipses[columns].to_numpy():
        turn = np.degrees(angle)
        shape = Ellipse((x, y), 2 * first, 2 * second, angle=turn, color=GREY, alpha=0.35, lw=0)
        axis.add_patch(shape)  # patches lie below dots


def _colour_strips(axis: Axes, colours: NDArray[np.float64]) -> None:
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
