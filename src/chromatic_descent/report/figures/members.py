"""Members combined (scores by size, calibration, gain, selection) and alone, class by class."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from chromatic_descent.analysis import Analysis
from chromatic_descent.report.figures import panels
from chromatic_descent.report.figures.kind import FigureKind, Interactive, needed
from chromatic_descent.report.names import SCORES, words

_HEADINGS = {name: metric.heading for name, metric in SCORES.items()}


@panels.styled
def ensemble_curves(analysis: Analysis) -> Figure:
    """Each metric by ensemble size and combiner; bands hold 95% of the subsets.

    Dashed: after temperature scaling, fitted on one half of the probe and scored on the other.
    """
    curves = analysis.ensembles.curves
    shown = np.isfinite(curves["mean"]) & (curves["combiner"] != "oracle")  # far above the others
    figure, axes = panels.row_of_panels(len(_HEADINGS))
    colours: dict[str, str] = {}
    for axis, (metric, label) in zip(axes, _HEADINGS.items(), strict=True):
        chosen = curves[shown & (curves["metric"] == metric)]
        for (combiner, stage), curve in chosen.groupby(["combiner", "stage"], sort=False):
            calibrated = stage == "calibrated"
            if calibrated and metric == "accuracy":
                continue  # a temperature changes no predicted class
            size, mean, low, high = curve[["size", "mean", "low", "high"]].to_numpy().T
            look = "--" if calibrated else ".-"
            name = None if calibrated else words(combiner)
            (line,) = axis.plot(size, mean, look, label=name, color=colours.get(str(combiner)))
            colours[str(combiner)] = str(line.get_color())
            if not calibrated:
                axis.fill_between(size, low, high, alpha=0.15, color=line.get_color())
        axis.set(xlabel="members in the ensemble", ylabel=label)
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes[0].legend(loc="lower right")  # accuracy rises with size: curves leave that corner free
    dashed = Line2D([], [], color="black", linestyle="--")
    axes[1].legend([dashed], ["calibrated"], loc="upper right")
    return figure


def _curves(analysis: Analysis) -> object:
    columns = ["combiner", "stage", "size", "metric", "mean", "low", "high"]
    return {"titles": _HEADINGS, "rows": analysis.ensembles.curves[columns].to_numpy()}


CURVES = FigureKind(
    name="ensemble",
    section="ensembles",
    title="Ensemble scores by size",
    caption="Scores by the number of members, for each way of combining them; bands hold 95% "
    "of subsets of members, and close where there is only one subset. Dashed: with a "
    "temperature fitted on one half of the probe and scored on the other. Mean logit and "
    "geometric mean are two names for one combiner.",
    needs=lambda analysis: analysis.ensembles.curves,
    draw=ensemble_curves,
    page=Interactive(tuple(f"curve-{metric}" for metric in _HEADINGS), _curves),
    csv=("ensembles-curves.csv",),
)


@panels.styled
def reliability(analysis: Analysis) -> Figure:
    """Accuracy by confidence, of members and of their ensemble, before and after calibration."""
    table = needed(analysis.ensembles.reliability)
    figure, axes = panels.row_of_panels(2)
    for axis, calibrated in zip(axes, (False, True), strict=True):
        axis.plot([0, 1], [0, 1], color=panels.GREY, linewidth=0.8)
        chosen = table[(table["calibrated"] == calibrated) & (table["count"] > 0)]
        for subject, part in chosen.groupby("of", sort=False):
            axis.plot(part["confidence"], part["accuracy"], ".-", label=subject)
        axis.set_title("temperature fitted on the other half" if calibrated else "as trained")
        axis.set(xlabel="confidence", ylabel="accuracy", aspect="equal")
    axes[0].legend(loc="lower right")  # no model is always wrong where it is confident
    return figure


def _reliability(analysis: Analysis) -> object:
    table = needed(analysis.ensembles.reliability)
    return table[["of", "calibrated", "confidence", "accuracy", "count"]].to_numpy()


RELIABILITY = FigureKind(
    name="reliability",
    section="ensembles",
    title="Reliability diagrams",
    caption="How often predictions are right, by their confidence, before and after "
    "temperature scaling; larger points hold more predictions. On the diagonal the confidence "
    "is deserved. A calibrated model may still be useless.",
    needs=lambda analysis: analysis.ensembles.reliability,
    draw=reliability,
    page=Interactive(("reliability-before", "reliability-after"), _reliability, size="squarish"),
    csv=("ensembles-reliability.csv",),
)


GAIN = FigureKind(
    name="gain",
    section="ensembles",
    title="Diversity against gain",
    caption="Ensembles of four members: how far apart they are against what combining them "
    "gains. Subsets share members and are not independent observations; the test below "
    "relabels members. Weak members lie far out and gain much without making a better "
    "ensemble.",
    needs=lambda analysis: analysis.ensembles.gain,
    page=Interactive(
        ("gain",), lambda a: needed(a.ensembles.gain).subsets[["spread", "nll_gain"]].to_numpy()
    ),
    csv=("ensembles-gain-table.csv",),
)


def _selection(analysis: Analysis) -> object:
    rows = needed(analysis.ensembles.selection)
    columns = ["method", "metric", "size", "mean", "low", "high"]
    return {"titles": _HEADINGS, "rows": rows[columns].to_numpy()}


SELECTION = FigureKind(
    name="selection",
    section="ensembles",
    title="Selection of members",
    caption="Members picked on one half of the probe, scored on the other, beside random picks "
    "(grey, 95%). A rule is worth having where it leaves the band.",
    needs=lambda analysis: analysis.ensembles.selection,
    page=Interactive(("pick-accuracy", "pick-nll"), _selection),
    csv=("ensembles-selection.csv",),
)


ACCURACY = FigureKind(
    name="class_accuracy",
    section="members",
    title="Accuracy by class and member",
    caption="Accuracy of each member on each class. Members are spread sideways so that they "
    "can be told apart; a class with few images scatters for that reason alone.",
    needs=lambda analysis: analysis.per_class.class_accuracy,
    page=Interactive(("classes",), lambda analysis: analysis.per_class.class_accuracy),
)


def _confusion(analysis: Analysis) -> object:
    confusion = needed(analysis.per_class.confusion)
    return {"mean": confusion.mean, "modes": confusion.modes, "shares": confusion.shares}


CONFUSION = FigureKind(
    name="confusion",
    section="members",
    title="Confusion matrices",
    caption="Which class is taken for which: the mean over members (without the diagonal), and "
    "the leading ways in which members’ confusions differ, principal components of their "
    "confusion matrices. A mode has no sign, and does not say how much confusion there is.",
    needs=lambda analysis: analysis.per_class.confusion,
    page=Interactive(("confusion-mean", "confusion-0", "confusion-1"), _confusion, size="squarish"),
)
