"""Figures of an analysis, each a function of results that returns a matplotlib Figure.

A figure of what was not computed is not drawn: `figures` leaves it out.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from chromatic_descent.analysis import Analysis
from chromatic_descent.analysis.results import computed
from chromatic_descent.atomic import atomic_path
from chromatic_descent.errors import UserError

STYLE = str(Path(__file__).with_name("chromatic.mplstyle"))
OF_EMBEDDINGS = ("map", "heatmap", "spectrum", "inpca", "tsne", "umap")
_PANEL = 2.6  # inches
_FEW = 60  # members that can be told apart by their labels
_LABELS = {
    "logit_mse": "logit MSE",
    "logit_mse_centred": "logit MSE, centred",
    "logit_mse_matched": "logit MSE, centred,\ntemperature-matched",
    "hellinger": "Hellinger",
}
_METRICS = {"accuracy": "accuracy", "nll": "NLL (nats)", "brier": "Brier", "ece": "ECE"}
_OF = {"members": "members", "images": "probe images"}
_NOTHING = {"not_computed": "not asked for"}
_BLUE, _GREY, _RED = "#4477aa", "#bbbbbb", "#aa3377"


def figures(analysis: Analysis) -> dict[str, Figure]:
    """Every figure that the analysis has results for, by file name."""
    results = analysis.results
    made: dict[str, Figure] = {}

    def draw(name: str, figure: Callable[[Analysis], Figure], *needed: Any) -> None:
        if needed and all(computed(result) and len(result) for result in needed):
            made[name] = figure(analysis)

    draw("map", maps, _views(analysis))
    draw("heatmap", heatmaps, _views(analysis))
    draw("spectrum", spectra, _views(analysis))
    for method in ("tsne", "umap"):
        placed = [v["neighbours"].get(method, _NOTHING) for v in _views(analysis).values()]
        if any(computed(found) for found in placed):
            made[method] = neighbour_layouts(analysis, method)
    draw("inpca", inpca, results["inpca"])
    draw("mantel", mantel, results["distances"].get("mantel", _NOTHING))
    draw("nulls", nulls, _tested(analysis))
    draw("dimension", dimension, _present(results["dimension"]))
    draw("drivers", drivers, _present(results["drivers"]))
    draw("interventions", interventions, _present(results["drivers"]))
    draw("ensemble", ensemble_curves, results["ensembles"])
    draw("reliability", reliability, results["ensembles"])
    draw("trajectories", trajectories, results["trajectories"])
    return made


def save(figure: Figure, folder: Path, name: str, formats: Sequence[str] = ("png", "pdf")) -> None:
    """Write a figure in each format, each file whole or not at all."""
    if unknown := sorted(set(formats) - figure.canvas.get_supported_filetypes().keys()):
        raise UserError(f"figures={unknown}: expected formats such as png, pdf or svg.")
    # It reports on every glyph that it embeds, at a level that Hydra shows.
    logging.getLogger("fontTools").setLevel(logging.WARNING)
    figure.draw_without_rendering()  # lays it out, once for both
    figure.set_layout_engine("none")
    for ending in formats:
        with atomic_path(folder / f"{name}.{ending}") as temporary, style.context(STYLE):
            figure.savefig(temporary, format=ending)


@style.context(STYLE)
def maps(analysis: Analysis) -> Figure:
    """Classical MDS under each distance: members by seed, coloured by accuracy.

    Ellipses hold 95% of each member's places when the probe images are resampled. Axes share one
    scale, and equal lengths are equal distances.
    """
    views = _views(analysis)
    figure, axes = _panels(len(views))
    for axis, (name, view) in zip(axes, views.items(), strict=True):
        xy = view["coordinates"][:, :2]
        for member in view["ellipses"].itertuples():
            axis.add_patch(
                Ellipse(
                    (member.x, member.y),
                    2 * member.half_axis_1,
                    2 * member.half_axis_2,
                    angle=np.degrees(member.angle),
                    color=_GREY,
                    alpha=0.6,
                    zorder=1,
                )
            )
        points = axis.scatter(xy[:, 0], xy[:, 1], s=28, c=_accuracy(analysis), zorder=2)
        _label(axis, xy, analysis)
        first, both = view["explained"][0], view["top_2_share"]
        axis.set_xlabel(f"axis 1 ({first:.0%})")
        axis.set_ylabel(f"axis 2 ({both - first:.0%})")
        axis.set_title(_title(name))
        axis.set_aspect("equal", adjustable="datalim")
        axis.margins(0.15)
    figure.colorbar(points, ax=axes, label="accuracy on the probe", shrink=0.7)
    return figure


@style.context(STYLE)
def inpca(analysis: Analysis) -> Figure:
    """InPCA of Bhattacharyya's distance: the first two axes, and the spectrum with its signs."""
    found = analysis.results["inpca"]
    figure, (left, right) = _panels(2)
    xy = found["coordinates"][:, :2]
    left.scatter(xy[:, 0], xy[:, 1], s=28, c=_accuracy(analysis))
    _label(left, xy, analysis)
    left.set_title(f"InPCA, explained stress {found['explained_stress'][1]:.0%}")
    eigenvalues = np.array(found["eigenvalues"])
    names = [f"axis {k + 1}" + (" (imaginary)" if eigenvalues[k] < 0 else "") for k in (0, 1)]
    left.set_xlabel(names[0])
    left.set_ylabel(names[1])
    left.margins(0.15)
    places = np.arange(1, len(eigenvalues) + 1)
    right.bar(places, eigenvalues, color=np.where(eigenvalues < 0, _RED, _BLUE))
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
        for name, view in _views(analysis).items()
        if computed(view["neighbours"].get(method, _NOTHING))
    }
    figure, axes = _panels(len(views))
    for axis, (name, view) in zip(axes, views.items(), strict=True):
        layouts = view["layouts"]
        xy = layouts[layouts["layout"] == f"{method} 0"][["x", "y"]].to_numpy()
        axis.scatter(xy[:, 0], xy[:, 1], s=28, c=_accuracy(analysis))
        _label(axis, xy, analysis)
        spread = view["neighbours"][method]["r_between_seeds"]
        note = f"r between seeds {spread:.2f}" if computed(spread) else "one seed"
        axis.set_title(f"{_title(name)}\n{method}, {note}")
        axis.set_xticks([])
        axis.set_yticks([])
    return figure


