"""How much of the axes' variance interventions on the logits remove."""

import numpy as np
from matplotlib import style
from matplotlib.figure import Figure

from chromatic_descent.analysis import Analysis
from chromatic_descent.report.figures.kind import FigureKind, Interactive, needed
from chromatic_descent.report.figures.panels import BLUE, STYLE, row_of_panels
from chromatic_descent.report.names import heading_of, words


@style.context(STYLE)
def interventions(analysis: Analysis) -> Figure:
    """The share of the top-2 variance that each intervention on the logits removes."""
    by_distance = analysis.drivers.computed()
    figure, axes = row_of_panels(len(by_distance), height=1.9)
    for axis, (name, each) in zip(axes, by_distance.items(), strict=True):
        table = each.interventions
        rows = np.arange(len(table))
        axis.barh(rows, table["removed"], color=BLUE)
        axis.hlines(rows, table["low"], table["high"], color="black", linewidth=0.8)
        axis.set_yticks(rows, [words(kind) for kind in table["intervention"]])
        axis.invert_yaxis()
        axis.axvline(0, color="black", linewidth=0.6)
        axis.set_xlabel("share of top-2 variance removed")
        axis.set_title(heading_of(name))
    return figure


def _data(analysis: Analysis, name: str) -> object:
    table = needed(analysis.drivers.find(name)).interventions
    return table[["intervention", "removed", "low", "high"]].to_numpy()


KIND = FigureKind(
    name="interventions",
    section="drivers",
    title="Variance removed by interventions",
    caption="The share of the first two axes’ variance that disappears when members are made "
    "alike in one respect, with 95% intervals over images. Shares overlap and do not add up; "
    "below zero, members move farther apart. Where the spectrum is flat, little can disappear.",
    needs=lambda analysis: analysis.drivers,
    draw=interventions,
    page=Interactive(("interventions",), data_by_distance=_data),
)
