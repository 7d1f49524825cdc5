"""Which classes members confuse."""

from chromatic_descent.analysis import Analysis
from chromatic_descent.report.figures.kind import FigureKind, Interactive, needed


def _data(analysis: Analysis) -> object:
    confusion = needed(analysis.per_class.confusion)
    return {"mean": confusion.mean, "modes": confusion.modes, "shares": confusion.shares}


KIND = FigureKind(
    name="confusion",
    section="members",
    title="Confusion matrices",
    caption="Which class is taken for which: the mean over members (without the diagonal), and "
    "the leading ways in which members’ confusions differ, principal components of their "
    "confusion matrices. A mode has no sign, and does not say how much confusion there is.",
    needs=lambda analysis: analysis.per_class.confusion,
    page=Interactive(("confusion-mean", "confusion-0", "confusion-1"), _data, size="squarish"),
)
