"""Whether the spread of members predicts what their ensemble gains."""

from chromatic_descent.analysis import Analysis
from chromatic_descent.report.figures.kind import FigureKind, Interactive, needed


def _data(analysis: Analysis) -> object:
    return needed(analysis.ensembles.gain).subsets[["spread", "nll_gain"]].to_numpy()


KIND = FigureKind(
    name="gain",
    section="ensembles",
    title="Diversity against gain",
    caption="Ensembles of four members: how far apart they are against what combining them "
    "gains. Subsets share members and are not independent observations; the test below "
    "relabels members. Weak members lie far out and gain much without making a better "
    "ensemble.",
    needs=lambda analysis: analysis.ensembles.gain,
    page=Interactive(("gain",), _data),
    csv=("ensembles-gain-table.csv",),
)
