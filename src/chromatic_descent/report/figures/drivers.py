"""Which quantities correlate with the axes."""

import numpy as np
import pandas as pd
from matplotlib import style
from matplotlib.figure import Figure

from chromatic_descent.analysis import Analysis
from chromatic_descent.report.figures.kind import FigureKind, Interactive, needed
from chromatic_descent.report.figures.panels import STYLE
from chromatic_descent.report.names import heading_of

_ALPHA = 0.05
_IN_FILES, _ON_THE_PAGE = 15, 20  # candidates shown, the strongest first


@style.context(STYLE)
def drivers(analysis: Analysis) -> Figure:
    """Correlation of each axis with each candidate; a dot where Holm's p is below 0.05."""
    by_distance = analysis.drivers.computed()
    tables = [each.table.assign(distance=name) for name, each in by_distance.items()]
    table = pd.concat([t[t["axis"] <= 2] for t in tables])
    strongest = table.groupby("driver")["r"].apply(lambda r: r.abs().max())
    rows = strongest.sort_values(ascending=False).index[:_IN_FILES]
    columns = [(name, axis) for name in by_distance for axis in (1, 2)]
    wide = table.pivot_table(index="driver", columns=["distance", "axis"], values="r")
    wide = wide.reindex(index=rows, columns=pd.MultiIndex.from_tuples(columns))
    sure = table[table["p_holm"] < _ALPHA].set_index(["driver", "distance", "axis"]).index
    figure = Figure(figsize=(5.4, 0.6 + 0.24 * len(rows)))
    axis = figure.subplots()
    image = axis.imshow(wide.to_numpy(), vmin=-1, vmax=1, cmap="RdBu_r", aspect="auto")
    axis.set_yticks(range(len(rows)), list(rows))
    labels = [f"{heading_of(name)}\naxis {k}" for name, k in columns]
    axis.set_xticks(range(len(columns)), labels, rotation=90, size=6)
    for (i, j), value in np.ndenumerate(wide.to_numpy()):
        if np.isfinite(value):
            mark = " •" if (rows[i], *columns[j]) in sure else ""
            colour = "white" if abs(value) > 0.6 else "black"
            axis.text(j, i, f"{value:.2f}{mark}", ha="center", va="center", size=5, color=colour)
    axis.spines[:].set_visible(False)
    figure.colorbar(image, ax=axis, shrink=0.7, label="r, cross-validated over probe halves")
    return figure


def _data(analysis: Analysis, name: str) -> object:
    table = needed(analysis.drivers.find(name)).table
    size = table["r"].abs().fillna(0).groupby(table["driver"], sort=False).max()
    order = list(size.sort_values(ascending=False, kind="stable").index[:_ON_THE_PAGE])
    columns = ["axis", "driver", "r", "low", "high", "p_holm"]
    rows = table[table["driver"].isin(order) & (table["axis"] <= 2)][columns]
    return {"order": order, "rows": rows.to_numpy()}


KIND = FigureKind(
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