@style.context(STYLE)
def heatmaps(analysis: Analysis) -> Figure:
    """Distances between members (not squared), ordered by average-linkage clustering."""
    from scipy.cluster.hierarchy import leaves_list, linkage
    from scipy.spatial.distance import squareform

    views = _views(analysis)
    figure, axes = _panels(len(views))
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
        axis.set_title(_title(name))
        seeds = [_names(analysis)[k] for k in order]
        few = len(seeds) <= 30
        axis.set_xticks(range(len(seeds)) if few else [], seeds if few else [], rotation=90)
        axis.set_yticks(range(len(seeds)) if few else [], seeds if few else [])
        axis.spines[:].set_visible(False)
        figure.colorbar(image, ax=axis, shrink=0.7, label="root of the squared distance")
    return figure


@style.context(STYLE)
def spectra(analysis: Analysis) -> Figure:
    """Share of variance by axis, beside what members that share nothing would show.

    Lines are the 95% quantiles of two nulls, axis by axis: isotropic members, and members whose
    errors are independent. Axes above the second are the dimension by parallel analysis.
    """
    views = _views(analysis)
    figure, axes = _panels(len(views))
    for axis, (name, view) in zip(axes, views.items(), strict=True):
        share = np.nan_to_num(np.diff(view["explained"], prepend=0))
        shown = np.arange(1, len(share) + 1)
        axis.bar(shown, share, color=_BLUE, label="members")
        found = analysis.results["dimension"].get(name, {})
        for null, colour in [("isotropic", "#222222"), ("independent_errors", _RED)]:
            bound = found.get("null_quantiles", {}).get(null)
            if bound is not None:
                label = f"{null.replace('_', ' ')}, 95%"
                axis.plot(shown[: len(bound)], bound, ":", color=colour, label=label)
        axis.set_title(f"{_title(name)}\ntop 2: {view['top_2_share']:.1%}")
        axis.set_xlabel("axis")
        axis.set_ylabel("share of variance")
        axis.set_ylim(0, 1.3 * share.max() if share.any() else 1)  # room for the legend
    axes[0].legend(loc="upper right")
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
def nulls(analysis: Analysis) -> Figure:
    """The top-2 share (line) beside what each null gives (95%, dot at the mean), with its p."""
    found = _tested(analysis)
    figure, axes = _panels(len(found), wide=True)
    for axis, (name, tests) in zip(axes, found.items(), strict=True):
        for place, test in enumerate(tests.values()):
            axis.plot([test["null_low"], test["null_high"]], [place, place], color=_GREY, lw=4)
            axis.plot(test["null_mean"], place, "o", color="#555555", ms=3)
            axis.axvline(test["observed"], color=_BLUE)
            axis.annotate(
                f"p = {test['p_value']:.3f}",
                (1.02, place),
                xycoords=("axes fraction", "data"),
                va="center",
                size=6,
            )
        axis.set_yticks(range(len(tests)), [rung.replace("_", " ") for rung in tests])
        axis.set_ylim(len(tests) - 0.5, -0.5)
        axis.set_xlabel("top-2 share")
        axis.set_title(_title(name))
        axis.margins(x=0.15)
    return figure


