"""How alike the distances are."""

import numpy as np
from matplotlib import style
from matplotlib.figure import Figure

from chromatic_descent.analysis import Analysis
from chromatic_descent.report.figures.kind import FigureKind, Interactive, needed
from chromatic_descent.report.figures.panels import STYLE
from chromatic_descent.report.names import words


@style.context(STYLE)
def mantel(analysis: Analysis) -> Figure:
    """Mantel's r between every two distances: how far they agree."""
    result = needed(analysis.distances.mantel)
    labels, r = [words(name) for name in result.names], np.array(result.r)
    figure = Figure(figsize=(4.6, 4.2))
    axis = figure.subplots()
    image = axis.imshow(r, vmin=-1, vmax=1, cmap="RdBu_r")
    axis.set_xticks(range(len(labels)), labels, rotation=90)
    axis.set_yticks(range(len(labels)), labels)
    axis.spines[:].set_visible(False)
    for (i, j), value in np.ndenumerate(r):
        colour = "white" if abs(value) > 0.6 else "black"
        axis.text(j, i, f"{value:.2f}", ha="center", va="center", size=5, color=colour)
    figure.colorbar(image, ax=axis, shrink=0.7, label="Mantel's r")
    return figure


def _data(analysis: Analysis) -> object:
    result = needed(analysis.distances.mantel)
    return {"names": [words(name) for name in result.names], "r": result.r}


KIND = FigureKind(
    name="mantel",
    section="distances",
    title="Mantel correlations between distances",
    caption="Mantel’s r between every two distances: near 1 they agree. One "
    "member far from all others makes every correlation high.",
    needs=lambda analysis: analysis.distances.mantel,
    draw=mantel,
    page=Interactive(("mantel",), _data, size="square"),
)
