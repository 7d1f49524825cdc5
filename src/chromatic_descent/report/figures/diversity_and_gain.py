"""Diversity of configurations against what their ensembles gain and are worth."""

import json
import math
import re
from collections import defaultdict
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import colormaps, style
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from chromatic_descent.analysis import Analysis
from chromatic_descent.analysis.groups import Groups
from chromatic_descent.analysis.results import computed
from chromatic_descent.report.figures.kind import FigureKind, Interactive, needed
from chromatic_descent.report.figures.panels import GREY, STYLE, row_of_panels
from chromatic_descent.report.names import without_repulsion

Array = NDArray[np.float64]

_DIVERSITY, _DIVERSITY_TITLE = "hellinger", "mean squared Hellinger distance"
_GAINS = {
    "accuracy_gain": "accuracy, ensemble − member",
    "nll_gain": "NLL, member − ensemble (nats)",
    "ensemble_accuracy": "accuracy of the ensemble",
    "ensemble_calibrated_nll": "NLL of the ensemble,\ncalibrated (nats)",
}
_ON_THE_PAGE = ("accuracy_gain", "ensemble_accuracy", "ensemble_calibrated_nll")
_MARKERS = "osD^v*<>pX"
_STRENGTH = "repulsion.strength"
_FAR = 4.0  # interquartile ranges from the middle half: a point so far away would squeeze the rest
_SIZES = (3.0, 7.0)  # points, from the weakest to the strongest of a series


@style.context(STYLE)
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
    reach = {
        key: [[value - low], [high - value]]
        for key, (value, low, high) in _intervals(groups).items()
    }
    series = _series(groups.configs, list(table.index), groups.baseline)
    figure, axes = row_of_panels(len(_GAINS))
    colours = colormaps["turbo"](np.linspace(0.05, 0.95, max(len(series) - 1, 1)))

    def point(group: str, gain: str) -> tuple[float, float]:
        row = table.loc[group, [_DIVERSITY, gain]].to_numpy(dtype=float)
        return float(row[0]), float(row[1])

    sizes_differ = table["members"].nunique() > 1
    for axis, (gain, label) in zip(axes, _GAINS.items(), strict=True):
        for index, (name, members) in enumerate(series.items()):
            is_baseline = index == 0
            look: dict[str, Any] = {
                "marker": "P" if is_baseline else _MARKERS[(index - 1) % len(_MARKERS)],
                "color": "black" if is_baseline else colours[index - 1],
                "zorder": 3 if is_baseline else 2,
            }
            rows = table.loc[members]
            axis.plot(rows[_DIVERSITY], rows[gain], color=look["color"], linewidth=0.6)
            count = f" (n = {rows['members'].iloc[0]})" if sizes_differ else ""
            shown = f"{name}{count}{': baseline' if is_baseline else ''}"
            if shown.startswith("_"):
                shown = f" {shown}"  # otherwise matplotlib leaves it out of the legend
            grown = np.linspace(*_SIZES, len(members)) if len(members) > 1 else [sum(_SIZES) / 2]
            for group, size in zip(members, grown, strict=True):
                axis.errorbar(
                    *point(group, gain),
                    xerr=reach.get((group, _DIVERSITY)),
                    yerr=reach.get((group, gain)),
                    markersize=size,
                    elinewidth=0.5,
                    label=shown if group == members[-1] else None,
                    **look,
                )
            if is_baseline:
                _draw_cross(axis, rows[_DIVERSITY].iloc[0], rows[gain].iloc[0])
        axis.set_xlabel(_DIVERSITY_TITLE)
        axis.set_ylabel(label)
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
    for members in alike.values():
        members.sort(key=lambda group: _strength(config[group].get(_STRENGTH, 0)))
        name = members[0] if len(members) == 1 else _without_strength(members[0])
        series[without_repulsion(name)] = members
    return series


def _strength(value: object) -> float:
    """The value, or infinity where a config has something other than a number."""
    return float(value) if isinstance(value, int | float) else math.inf


def _without_strength(name: str) -> str:
    return re.sub(rf"{re.escape(_STRENGTH)}[_=][\d.e+-]*\d[-,]?", "", name).strip("-,") or _STRENGTH


def _leave_out_far(axis: Axes, x: Array, y: Array) -> None:
    """Choose limits that leave out points far from most, and say how many are outside."""
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
        note = f"{outside.sum()} of {len(x)} outside"
        axis.set_title(note, loc="right", fontsize=6, color="0.4")


def _draw_cross(axis: Axes, x: float, y: float) -> None:
    axis.axvline(x, color=GREY, linestyle=":", linewidth=0.8, zorder=1)
    axis.axhline(y, color=GREY, linestyle=":", linewidth=0.8, zorder=1)


def _data(analysis: Analysis) -> object:
    groups = needed(analysis.groups)
    bounds = _intervals(groups)
    rows = [
        {
            "group": row["group"],
            "members": row["members"],
            **{
                quantity: [
                    row[quantity],
                    *bounds.get((row["group"], quantity), (0, None, None))[1:],
                ]
                for quantity in (_DIVERSITY, *_ON_THE_PAGE)
            },
        }
        for row in groups.table.dropna(subset=[_DIVERSITY]).to_dict("records")
    ]
    titles = {q: _GAINS[q].replace("\n", "<br>") for q in _ON_THE_PAGE}
    return {
        "baseline": groups.baseline,
        "across": [_DIVERSITY, _DIVERSITY_TITLE],
        "titles": titles,
        "rows": rows,
    }


def _caption(analysis: Analysis) -> str:
    return (
        "Diversity of a configuration’s members against what combining them gains, and against "
        "what their ensemble is worth; one point per configuration, numbered as in the table, with "
        f"95% intervals over seeds; the cross is the baseline, {needed(analysis.groups).baseline}. "
        "Bad members gain much: a configuration is worth having if its ensemble is better."
    )


KIND = FigureKind(
    name="configurations",
    section="configurations",
    title="Diversity against gain by configuration",
    caption=_caption,
    needs=lambda analysis: analysis.groups,
    draw=diversity_and_gain,
    page=Interactive(tuple(f"groups-{quantity}" for quantity in _ON_THE_PAGE), _data),
    csv=("groups-table.csv",),
)
