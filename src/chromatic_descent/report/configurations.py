"""What configurations are worth against each other: the figure."""

from textwrap import fill

import numpy as np
import pandas as pd
from matplotlib import colormaps, style
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from chromatic_descent.analysis import Analysis
from chromatic_descent.analysis.results import computed
from chromatic_descent.report.panels import COLUMN, GREY, STYLE, row_of_panels

DIVERSITY = ("hellinger", "mean squared Hellinger distance")
_GAINS = {
    "accuracy_gain": "accuracy, ensemble − member",
    "nll_gain": "NLL, member − ensemble (nats)",
    "ensemble_accuracy": "accuracy of the ensemble",
    "ensemble_calibrated_nll": "NLL of the ensemble,\ncalibrated (nats)",
}
_DIFFERENCES = {
    "member_accuracy": "accuracy of members",
    "ensemble_accuracy": "accuracy of the ensemble",
    "accuracy_gain": "accuracy,\nensemble − member",
    "ensemble_calibrated_nll": "NLL of the ensemble,\ncalibrated (nats)",
    "normalised_disagreement": "disagreement by that\nof independent errors",
    "hellinger": "mean squared\nHellinger distance",
}
_OVER = {"images": ("#bbbbbb", 3.5), "seeds": ("black", 1.0)}  # colour, width
_MARKERS = "osD^vP*<>p"


@style.context(STYLE)
def diversity_and_gain(analysis: Analysis) -> Figure:
    """Diversity against what the ensemble gains, and against what it is worth: a point a config.

    Bars are 95% intervals over seeds, where a configuration has at least three members. The cross
    is the baseline, with dotted lines through it. The legend gives numbers of members if they
    differ: larger ensembles gain more.
    """
    found = analysis.results["groups"]
    table = found["table"].dropna(subset=["hellinger"])
    baseline = table["group"] == found["baseline"]
    table = pd.concat([table[baseline], table[~baseline]])
    bounds = found["intervals"].to_dict("records") if computed(found["intervals"]) else []
    reach = {
        (row["group"], row["quantity"]): [[row["value"] - row["low"]], [row["high"] - row["value"]]]
        for row in bounds
    }
    figure, axes = row_of_panels(len(_GAINS))
    colours = colormaps["viridis"](np.linspace(0, 0.92, max(len(table) - 1, 1)))
    sizes = table["members"].nunique() > 1
    for axis, (gain, label) in zip(axes, _GAINS.items(), strict=True):
        for place, row in enumerate(table.to_dict("records")):
            is_baseline = place == 0
            name = f"{row['group']} (n = {row['members']})" if sizes else str(row["group"])
            axis.errorbar(
                *(row[DIVERSITY[0]], row[gain]),
                xerr=reach.get((row["group"], DIVERSITY[0])),
                yerr=reach.get((row["group"], gain)),
                fmt="P" if is_baseline else _MARKERS[(place - 1) % len(_MARKERS)],
                markersize=7 if is_baseline else 4.5,
                color="black" if is_baseline else colours[place - 1],
                elinewidth=0.7,
                label=f"{name}: baseline" if is_baseline else name,
                zorder=3 if is_baseline else 2,
            )
            if is_baseline:
                _cross(axis, row[DIVERSITY[0]], row[gain])
        axis.set_xlabel(DIVERSITY[1])
        axis.set_ylabel(label)
    handles, labels = axes[0].get_legend_handles_labels()
    columns = 2 if max(map(len, labels)) < 60 else 1
    figure.legend(handles, labels, loc="outside lower center", ncols=columns, fontsize=6)
    height = 0.14 * -(-len(labels) // columns)  # inches
    figure.set_figheight(figure.get_figheight() + height + 0.2)
    return figure


@style.context(STYLE)
def differences(analysis: Analysis) -> Figure:
    """Each configuration less the baseline, over the seeds that both have, with 95% intervals.

    Black: other seeds, these images. Grey: other images, these members. A difference whose black
    bar leaves out zero is one between configurations.
    """
    found = analysis.results["groups"]
    table = found["differences"]
    names = list(table["group"].unique())
    quantities = [q for q in _DIFFERENCES if q in set(table["quantity"])]
    columns = min(3, len(quantities))
    rows = -(-len(quantities) // columns)
    figure = Figure(figsize=(2 * COLUMN, rows * (0.75 + 0.25 * len(names)) + 0.3))
    grid = figure.subplots(rows, columns, squeeze=False, sharey=True)
    for axis, quantity in zip(grid.flat, quantities, strict=False):
        axis.axvline(0, color=GREY, linewidth=0.8, linestyle=":")
        for over, (colour, width) in _OVER.items():
            chosen = table[(table["quantity"] == quantity) & (table["over"] == over)]
            y = [names.index(group) for group in chosen["group"]]
            axis.hlines(y, chosen["low"], chosen["high"], color=colour, linewidth=width)
            axis.plot(chosen["value"], y, "o", color="black", markersize=3)
        axis.set_yticks(range(len(names)), [fill(name, 24) for name in names], size=6)
        axis.set_ylim(len(names) - 0.5, -0.5)
        axis.set_xlabel(_DIFFERENCES[quantity])
        axis.xaxis.set_major_locator(MaxNLocator(4))
    for unused in grid.flat[len(quantities) :]:
        unused.remove()
    figure.suptitle(f"less {found['baseline']}, over the same seeds", size=7.5)
    return figure


def _cross(axis: Axes, x: float, y: float) -> None:
    axis.axvline(x, color=GREY, linestyle=":", linewidth=0.8, zorder=1)
    axis.axhline(y, color=GREY, linestyle=":", linewidth=0.8, zorder=1)
