"""The share of two axes against the ladder of nulls."""

from matplotlib import style
from matplotlib.figure import Figure

from chromatic_descent.analysis import Analysis
from chromatic_descent.errors import UserError
from chromatic_descent.report.figures.kind import FigureKind, Interactive, why_not
from chromatic_descent.report.figures.panels import BLUE, GREY, STYLE, row_of_panels
from chromatic_descent.report.names import heading_of, words


@style.context(STYLE)
def nulls(analysis: Analysis) -> Figure:
    """The top-2 share (line) beside each null (bar: 95%, dot: the mean), with its p-value."""
    tested = {name: each.computed() for name, each in analysis.nulls.items() if not why_not(each)}
    figure, axes = row_of_panels(len(tested), height=1.9)
    for axis, (name, tests) in zip(axes, tested.items(), strict=True):
        for row, test in enumerate(tests.values()):
            axis.plot([test.null_low, test.null_high], [row, row], color=GREY, lw=4)
            axis.plot(test.null_mean, row, "o", color="#555555", ms=3)
            axis.axvline(test.observed, color=BLUE)
            axis.annotate(
                f"p = {test.p_value:.3f}",
                (1.02, row),
                xycoords=("axes fraction", "data"),
                va="center",
                size=6,
            )
        axis.set_yticks(range(len(tests)), [words(null) for null in tests])
        axis.set_ylim(len(tests) - 0.5, -0.5)
        axis.set_xlabel("top-2 share")
        axis.set_title(heading_of(name))
        axis.margins(x=0.15)
    return figure


def _data(analysis: Analysis, name: str) -> object:
    each = analysis.nulls[name]
    if reason := why_not(each):
        raise UserError(reason)
    return [
        {"title": words(null), "observed": test.observed, "p": test.p_value, "draws": test.null}
        for null, test in each.computed().items()
    ]


KIND = FigureKind(
    name="nulls",
    section="structure",
    title="Histograms of the nulls",
    caption="The share of two axes (line) beside draws from nulls, from weak to strong. A "
    "small p rejects that null and says nothing about the size of the excess; the null to beat "
    "is independent errors.",
    needs=lambda analysis: analysis.nulls,
    draw=nulls,
    page=Interactive(("nulls",), data_by_distance=_data, size="tall"),
)
