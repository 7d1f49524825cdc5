"""Reliability diagrams."""

from matplotlib import style
from matplotlib.figure import Figure

from chromatic_descent.analysis import Analysis
from chromatic_descent.report.figures.kind import FigureKind, Interactive, needed
from chromatic_descent.report.figures.panels import GREY, STYLE, row_of_panels


@style.context(STYLE)
def reliability(analysis: Analysis) -> Figure:
    """Accuracy by confidence, of members and of their ensemble, before and after calibration."""
    table = needed(analysis.ensembles.reliability)
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
    axes[0].legend(loc="lower right")  # no model is always wrong where it is confident
    return figure


def _data(analysis: Analysis) -> object:
    table = needed(analysis.ensembles.reliability)
    return table[["of", "calibrated", "confidence", "accuracy", "count"]].to_numpy()


KIND = FigureKind(
    name="reliability",
    section="ensembles",
    title="Reliability diagrams",
    caption="How often predictions are right, by their confidence, before and after "
    "temperature scaling; larger points hold more predictions. On the diagonal the confidence "
    "is deserved. A calibrated model may still be useless.",
    needs=lambda analysis: analysis.ensembles.reliability,
    draw=reliability,
    page=Interactive(("reliability-before", "reliability-after"), _data, size="squarish"),
    csv=("ensembles-reliability.csv",),
)
