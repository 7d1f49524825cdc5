"""Configurations against each other: diversity and gain, and differences from the baseline."""

import json
import math
import re
from collections import defaultdict
from textwrap import fill
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from chromatic_descent.analysis import Analysis, computed
from chromatic_descent.analysis.groups import Groups
from chromatic_descent.report.figures import panels
from chromatic_descent.report.figures.kind import FigureKind, Interactive, needed
from chromatic_descent.report.names import without_repulsion

_DIVERSITY = "hellinger"
_GAINS = ("accuracy_gain", "nll_gain", "ensemble_accuracy", "ensemble_calibrated_nll")
_DIFFERENCES = (
    *("member_accuracy", "ensemble_accuracy", "accuracy_gain", "ensemble_calibrated_nll"),
    *("normalised_disagreement", _DIVERSITY),
)
_GAINS_ON_THE_PAGE = ("accuracy_gain", "ensemble_accuracy", "ensemble_calibrated_nll")
_DIFFERENCES_ON_THE_PAGE = (
    *("member_accuracy", "ensemble_accuracy", "ensemble_calibrated_nll", _DIVERSITY),
)
_TITLES = {
    "member_accuracy": "accuracy of members",
    "ensemble_accuracy": "accuracy of the ensemble",
    "accuracy_gain": "accuracy, ensemble − member",
    "nll_gain": "NLL, member − ensemble (nats)",
    "ensemble_calibrated_nll": "NLL of the ensemble, calibrated (nats)",
    "normalised_disagreement": "disagreement by that of independent errors",
    _DIVERSITY: "mean squared Hellinger distance",
}
_WIDTH = 30  # characters of a label beside a panel
_MARKERS = "osD^v*<>pX"
_STRENGTH = "repulsion.strength"
_WITH_STRENGTH = re.compile(rf"{re.escape(_STRENGTH)}[_=][\d.e+-]*\d[-,]?")
_FAR = 4.0  # interquartile ranges from the middle half: a point so far away would squeeze the rest
_SIZES = (3.0, 7.0)  # points, from the weakest to the strongest of a series
_OVER = {"images": (panels.GREY, 3.5), "seeds": ("black", 1.0)}  # colour, width


