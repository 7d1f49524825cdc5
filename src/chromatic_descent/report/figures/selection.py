"""Which members to pick for an ensemble."""

from chromatic_descent.analysis import Analysis
from chromatic_descent.report.figures.ensemble_curves import HEADINGS
from chromatic_descent.report.figures.kind import FigureKind, Interactive, needed


def _data(analysis: Analysis) -> object:
    table = needed(analysis.ensembles.selection)
    columns = ["method", "metric", "size", "mean", "low", "high"]
    return {"titles": HEADINGS, "rows": table[columns].to_numpy()}


KIND = FigureKind(
    name="selection",
    section="ensembles",
    title="Selection of members",
    caption="Members picked on one half of the probe, scored on the other, beside random picks "
    "(grey, 95%). A rule is worth having where it leaves the band.",
    needs=lambda analysis: analysis.ensembles.selection,
    page=Interactive(("pick-accuracy", "pick-nll"), _data),
    csv=("ensembles-selection.csv",),
)
