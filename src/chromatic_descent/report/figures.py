"""Figures of an analysis, each a function of results that returns a matplotlib Figure."""

import logging
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from chromatic_descent import geometry
from chromatic_descent.analysis import Analysis, Map, seed_spread, top_two
from chromatic_descent.atomic import atomic_path

if TYPE_CHECKING:
    import pandas as pd

STYLE = str(Path(__file__).with_name("chromatic.mplstyle"))
_PANEL = 2.6  # inches
_WITHIN_95 = 2.448  # radius of a 2-D standard normal's 95% disc, √(−2 ln 0.05)
_LABELS = {
    "logit_mse": "logit MSE",
    "logit_mse_centred": "logit MSE, centred",
    "logit_mse_matched": "logit MSE, centred,\ntemperature-matched",
    "hellinger": "Hellinger",
}
_METRIC_LABELS = {"accuracy": "accuracy", "nll": "NLL (nats)", "brier": "Brier", "ece": "ECE"}


def figures(analysis: Analysis) -> dict[str, Figure]:
    """Every figure that the analysis has data for, by file name."""
    made = {"ensemble": ensemble_curves(analysis)}
    if analysis.maps:
        made |= {"map": maps(analysis), "heatmap": heatmaps(analysis), "scree": scree(analysis)}
        methods = sorted({n.split()[0] for v in analysis.maps.values() for n in v.layouts})
        made |= {method: neighbour_layouts(analysis, method) for method in methods}
    return made


def save(figure: Figure, folder: Path, name: str) -> None:
    """Write a figure as PNG and PDF, each whole or not at all."""
    # It reports on every glyph that it embeds, at a level that Hydra shows.
    logging.getLogger("fontTools").setLevel(logging.WARNING)
    figure.draw_without_rendering()  # lays it out, once for both
    figure.set_layout_engine("none")
    for ending in ("png", "pdf"):
        with atomic_path(folder / f"{name}.{ending}") as temporary, style.context(STYLE):
            figure.savefig(temporary, format=ending)


@style.context(STYLE)
def maps(analysis: Analysis) -> Figure:
    """Classical MDS under each distance: members by seed, coloured by accuracy.

    Ellipses hold 95% of each member's places when the probe images are resampled. Axes share one
    scale, and equal lengths are equal distances.
    """
    figure, axes = _panels(len(analysis.maps))
    accuracy = analysis.members["accuracy"].to_numpy()
    for axis, (name, view) in zip(axes, analysis.maps.items(), strict=True):
        xy = view.mds.coordinates[:, :2]
        for place, cloud in zip(xy, view.bootstrap.layouts.transpose(1, 0, 2), strict=True):
            axis.add_patch(_ellipse(place, cloud))
        points = axis.scatter(xy[:, 0], xy[:, 1], s=28, c=accuracy, zorder=2)
        _label(axis, xy, analysis)
        share = view.mds.explained
        axis.set_xlabel(f"axis 1 ({share[0]:.0%})")
        axis.set_ylabel(f"axis 2 ({top_two(view.mds) - share[0]:.0%})")
        axis.set_title(_LABELS.get(name, name))
        axis.set_aspect("equal", adjustable="datalim")
        axis.margins(0.15)
    figure.colorbar(points, ax=axes, label="accuracy on the probe", shrink=0.7)
    return figure


@style.context(STYLE)
def neighbour_layouts(analysis: Analysis, method: str) -> Figure:
    """t-SNE or UMAP under each distance, first seed, with how alike the other seeds came out."""
    figure, axes = _panels(len(analysis.maps))
    accuracy = analysis.members["accuracy"].to_numpy()
    for axis, (name, view) in zip(axes, analysis.maps.items(), strict=True):
        xy = view.layouts[f"{method} 0"]
        axis.scatter(xy[:, 0], xy[:, 1], s=28, c=accuracy)
        _label(axis, xy, analysis)
        spread = seed_spread(view).get(method)
        note = "one seed" if spread is None else f"r over seeds {spread:.2f}"
        axis.set_title(f"{_LABELS.get(name, name)}\n{method}, {note}")
        axis.set_xticks([])
        axis.set_yticks([])
    return figure


