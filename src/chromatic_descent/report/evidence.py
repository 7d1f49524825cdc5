"""Figures of what the map is worth: nulls, dimension, drivers, and what ensembles gain."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib import style
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, NullFormatter, ScalarFormatter

from chromatic_descent.analysis import Analysis
from chromatic_descent.analysis.results import computed
from chromatic_descent.report.panels import (
    BLUE,
    GREY,
    RED,
    STYLE,
    present,
    row_of_panels,
    tested_nulls,
    title_of,
    views_of,
)

_METRICS = {"accuracy": "accuracy", "nll": "NLL (nats)", "brier": "Brier", "ece": "ECE"}
_OF = {"members": "members", "images": "probe images"}


@style.context(STYLE)
def spectra(analysis: Analysis) -> Figure:
    """Share of variance by axis, beside what members that share nothing would show.

    Lines are the 95% quantiles of two nulls, axis by axis: isotropic members, and members whose
    errors are independent. Axes above the second are the dimension by parallel analysis.
    """
    views = views_of(analysis)
    figure, axes = row_of_panels(len(views))
    for axis, (name, view) in zip(axes, views.items(), strict=True):
        share = np.nan_to_num(np.diff(view["explained"], prepend=0))
        shown = np.arange(1, len(share) + 1)
        axis.bar(shown, share, color=BLUE, label="members")
        found = analysis.results["dimension"].get(name, {})
        for null, colour in [("isotropic", "#222222"), ("independent_errors", RED)]:
            bound = found.get("null_quantiles", {}).get(null)
            if bound is not None:
                label = f"{null.replace('_', ' ')}, 95%"
                axis.plot(shown[: len(bound)], bound, ":", color=colour, label=label)
        axis.set_title(f"{title_of(name)}\ntop 2: {view['top_2_share']:.1%}")
        axis.set_xlabel("axis")
        axis.set_ylabel("share of variance")
        axis.set_ylim(0, 1.3 * share.max() if share.any() else 1)  # room for the legend
    axes[0].legend(loc="upper right")
    return figure


@style.context(STYLE)
def nulls(analysis: Analysis) -> Figure:
    """The top-2 share (line) beside what each null gives (95%, dot at the mean), with its p."""
    found = tested_nulls(analysis)
    figure, axes = row_of_panels(len(found), height=1.9)
    for axis, (name, tests) in zip(axes, found.items(), strict=True):
        for place, test in enumerate(tests.values()):
            axis.plot([test["null_low"], test["null_high"]], [place, place], color=GREY, lw=4)
            axis.plot(test["null_mean"], place, "o", color="#555555", ms=3)
            axis.axvline(test["observed"], color=BLUE)
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
        axis.set_title(title_of(name))
        axis.margins(x=0.15)
    return figure


@style.context(STYLE)
def dimension(analysis: Analysis) -> Figure:
    """Participation ratio and top-2 share against the number of members and of probe images."""
    found = present(analysis.results["dimension"])
    figure, axes = row_of_panels(4)
    panels = [(q, of) for q in ("participation_ratio", "top_2_share") for of in _OF]
    for axis, (quantity, of) in zip(axes, panels, strict=True):
        for name, view in found.items():
            curve = view["curve"]
            if not computed(curve):
                continue
            part = curve[(curve["quantity"] == quantity) & (curve["over"] == of)]
            count, mean = part["size"].to_numpy(), part["mean"].to_numpy()
            (line,) = axis.plot(count, mean, ".-", label=title_of(name).replace("\n", " "))
            band = part["low"].to_numpy(), part["high"].to_numpy()
            axis.fill_between(count, *band, alpha=0.15, color=line.get_color())
        if of == "members" and quantity == "participation_ratio":
            axis.axline((2, 1), slope=1, color="black", linestyle=":", linewidth=0.6)
        if of == "members":
            axis.xaxis.set_major_locator(MaxNLocator(integer=True))
        else:
            axis.set_xscale("log")
            axis.xaxis.set_major_formatter(ScalarFormatter())
            axis.xaxis.set_minor_formatter(NullFormatter())
        axis.set_xlabel(_OF[of])
        axis.set_ylabel(quantity.replace("_", " "))
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=2)
    return figure


@style.context(STYLE)
def drivers(analysis: Analysis) -> Figure:
    """Correlation of each axis with what might drive it; a dot where Holm's p is below 0.05."""
    found = present(analysis.results["drivers"])
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
    labels = [f"{title_of(name)}\naxis {k}" for name, k in columns]
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
    found = present(analysis.results["drivers"])
    figure, axes = row_of_panels(len(found), height=1.9)
    for axis, (name, view) in zip(axes, found.items(), strict=True):
        table = view["interventions"]
        places = np.arange(len(table))
        axis.barh(places, table["removed"], color=BLUE)
        axis.hlines(places, table["low"], table["high"], color="black", linewidth=0.8)
        axis.set_yticks(places, [kind.replace("_", " ") for kind in table["intervention"]])
        axis.invert_yaxis()
        axis.axvline(0, color="black", linewidth=0.6)
        axis.set_xlabel("share of top-2 variance removed")
        axis.set_title(title_of(name))
    return figure


@style.context(STYLE)
def ensemble_curves(analysis: Analysis) -> Figure:
    """Each metric by ensemble size and combiner; bands hold 95% of the subsets.

    Dashed: after temperature scaling, fitted on one half of the probe and scored on the other.
    """
    curves = analysis.results["ensembles"]["curves"]
    figure, axes = row_of_panels(len(_METRICS))
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
    axes[0].legend(loc="lower right")  # accuracy rises with the size, what is beside it falls
    axes[1].legend(
        [Line2D([], [], color="black", linestyle="--")], ["calibrated"], loc="upper right"
    )
    return figure


@style.context(STYLE)
def reliability(analysis: Analysis) -> Figure:
    """Accuracy by confidence, of members and of their ensemble, before and after calibration."""
    table = analysis.results["ensembles"]["reliability"]
    figure, axes = row_of_panels(2)
    for axis, calibrated in zip(axes, (False, True), strict=True):
        axis.plot([0, 1], [0, 1], color=GREY, linewidth=0.8)
        chosen = table[table["calibrated"] == calibrated]
        for (of,), part in chosen.groupby(["of"], sort=False):
            part = part[part["count"] > 0]
            axis.plot(part["confidence"], part["accuracy"], ".-", label=of)
        axis.set_title("temperature fitted on the other half" if calibrated else "as trained")
        axis.set_xlabel("confidence")
        axis.set_ylabel("accuracy")
        axis.set_aspect("equal")
    axes[0].legend(loc="lower right")  # nobody is sure there and always wrong
    return figure
