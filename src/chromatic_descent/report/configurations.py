"""What configurations are worth against each other: the figure."""

import json
import math
import re
from collections import defaultdict
from textwrap import fill
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import colormaps, style
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from chromatic_descent.analysis import Analysis
from chromatic_descent.analysis.results import computed
from chromatic_descent.report.panels import COLUMN, GREY, STYLE, row_of_panels

Array = NDArray[np.float64]

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
    "accuracy_gain": "accuracy, ensemble − member",
    "ensemble_calibrated_nll": "NLL of the ensemble, calibrated (nats)",
    "normalised_disagreement": "disagreement by that of independent errors",
    "hellinger": "mean squared Hellinger distance",
}
_OVER = {"images": ("#bbbbbb", 3.5), "seeds": ("black", 1.0)}  # colour, width
_MARKERS = "osD^v*<>pX"
_STRENGTH = "repulsion.strength"
_FAR = 4.0  # interquartile ranges from the middle half: a point so far away would squeeze the rest
_SIZES = (3.0, 7.0)  # points, from the weakest to the strongest of a series


@style.context(STYLE)
def diversity_and_gain(analysis: Analysis) -> Figure:
    """Diversity against what the ensemble gains, and against what it is worth: a point a config.

    Configurations that differ in the strength of repulsion alone are one series, joined by a line,
    the stronger the larger. Bars are 95% intervals over seeds, where a configuration has at least
    three members. The cross is the baseline, with dotted lines through it. Configurations far from
    all others are left outside a panel, which says how many. The legend gives numbers of members if
    they differ: larger ensembles gain more.
    """
    found = analysis.results["groups"]
    table = found["table"].dropna(subset=["hellinger"]).set_index("group", drop=False)
    bounds = found["intervals"].to_dict("records") if computed(found["intervals"]) else []
    reach = {
        (row["group"], row["quantity"]): [[row["value"] - row["low"]], [row["high"] - row["value"]]]
        for row in bounds
    }
    series = _series(found["configs"], list(table.index), found["baseline"])
    figure, axes = row_of_panels(len(_GAINS))
    colours = colormaps["turbo"](np.linspace(0.05, 0.95, max(len(series) - 1, 1)))
    sizes = table["members"].nunique() > 1
    for axis, (gain, label) in zip(axes, _GAINS.items(), strict=True):
        for place, (name, groups) in enumerate(series.items()):
            is_baseline = place == 0
            look: dict[str, Any] = {
                "marker": "P" if is_baseline else _MARKERS[(place - 1) % len(_MARKERS)],
                "color": "black" if is_baseline else colours[place - 1],
                "zorder": 3 if is_baseline else 2,
            }
            rows = table.loc[groups]
            axis.plot(rows[DIVERSITY[0]], rows[gain], color=look["color"], linewidth=0.6)
            members = f" (n = {rows['members'].iloc[0]})" if sizes else ""
            shown = f"{name}{members}{': baseline' if is_baseline else ''}"
            if shown.startswith("_"):
                shown = f" {shown}"  # else matplotlib leaves it out of the legend
            grown = np.linspace(*_SIZES, len(groups)) if len(groups) > 1 else [sum(_SIZES) / 2]
            for group, size in zip(groups, grown, strict=True):
                axis.errorbar(
                    *(table.loc[group, DIVERSITY[0]], table.loc[group, gain]),
                    xerr=reach.get((group, DIVERSITY[0])),
                    yerr=reach.get((group, gain)),
                    markersize=size,
                    elinewidth=0.5,
                    label=shown if group == groups[-1] else None,
                    **look,
                )
            if is_baseline:
                _cross(axis, rows[DIVERSITY[0]].iloc[0], rows[gain].iloc[0])
        axis.set_xlabel(DIVERSITY[1])
        axis.set_ylabel(label)
        _look_at_most(axis, table[DIVERSITY[0]].to_numpy(), table[gain].to_numpy())
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
    many = len(names) > 12
    columns = min(len(_DIFFERENCES) if many else 3, len(quantities))
    rows = -(-len(quantities) // columns)
    height = rows * (0.75 + (0.13 if many else 0.25) * len(names)) + 0.3  # inches
    figure = Figure(figsize=(2 * COLUMN, height))
    grid = figure.subplots(rows, columns, squeeze=False, sharey=True)
    ticks = [_short(name) if many else fill(_short(name), 24) for name in names]
    for axis, quantity in zip(grid.flat, quantities, strict=False):
        axis.axvline(0, color=GREY, linewidth=0.8, linestyle=":")
        for over, (colour, width) in _OVER.items():
            chosen = table[(table["quantity"] == quantity) & (table["over"] == over)]
            y = [names.index(group) for group in chosen["group"]]
            axis.hlines(y, chosen["low"], chosen["high"], color=colour, linewidth=width)
            axis.plot(chosen["value"], y, "o", color="black", markersize=3)
        axis.set_yticks(range(len(names)), ticks, size=5 if many else 6)
        axis.set_ylim(len(names) - 0.5, -0.5)
        axis.set_xlabel(fill(_DIFFERENCES[quantity], 16 if many else 26))
        axis.xaxis.set_major_locator(MaxNLocator(2 if many else 4))
    for unused in grid.flat[len(quantities) :]:
        unused.remove()
    figure.suptitle(f"less {found['baseline']}, over the same seeds", size=7.5)
    return figure


def _series(configs: pd.DataFrame, groups: list[str], baseline: str) -> dict[str, list[str]]:
    """Groups that differ in the strength alone, the weakest first; the baseline by itself."""
    config: dict[str, dict[str, str]] = defaultdict(dict)
    for row in configs.to_dict("records"):
        config[row["group"]][row["key"]] = row["value"]
    alike: dict[str, list[str]] = defaultdict(list)
    for group in groups:
        if group != baseline:
            others = {k: v for k, v in config[group].items() if k != _STRENGTH}
            alike[json.dumps(others, sort_keys=True)].append(group)
    series = {baseline: [baseline]}
    for some in alike.values():
        some.sort(key=lambda group: _number(config[group].get(_STRENGTH, 0)))
        name = some[0] if len(some) == 1 else _without_strength(some[0])
        series[_short(name)] = some
    return series


def _number(value: object) -> float:
    """The value, or infinity where a config has something else for a number."""
    return float(value) if isinstance(value, int | float) else math.inf


def _without_strength(name: str) -> str:
    return re.sub(rf"{re.escape(_STRENGTH)}[_=][\d.e+-]*\d[-,]?", "", name).strip("-,") or _STRENGTH


def _short(name: str) -> str:
    """A group's name without what every repelled one has in it."""
    return re.sub(r"repulsion[._](?=\w)", "", name).replace("-", ", ")


def _look_at_most(axis: Axes, x: Array, y: Array) -> None:
    """Choose limits that leave out what is far from most, and say how many are outside."""
    outside = np.zeros(len(x), dtype=bool)
    for values, set_limits in ((x, axis.set_xlim), (y, axis.set_ylim)):
        low, high = np.quantile(values, [0.25, 0.75])
        near = np.abs(values - np.clip(values, low, high)) <= _FAR * (high - low)
        if near.all():  # the bars may need more room than the points
            continue
        edge = 0.06 * np.ptp(values[near])
        set_limits(values[near].min() - edge, values[near].max() + edge)
        outside |= ~near
    if outside.any():
        told = f"{outside.sum()} of {len(x)} outside"
        axis.set_title(told, loc="right", fontsize=6, color="0.4")


def _cross(axis: Axes, x: float, y: float) -> None:
    axis.axvline(x, color=GREY, linestyle=":", linewidth=0.8, zorder=1)
    axis.axhline(y, color=GREY, linestyle=":", linewidth=0.8, zorder=1)
