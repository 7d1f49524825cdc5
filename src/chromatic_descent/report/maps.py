"""Figures of where members lie."""

import numpy as np
from matplotlib import style
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse

from chromatic_descent.analysis import Analysis
from chromatic_descent.analysis.results import computed
from chromatic_descent.report.panels import (
    BLUE,
    GREY,
    NOTHING,
    RED,
    STYLE,
    accuracies,
    label_members,
    member_names,
    row_of_panels,
    title_of,
    views_of,
)


@style.context(STYLE)
def maps(analysis: Analysis) -> Figure:
    """Classical MDS under each distance: members by seed, coloured by accuracy.

    Ellipses hold 95% of each member's places when the probe images are resampled. Axes share one
    scale, and equal lengths are equal distances.
    """
    views = views_of(analysis)
    figure, axes = row_of_panels(len(views))
    for axis, (name, view) in zip(axes, views.items(), strict=True):
        xy = view["coordinates"][:, :2]
        for member in view["ellipses"].itertuples():
            axis.add_patch(
                Ellipse(
                    (member.x, member.y),
                    2 * member.half_axis_1,
                    2 * member.half_axis_2,
                    angle=np.degrees(member.angle),
                    color=GREY,
                    alpha=0.6,
                    zorder=1,
                )
            )
        points = axis.scatter(xy[:, 0], xy[:, 1], s=28, c=accuracies(analysis), zorder=2)
        label_members(axis, xy, analysis)
        first, both = view["explained"][0], view["top_2_share"]
        axis.set_xlabel(f"axis 1 ({first:.0%})")
        axis.set_ylabel(f"axis 2 ({both - first:.0%})")
        axis.set_title(title_of(name))
        axis.set_aspect("equal", adjustable="datalim")
        axis.margins(0.15)
    figure.colorbar(points, ax=axes, label="accuracy on the probe", shrink=0.7)
    return figure


@style.context(STYLE)
def inpca(analysis: Analysis) -> Figure:
    """InPCA of Bhattacharyya's distance: the first two axes, and the spectrum with its signs."""
    found = analysis.results["inpca"]
    figure, (left, right) = row_of_panels(2)
    xy = found["coordinates"][:, :2]
    left.scatter(xy[:, 0], xy[:, 1], s=28, c=accuracies(analysis))
    label_members(left, xy, analysis)
    left.set_title(f"InPCA, explained stress {found['explained_stress'][1]:.0%}")
    eigenvalues = np.array(found["eigenvalues"])
    names = [f"axis {k + 1}" + (" (imaginary)" if eigenvalues[k] < 0 else "") for k in (0, 1)]
    left.set_xlabel(names[0])
    left.set_ylabel(names[1])
    left.margins(0.15)
    places = np.arange(1, len(eigenvalues) + 1)
    right.bar(places, eigenvalues, color=np.where(eigenvalues < 0, RED, BLUE))
    right.axhline(0, color="black", linewidth=0.6)
    right.set_xlabel("axis")
    right.set_ylabel("eigenvalue (nats)")
    right.set_title("negative ones are imaginary axes")
    return figure


@style.context(STYLE)
def neighbour_layouts(analysis: Analysis, method: str) -> Figure:
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
        axis.scatter(xy[:, 0], xy[:, 1], s=28, c=accuracies(analysis))
        label_members(axis, xy, analysis)
        spread = view["neighbours"][method]["r_between_seeds"]
        note = f"r between seeds {spread:.2f}" if computed(spread) else "one seed"
        axis.set_title(f"{title_of(name)}\n{method}, {note}")
        axis.set_xticks([])
        axis.set_yticks([])
    return figure


@style.context(STYLE)
def heatmaps(analysis: Analysis) -> Figure:
    """Distances between members (not squared), ordered by average-linkage clustering."""
    from scipy.cluster.hierarchy import leaves_list, linkage
    from scipy.spatial.distance import squareform

    views = views_of(analysis)
    figure, axes = row_of_panels(len(views))
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
        seeds = [member_names(analysis)[k] for k in order]
        few = len(seeds) <= 30
        axis.set_xticks(range(len(seeds)) if few else [], seeds if few else [], rotation=90)
        axis.set_yticks(range(len(seeds)) if few else [], seeds if few else [])
        axis.spines[:].set_visible(False)
        figure.colorbar(image, ax=axis, shrink=0.7, label="root of the squared distance")
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
    """All members' paths through training: InPCA of every checkpoint, and progress by epoch."""
    found = analysis.results["trajectories"]
    figure, (left, right) = row_of_panels(2)
    epochs = np.array(found["epochs"])
    for path, progress in zip(found["coordinates"], found["progress"], strict=True):
        left.plot(path[:, 0], path[:, 1], ".-", linewidth=0.6, markersize=3)
        right.plot(epochs, progress, ".-", linewidth=0.6, markersize=3)
    left.set_title(f"InPCA, explained stress {found['explained_stress'][1]:.0%}")
    left.set_xlabel("axis 1")
    left.set_ylabel("axis 2")
    right.set_xlabel("epochs trained")
    right.set_ylabel("progress, ignorance to truth")
    return figure
