"""What drives the axes: quantities that correlate with them, and interventions on the logits."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from chromatic_descent.analysis import Analysis
from chromatic_descent.report.figures import panels
from chromatic_descent.report.figures.kind import FigureKind, Interactive, needed
from chromatic_descent.report.names import heading_of, words

_ALPHA = 0.05
_IN_FILES, _ON_THE_PAGE = 15, 20  # candidates shown, the strongest first


@panels.styled
def drivers(analysis: Analysis) -> Figure:
    """Correlation of each axis with each candidate; a dot where Holm's p is below 0.05."""
    by_distance = analysis.drivers.computed()
    tables = [result.table.assign(distance=name) for name, result in by_distance.items()]
    table = pd.concat([t[t["axis"] <= 2] for t in tables])
    strongest = table.groupby("driver")["r"].apply(lambda r: r.abs().max())
    rows = list(strongest.sort_values(ascending=False).index[:_IN_FILES])
    columns = [(name, axis) for name in by_distance for axis in (1, 2)]
    wide = table.pivot_table(index="driver", columns=["distance", "axis"], values="r")
    wide = wide.reindex(index=rows, columns=pd.MultiIndex.from_tuples(columns))
    sure = table[table["p_holm"] < _ALPHA][["driver", "distance", "axis"]].itertuples(index=False)
    figure = Figure(figsize=(5.4, 0.6 + 0.24 * len(rows)))
    axis = figure.subplots()
    marks = {(rows.index(d), columns.index((name, k))) for d, name, k in sure if d in rows}
    label = "r, cross-validated over probe halves"
    panels.draw_correlations(axis, wide.to_numpy(), label, marks, aspect="auto")
    axis.set_yticks(range(len(rows)), rows)
    labels = [f"{heading_of(name)}\naxis {k}" for name, k in columns]
    axis.set_xticks(range(len(columns)), labels, rotation=90, size=6)
    return figure


def _data(analysis: Analysis, name: str) -> object:
    table = needed(analysis.drivers.find(name)).table
    size = table["r"].abs().fillna(0).groupby(table["driver"], sort=False).max()
    order = list(size.sort_values(ascending=False, kind="stable").index[:_ON_THE_PAGE])
    columns = ["axis", "driver", "r", "low", "high", "p_holm"]
    rows = table[table["driver"].isin(order) & (table["axis"] <= 2)][columns]
    return {"order": order, "rows": rows.to_numpy()}


DRIVERS = FigureKind(
    name="drivers",
    section="drivers",
    title="Correlations of axes with drivers",
    caption="Correlation of each axis with each candidate, axis and candidate measured on "
    "different halves of the probe; the twenty strongest candidates. Filled where p ≤ 0.05 "
    "after Holm’s correction for all of them. Lines are 95% intervals over members. A driver "
    "that correlates need not be a cause.",
    needs=lambda analysis: analysis.drivers,
    draw=drivers,
    page=Interactive(("drivers",), data_by_distance=_data, size="taller"),
)


@panels.styled
def interventions(analysis: Analysis) -> Figure:
    """The share of the top-2 variance that each intervention on the logits removes."""
    figure, results = panels.panel_for_each(analysis.drivers.computed(), height=1.9)
    for axis, _, result in results:
        table = result.interventions
        rows = np.arange(len(table))
        axis.barh(rows, table["removed"], color=panels.BLUE)
        axis.hlines(rows, table["low"], table["high"], color="black", linewidth=0.8)
        axis.set_yticks(rows, [words(kind) for kind in table["intervention"]])
        axis.invert_yaxis()
        axis.axvline(0, color="black", linewidth=0.6)
        axis.set_xlabel("share of top-2 variance removed")
    return figure


def _removed(analysis: Analysis, name: str) -> object:
    table = needed(analysis.drivers.find(name)).interventions
    return table[["intervention", "removed", "low", "high"]].to_numpy()


INTERVENTIONS = FigureKind(
    name="interventions",
    section="drivers",
    title="Variance removed by interventions",
    caption="The share of the first two axes’ variance that disappears when members are made "
    "alike in one respect, with 95% intervals over images. Shares overlap and do not add up; "
    "below zero, members move farther apart. Where the spectrum is flat, little can disappear.",
    needs=lambda analysis: analysis.drivers,
    draw=interventions,
    page=Interactive(("interventions",), data_by_distance=_removed),
)