@style.context(STYLE)
def dimension(analysis: Analysis) -> Figure:
    """Participation ratio and top-2 share against the number of members and of probe images."""
    found = _present(analysis.results["dimension"])
    figure, axes = _panels(4)
    panels = [(q, of) for q in ("participation_ratio", "top_2_share") for of in _OF]
    for axis, (quantity, of) in zip(axes, panels, strict=True):
        for name, view in found.items():
            curve = view["curve"]
            if not computed(curve):
                continue
            part = curve[(curve["quantity"] == quantity) & (curve["over"] == of)]
            count, mean = part["size"].to_numpy(), part["mean"].to_numpy()
            (line,) = axis.plot(count, mean, ".-", label=_title(name).replace("\n", " "))
            band = part["low"].to_numpy(), part["high"].to_numpy()
            axis.fill_between(count, *band, alpha=0.15, color=line.get_color())
        if of == "members" and quantity == "participation_ratio":
            axis.axline((2, 1), slope=1, color="black", linestyle=":", linewidth=0.6)
        if of == "images":
            axis.set_xscale("log")
        axis.set_xlabel(_OF[of])
        axis.set_ylabel(quantity.replace("_", " "))
    axes[0].legend()
    return figure


@style.context(STYLE)
def drivers(analysis: Analysis) -> Figure:
    """Correlation of each axis with what might drive it; a dot where Holm's p is below 0.05."""
    found = _present(analysis.results["drivers"])
    tables = [view["table"].assign(distance=name) for name, view in found.items()]
    table = pd.concat([t[t["axis"] <= 2] for t in tables])
    strongest = table.groupby("driver")["r"].apply(lambda r: r.abs().max())
    rows = strongest.sort_values(ascending=False).index[:15]
    columns = [(name, axis) for name in found for axis in (1, 2)]
    wide = table.pivot_table(index="driver", columns=["distance", "axis"], values="r")
    wide = wide.reindex(index=rows, columns=pd.MultiIndex.from_tuples(columns))
    sure = table[table["p_holm"] < 0.05].set_index(["driver", "distance", "axis"]).index
    figure = Figure(figsize=(5.4, 0.6 + 0.24 * len(rows)))
    axis = figure.subplots()
    image = axis.imshow(wide.to_numpy(), vmin=-1, vmax=1, cmap="RdBu_r", aspect="auto")
    axis.set_yticks(range(len(rows)), list(rows))
    labels = [f"{_title(name)}\naxis {k}" for name, k in columns]
    axis.set_xticks(range(len(columns)), labels, rotation=90, size=6)
    for (i, j), value in np.ndenumerate(wide.to_numpy()):
        if np.isfinite(value):
            mark = " •" if (rows[i], *columns[j]) in sure else ""
            colour = "white" if abs(value) > 0.6 else "black"
            axis.text(j, i, f"{value:.2f}{mark}", ha="center", va="center", size=5, color=colour)
    axis.spines[:].set_visible(False)
    figure.colorbar(image, ax=axis, shrink=0.7, label="r, cross-validated over probe halves")
    return figure


@style.context(STYLE)
def interventions(analysis: Analysis) -> Figure:
    """The share of the top-2 variance that each intervention on the logits takes away."""
    found = _present(analysis.results["drivers"])
    figure, axes = _panels(len(found), wide=True)
    for axis, (name, view) in zip(axes, found.items(), strict=True):
        table = view["interventions"]
        places = np.arange(len(table))
        axis.barh(places, table["removed"], color=_BLUE)
        axis.hlines(places, table["low"], table["high"], color="black", linewidth=0.8)
        axis.set_yticks(places, [kind.replace("_", " ") for kind in table["intervention"]])
        axis.invert_yaxis()
        axis.axvline(0, color="black", linewidth=0.6)
        axis.set_xlabel("share of top-2 variance removed")
        axis.set_title(_title(name))
    return figure


