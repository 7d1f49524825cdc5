"""Accuracy of each member on each class."""

from chromatic_descent.analysis import Analysis
from chromatic_descent.report.figures.kind import FigureKind, Interactive


def _data(analysis: Analysis) -> object:
    return analysis.per_class.class_accuracy


KIND = FigureKind(
    name="class_accuracy",
    section="members",
    title="Accuracy by class and member",
    caption="Accuracy of each member on each class. Members are spread sideways so that they "
    "can be told apart; a class with few images scatters for that reason alone.",
    needs=lambda analysis: analysis.per_class.class_accuracy,
    page=Interactive(("classes",), _data),
)
