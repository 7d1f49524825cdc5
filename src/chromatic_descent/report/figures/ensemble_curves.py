"""Scores of ensembles by their size."""

import numpy as np
from matplotlib import style
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from chromatic_descent.analysis import Analysis
from chromatic_descent.report.figures.kind import FigureKind, Interactive
from chromatic_descent.report.figures.panels import STYLE, row_of_panels
from chromatic_descent.report.names import SCORES, words

HEADINGS = {name: metric.heading for name, metric in SCORES.items()}


@style.context(STYLE)
def ensemble_curves(analysis: Analysis) -> Figure:
    """Each metric by ensemble size and combiner; bands hold 95% of the subsets.

    Dashed: after temperature scaling, fitted on one half of the probe and scored on the other.
    """
    curves = analysis.ensembles.curves
    figure, axes = row_of_panels(len(HEADINGS))
    colours: dict[str, str] = {}
    for axis, (metric, label) in zip(axes, HEADINGS.items(), strict=True):
        chosen = curves[(curves["metric"] == metric) & np.isfinite(curves["mean"])]
        for (combiner, stage), curve in chosen.groupby(["combiner", "stage"], sort=False):
            calibrated = stage == "calibrated"
            if calibrated and metric == "accuracy":
                continue  # a temperature changes no predicted class
            if combiner == "oracle":
                continue  # it would squeeze the rest
            size, mean = curve["size"].to_numpy(), curve["mean"].to_numpy()
            (line,) = axis.plot(
                size,
                mean,
                "--" if calibrated else ".-",
                label=None if calibrated else words(combiner),
                color=colours.get(str(combiner)),
            )
            colours[str(combiner)] = str(line.get_color())
            if not calibrated:
                band = curve["low"].to_numpy(), curve["high"].to_numpy()
                axis.fill_between(size, *band, alpha=0.15, color=line.get_color())
        axis.set_xlabel("members in the ensemble")
        axis.set_ylabel(label)
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes[0].legend(loc="lower right")  # accuracy rises with size: curves leave that corner free
    axes[1].legend(
        [Line2D([], [], color="black", linestyle="--")], ["calibrated"], loc="upper right"
    )
    return figure


def _data(analysis: Analysis) -> object:
    columns = ["combiner", "stage", "size", "metric", "mean", "low", "high"]
    return {"titles": HEADINGS, "rows": analysis.ensembles.curves[columns].to_numpy()}


KIND = FigureKind(
    name="ensemble",
    section="ensembles",
    title="Ensemble scores by size",
    caption="Scores by the number of members, for each way of combining them; bands hold 95% "
    "of subsets of members, and close where there is only one subset. Dashed: with a "
    "temperature fitted on one half of the probe and scored on the other. Mean logit and "
    "geometric mean are two names for one combiner.",
    needs=lambda analysis: analysis.ensembles.curves,
    draw=ensemble_curves,
    page=Interactive(tuple(f"curve-{metric}" for metric in HEADINGS), _data),
    csv=("ensembles-curves.csv",),
)