@style.context(STYLE)
def ensemble_curves(analysis: Analysis) -> Figure:
    """Each metric by ensemble size and combiner; bands hold 95% of the subsets.

    Dashed: after temperature scaling, fitted on one half of the probe and scored on the other.
    """
    curves = analysis.results["ensembles"]["curves"]
    figure, axes = _panels(len(_METRICS))
    colours: dict[str, Any] = {}
    for axis, (metric, label) in zip(axes, _METRICS.items(), strict=True):
        chosen = curves[(curves["metric"] == metric) & np.isfinite(curves["mean"])]
        for (combiner, stage), curve in chosen.groupby(["combiner", "stage"], sort=False):
            calibrated = stage == "calibrated"
            if calibrated and metric == "accuracy":
                continue  # a temperature changes no answer
            if combiner == "oracle":
                continue  # it would squeeze the rest
            size, mean = curve["size"].to_numpy(), curve["mean"].to_numpy()
            (line,) = axis.plot(
                size,
                mean,
                "--" if calibrated else ".-",
                label=None if calibrated else str(combiner).replace("_", " "),
                color=colours.get(str(combiner)),
            )
            colours[str(combiner)] = line.get_color()
            if not calibrated:
                band = curve["low"].to_numpy(), curve["high"].to_numpy()
                axis.fill_between(size, *band, alpha=0.15, color=line.get_color())
        axis.set_xlabel("members in the ensemble")
        axis.set_ylabel(label)
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes[0].legend()
    return figure


@style.context(STYLE)
def reliability(analysis: Analysis) -> Figure:
    """Accuracy by confidence, of members and of their ensemble, before and after calibration."""
    table = analysis.results["ensembles"]["reliability"]
    figure, axes = _panels(2)
    for axis, calibrated in zip(axes, (False, True), strict=True):
        axis.plot([0, 1], [0, 1], color=_GREY, linewidth=0.8)
        chosen = table[table["calibrated"] == calibrated]
        for (of,), part in chosen.groupby(["of"], sort=False):
            part = part[part["count"] > 0]
            axis.plot(part["confidence"], part["accuracy"], ".-", label=of)
        axis.set_title("temperature fitted on the other half" if calibrated else "as trained")
        axis.set_xlabel("confidence")
        axis.set_ylabel("accuracy")
        axis.set_aspect("equal")
    axes[0].legend()
    return figure


@style.context(STYLE)
def trajectories(analysis: Analysis) -> Figure:
    """All members' paths through training: InPCA of every checkpoint, and progress by epoch."""
    found = analysis.results["trajectories"]
    figure, (left, right) = _panels(2)
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


def _tested(analysis: Analysis) -> dict[str, dict[str, Any]]:
    """The null tests that were computed, by distance and null."""
    ladders = _present(analysis.results["nulls"])
    tested = {name: _present(ladder) for name, ladder in ladders.items()}
    return {name: tests for name, tests in tested.items() if tests}


def _views(analysis: Analysis) -> dict[str, Any]:
    """The maps that were computed, by distance."""
    return _present(analysis.results["maps"])


def _present(results: Mapping[str, Any]) -> dict[str, Any]:
    """The parts of a section that were computed."""
    if not computed(results):
        return {}
    return {name: found for name, found in results.items() if computed(found)}


def _accuracy(analysis: Analysis) -> NDArray[np.float64]:
    accuracy: NDArray[np.float64] = analysis.results["members"]["table"]["accuracy"].to_numpy()
    return accuracy


def _names(analysis: Analysis) -> list[str]:
    """What tells members apart: their seeds, or their numbers where seeds repeat."""
    seeds = analysis.population.seeds
    return [str(s) for s in (seeds if len(set(seeds)) == len(seeds) else range(len(seeds)))]


def _title(name: str) -> str:
    return _LABELS.get(name, name.replace("_", " "))


def _panels(count: int, wide: bool = False) -> tuple[Figure, list[Axes]]:
    """A row of up to two panels, as many rows as it takes."""
    columns = min(count, 2)
    rows = -(-count // columns)
    figure = Figure(figsize=(_PANEL * (1.4 if wide else 1) * columns + 0.8, _PANEL * rows))
    grid = figure.subplots(rows, columns, squeeze=False)
    axes = list(grid.ravel())
    for unused in axes[count:]:
        unused.remove()
    return figure, axes[:count]


def _label(axis: Axes, xy: NDArray[np.float64], analysis: Analysis) -> None:
    if len(xy) <= _FEW:
        for place, name in zip(xy, _names(analysis), strict=True):
            axis.annotate(name, place, xytext=(3.5, 3.5), textcoords="offset points", size=6)