@style.context(STYLE)
def heatmaps(analysis: Analysis) -> Figure:
    """Distances between members (not squared), ordered by average-linkage clustering."""
    from scipy.cluster.hierarchy import leaves_list, linkage
    from scipy.spatial.distance import squareform

    figure, axes = _panels(len(analysis.maps))
    for axis, (name, view) in zip(axes, analysis.maps.items(), strict=True):
        distances = np.sqrt(view.squared)
        order = leaves_list(
            linkage(squareform(distances, checks=False), "average", optimal_ordering=True)
        )
        np.fill_diagonal(distances, np.nan)  # left white: its zeros would wash the rest out
        image = axis.imshow(distances[np.ix_(order, order)], interpolation="nearest")
        axis.set_title(_LABELS.get(name, name))
        seeds = [str(analysis.population.seeds[k]) for k in order]
        few = len(seeds) <= 30
        axis.set_xticks(range(len(seeds)) if few else [], seeds if few else [], rotation=90)
        axis.set_yticks(range(len(seeds)) if few else [], seeds if few else [])
        axis.spines[:].set_visible(False)
        figure.colorbar(image, ax=axis, shrink=0.7, label="root of the squared distance")
    return figure


@style.context(STYLE)
def scree(analysis: Analysis) -> Figure:
    """Share of variance by axis, beside equidistant members and the permuted-distances null."""
    figure, axes = _panels(len(analysis.maps))
    for axis, (name, view) in zip(axes, analysis.maps.items(), strict=True):
        share = np.nan_to_num(np.diff(view.mds.explained, prepend=0))
        axes_shown = np.arange(1, len(share) + 1)
        axis.bar(axes_shown, share, color="#4477aa", label="members")
        equal = geometry.equidistant_share(len(view.squared), 1)
        axis.axhline(equal, color="#222222", linestyle=":", label="equidistant members")
        axis.set_title(_scree_title(name, view))
        axis.set_xlabel("axis")
        axis.set_ylabel("share of variance")
        axis.set_ylim(0, 1.3 * max(share.max(), equal))  # room for the legend
    axes[0].legend(loc="upper right")
    return figure


@style.context(STYLE)
def ensemble_curves(analysis: Analysis) -> Figure:
    """Each metric by ensemble size and combiner; bands hold 95% of the subsets."""
    figure, axes = _panels(len(_METRIC_LABELS))
    for axis, (metric, label) in zip(axes, _METRIC_LABELS.items(), strict=True):
        for combiner, curve in _by_combiner(analysis.curves, metric):
            size, mean = curve["size"].to_numpy(), curve["mean"].to_numpy()
            (line,) = axis.plot(size, mean, ".-", label=combiner.replace("_", " "))
            band = curve["low"].to_numpy(), curve["high"].to_numpy()
            axis.fill_between(size, *band, alpha=0.15, color=line.get_color())
        axis.set_xlabel("members in the ensemble")
        axis.set_ylabel(label)
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes[0].legend()
    return figure


def _panels(count: int) -> tuple[Figure, list[Axes]]:
    """A row of up to two panels, as many rows as it takes."""
    columns = min(count, 2)
    rows = -(-count // columns)
    figure = Figure(figsize=(_PANEL * columns + 0.8, _PANEL * rows))
    grid = figure.subplots(rows, columns, squeeze=False)
    axes = list(grid.ravel())
    for unused in axes[count:]:
        unused.remove()
    return figure, axes[:count]


def _label(axis: Axes, xy: NDArray[np.float64], analysis: Analysis) -> None:
    if len(xy) <= 60:
        for place, seed in zip(xy, analysis.population.seeds, strict=True):
            axis.annotate(str(seed), place, xytext=(3.5, 3.5), textcoords="offset points", size=6)


def _ellipse(place: NDArray[np.float64], cloud: NDArray[np.float64]) -> Ellipse:
    """The normal 95% ellipse of a member's resampled places [B, 2], around its own place."""
    offsets = cloud - cloud.mean(axis=0)
    values, vectors = np.linalg.eigh(offsets.T @ offsets / len(cloud))
    width, height = 2 * _WITHIN_95 * np.sqrt(np.maximum(values, 0))
    angle = float(np.degrees(np.arctan2(vectors[1, 0], vectors[0, 0])))
    return Ellipse(tuple(place), width, height, angle=angle, color="#bbbbbb", alpha=0.6, zorder=1)


def _scree_title(name: str, view: Map) -> str:
    title = f"{_LABELS.get(name, name)}\ntop 2: {top_two(view.mds):.1%}"
    return title if view.null is None else f"{title}, p = {view.null.p_value:.3f}"


def _by_combiner(curves: "pd.DataFrame", metric: str) -> list[tuple[str, "pd.DataFrame"]]:
    chosen = curves[curves["metric"] == metric]
    return [(str(name), part) for name, part in chosen.groupby("combiner", sort=False)]