@panels.styled
def diversity_and_gain(analysis: Analysis) -> Figure:
    """Diversity against what the ensemble gains, and what it is worth: a point per configuration.

    Configurations that differ only in the strength of repulsion are one series, joined by a line;
    the stronger, the larger the point. Bars are 95% intervals over seeds, where a configuration has
    at least three members. The cross is the baseline, with dotted lines through it. A panel leaves
    out configurations far from all others, and says how many. The legend gives numbers of members
    if they differ: larger ensembles gain more.
    """
    groups = needed(analysis.groups)
    table = groups.table.dropna(subset=[_DIVERSITY]).set_index("group", drop=False)
    bounds = _intervals(groups).items()
    reach = {key: [[value - low], [high - value]] for key, (value, low, high) in bounds}
    series = _series(groups.configs, list(table.index), groups.baseline)
    figure, axes = panels.row_of_panels(len(_GAINS))
    colours = ["black", *colormaps["turbo"](np.linspace(0.05, 0.95, max(len(series) - 1, 1)))]
    sizes_differ = table["members"].nunique() > 1
    for axis, gain in zip(axes, _GAINS, strict=True):
        for index, (name, members) in enumerate(series.items()):
            is_baseline = index == 0
            rows = table.loc[members]
            x, y = rows[_DIVERSITY].to_numpy(), rows[gain].to_numpy()
            look: dict[str, Any] = {
                "marker": "P" if is_baseline else _MARKERS[(index - 1) % len(_MARKERS)],
                "color": colours[index],
                "zorder": 3 if is_baseline else 2,
            }
            axis.plot(x, y, color=colours[index], linewidth=0.6)
            count = f" (n = {rows['members'].iloc[0]})" if sizes_differ else ""
            shown = f"{name}{count}{': baseline' if is_baseline else ''}"
            if shown.startswith("_"):
                shown = f" {shown}"  # otherwise matplotlib leaves it out of the legend
            sizes = np.linspace(*_SIZES, len(members)) if len(members) > 1 else [sum(_SIZES) / 2]
            for k, group in enumerate(members):
                axis.errorbar(
                    *(x[k], y[k], reach.get((group, gain)), reach.get((group, _DIVERSITY))),
                    markersize=sizes[k],
                    elinewidth=0.5,
                    label=shown if group == members[-1] else None,
                    **look,
                )
            if is_baseline:
                dotted: dict[str, Any] = {"color": panels.GREY, "ls": ":", "lw": 0.8, "zorder": 1}
                axis.axvline(x[0], **dotted)
                axis.axhline(y[0], **dotted)
        axis.set(xlabel=_TITLES[_DIVERSITY], ylabel=fill(_TITLES[gain], _WIDTH))
        _leave_out_far(axis, table[_DIVERSITY].to_numpy(), table[gain].to_numpy())
    handles, labels = axes[0].get_legend_handles_labels()
    columns = 2 if max(map(len, labels)) < 60 else 1
    figure.legend(handles, labels, loc="outside lower center", ncols=columns, fontsize=6)
    height = 0.14 * -(-len(labels) // columns)  # inches
    figure.set_figheight(figure.get_figheight() + height + 0.2)
    return figure


def _intervals(groups: Groups) -> dict[tuple[str, str], tuple[float, float, float]]:
    """By group and quantity: value, low, high, over seeds."""
    if not computed(groups.intervals):
        return {}
    columns = ["group", "quantity", "value", "low", "high"]
    rows = groups.intervals[columns].itertuples(index=False)
    return {(group, quantity): (value, low, high) for group, quantity, value, low, high in rows}


def _series(configs: pd.DataFrame, groups: list[str], baseline: str) -> dict[str, list[str]]:
    """Groups that differ only in strength, the weakest first; the baseline by itself."""
    config: dict[str, dict[str, str]] = defaultdict(dict)
    for row in configs.to_dict("records"):
        config[row["group"]][row["key"]] = row["value"]
    alike: dict[str, list[str]] = defaultdict(list)
    for group in groups:
        if group != baseline:
            others = {k: v for k, v in config[group].items() if k != _STRENGTH}
            alike[json.dumps(others, sort_keys=True)].append(group)
    series = {baseline: [baseline]}

    def strength(group: str) -> float:
        value: object = config[group].get(_STRENGTH, 0)
        return float(value) if isinstance(value, int | float) else math.inf  # it may be any text

    for members in alike.values():
        members.sort(key=strength)
        name = members[0]
        if len(members) > 1:
            name = _WITH_STRENGTH.sub("", name).strip("-,") or _STRENGTH
        series[without_repulsion(name)] = members
    return series


def _leave_out_far(axis: Axes, *xy: NDArray[np.float64]) -> None:
    """Choose limits that leave out points far from most, and say how many are outside."""
    outside = np.zeros(len(xy[0]), dtype=bool)
    for values, set_limits in ((xy[0], axis.set_xlim), (xy[1], axis.set_ylim)):
        low, high = np.quantile(values, [0.25, 0.75])
        near = np.abs(values - np.clip(values, low, high)) <= _FAR * (high - low)
        if near.all():  # the bars may need more room than the points
            continue
        edge = 0.06 * np.ptp(values[near])
        set_limits(values[near].min() - edge, values[near].max() + edge)
        outside |= ~near
    if outside.any():
        note = f"{outside.sum()} of {len(outside)} outside"
        axis.set_title(note, loc="right", fontsize=6, color="0.4")


def _gain_data(analysis: Analysis) -> object:
    groups = needed(analysis.groups)
    bounds = _intervals(groups)
    rows = [
        {"group": row["group"], "members": row["members"]}
        | {
            quantity: [row[quantity], *bounds.get((row["group"], quantity), (0, None, None))[1:]]
            for quantity in (_DIVERSITY, *_GAINS_ON_THE_PAGE)
        }
        for row in groups.table.dropna(subset=[_DIVERSITY]).to_dict("records")
    ]
    return {
        "baseline": groups.baseline,
        "across": [_DIVERSITY, _TITLES[_DIVERSITY]],
        "titles": {q: fill(_TITLES[q], _WIDTH).replace("\n", "<br>") for q in _GAINS_ON_THE_PAGE},
        "rows": rows,
    }


GAIN = FigureKind(
    name="configurations",
    section="configurations",
    title="Diversity against gain by configuration",
    caption=lambda analysis: (
        "Diversity of a configuration’s members against what combining them gains, and against "
        "what their ensemble is worth; one point per configuration, numbered as in the table, with "
        f"95% intervals over seeds; the cross is the baseline, {needed(analysis.groups).baseline}. "
        "Bad members gain much: a configuration is worth having if its ensemble is better."
    ),
    needs=lambda analysis: analysis.groups,
    draw=diversity_and_gain,
    page=Interactive(tuple(f"groups-{quantity}" for quantity in _GAINS_ON_THE_PAGE), _gain_data),
    csv=("groups-table.csv",),
)


@panels.styled
def differences(analysis: Analysis) -> Figure:
    """Each configuration less the baseline, over the seeds that both have, with 95% intervals.

    Black: other seeds, these images. Grey: other images, these members. A difference whose black
    bar excludes zero is a difference between configurations.
    """
    table = needed(needed(analysis.groups).differences)
    names = list(table["group"].unique())
    quantities = [q for q in _DIFFERENCES if q in set(table["quantity"])]
    many = len(names) > 12
    columns = min(len(_DIFFERENCES) if many else 3, len(quantities))
    rows = -(-len(quantities) // columns)
    height = rows * (0.75 + (0.13 if many else 0.25) * len(names)) + 0.3  # inches
    figure = Figure(figsize=(2 * panels.COLUMN, height))
    grid = figure.subplots(rows, columns, squeeze=False, sharey=True)
    short = [without_repulsion(name) for name in names]
    ticks = short if many else [fill(name, 24) for name in short]
    for axis, quantity in zip(grid.flat, quantities, strict=False):
        axis.axvline(0, color=panels.GREY, linewidth=0.8, linestyle=":")
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


def _difference_data(analysis: Analysis) -> object:
    table = needed(needed(analysis.groups).differences)
    names = list(table["group"].unique())
    rows = table[table["quantity"].isin(_DIFFERENCES_ON_THE_PAGE)]
    numbered = rows.assign(group=[names.index(group) for group in rows["group"]])
    columns = ["group", "quantity", "over", "value", "low", "high"]
    return {
        "groups": names,
        "titles": {quantity: _TITLES[quantity] for quantity in _DIFFERENCES_ON_THE_PAGE},
        "rows": numbered[columns].to_numpy(),
    }


DIFFERENCES = FigureKind(
    name="differences",
    section="configurations",
    title="Differences from the baseline",
    caption=lambda analysis: (
        f"Each configuration less the baseline, {needed(analysis.groups).baseline}, over the seeds "
        "that both have. Dark: 95% over other seeds, these images. Grey: over other images, these "
        "members. Where the dark line excludes zero, configurations differ; not corrected for the "
        "number of comparisons."
    ),
    needs=lambda a: a.groups.differences if computed(a.groups) else a.groups,
    draw=differences,
    page=Interactive(
        tuple(f"less-{quantity}" for quantity in _DIFFERENCES_ON_THE_PAGE),
        _difference_data,
        size="free",
    ),
    csv=("groups-differences.csv",),
)
