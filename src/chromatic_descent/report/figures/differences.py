"""Differences of configurations from the baseline."""

from textwrap import fill

import pandas as pd
from matplotlib import style
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from chromatic_descent.analysis import Analysis, NotComputed
from chromatic_descent.report.figures.kind import FigureKind, Interactive, needed
from chromatic_descent.report.figures.panels import COLUMN, GREY, STYLE
from chromatic_descent.report.names import without_repulsion

_TITLES = {
    "member_accuracy": "accuracy of members",
    "ensemble_accuracy": "accuracy of the ensemble",
    "accuracy_gain": "accuracy, ensemble − member",
    "ensemble_calibrated_nll": "NLL of the ensemble, calibrated (nats)",
    "normalised_disagreement": "disagreement by that of independent errors",
    "hellinger": "mean squared Hellinger distance",
}
_ON_THE_PAGE = ("member_accuracy", "ensemble_accuracy", "ensemble_calibrated_nll", "hellinger")
_OVER = {"images": ("#bbbbbb", 3.5), "seeds": ("black", 1.0)}  # colour, width


@style.context(STYLE)
def differences(analysis: Analysis) -> Figure:
    """Each configuration less the baseline, over the seeds that both have, with 95% intervals.

    Black: other seeds, these images. Grey: other images, these members. A difference whose black
    bar excludes zero is a difference between configurations.
    """
    table = needed(needed(analysis.groups).differences)
    names = list(table["group"].unique())
    quantities = [q for q in _TITLES if q in set(table["quantity"])]
    many = len(names) > 12
    columns = min(len(_TITLES) if many else 3, len(quantities))
    rows = -(-len(quantities) // columns)
    height = rows * (0.75 + (0.13 if many else 0.25) * len(names)) + 0.3  # inches
    figure = Figure(figsize=(2 * COLUMN, height))
    grid = figure.subplots(rows, columns, squeeze=False, sharey=True)
    short = [without_repulsion(name) for name in names]
    ticks = short if many else [fill(name, 24) for name in short]
    for axis, quantity in zip(grid.flat, quantities, strict=False):
        axis.axvline(0, color=GREY, linewidth=0.8, linestyle=":")
        for over, (colour, width) in _OVER.items():
            chosen = table[(table["quantity"] == quantity) & (table["over"] == over)]
            y = [names.index(group) for group in chosen["group"]]
            axis.hlines(y, chosen["low"], chosen["high"], color=colour, linewidth=width)
            axis.plot(chosen["value"], y, "o", color="black", markersize=3)
        axis.set_yticks(range(len(names)), ticks, size=5 if many else 6)
        axis.set_ylim(len(names) - 0.5, -0.5)
        axis.set_xlabel(fill(_TITLES[quantity], 16 if many else 26))
        axis.xaxis.set_major_locator(MaxNLocator(2 if many else 4))
    for unused in grid.flat[len(quantities) :]:
        unused.remove()
    figure.suptitle(f"less {needed(analysis.groups).baseline}, over the same seeds", size=7.5)
    return figure


def _needs(analysis: Analysis) -> pd.DataFrame | NotComputed:
    groups = analysis.groups
    return groups if isinstance(groups, NotComputed) else groups.differences


def _data(analysis: Analysis) -> object:
    table = needed(needed(analysis.groups).differences)
    names = list(table["group"].unique())
    rows = table[table["quantity"].isin(_ON_THE_PAGE)]
    numbered = rows.assign(group=[names.index(group) for group in rows["group"]])
    columns = ["group", "quantity", "over", "value", "low", "high"]
    return {
        "groups": names,
        "titles": {quantity: _TITLES[quantity] for quantity in _ON_THE_PAGE},
        "rows": numbered[columns].to_numpy(),
    }


def _caption(analysis: Analysis) -> str:
    return (
        f"Each configuration less the baseline, {needed(analysis.groups).baseline}, over the seeds "
        "that both have. Dark: 95% over other seeds, these images. Grey: over other images, these "
        "members. Where the dark line excludes zero, configurations differ; not corrected for the "
        "number of comparisons."
    )


KIND = FigureKind(
    name="differences",
    section="configurations",
    title="Differences from the baseline",
    caption=_caption,
    needs=_needs,
    draw=differences,
    page=Interactive(tuple(f"less-{quantity}" for quantity in _ON_THE_PAGE), _data, size="free"),
    csv=("groups-differences.csv",),
)
