"""InPCA of Bhattacharyya's distance."""

import numpy as np
from matplotlib import style
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from chromatic_descent.analysis import Analysis, computed
from chromatic_descent.report.figures.kind import FigureKind, needed
from chromatic_descent.report.figures.panels import BLUE, RED, STYLE, draw_members, row_of_panels

_AXES = 3


@style.context(STYLE)
def inpca(analysis: Analysis) -> Figure:
    """InPCA of Bhattacharyya's distance: the first two axes, and the spectrum with its signs."""
    layout = needed(analysis.inpca)
    figure, (left, right) = row_of_panels(2)
    draw_members(left, layout.coordinates[:, :2], analysis)
    left.set_title(f"InPCA, explained stress {layout.explained_stress[1]:.0%}")
    eigenvalues = np.array(layout.eigenvalues)
    left.set_xlabel(_axis(0, eigenvalues[0]))
    left.set_ylabel(_axis(1, eigenvalues[1]))
    left.margins(0.15)
    left.xaxis.set_major_locator(MaxNLocator(5))
    axes = np.arange(1, len(eigenvalues) + 1)
    right.bar(axes, eigenvalues, color=np.where(eigenvalues < 0, RED, BLUE))
    right.axhline(0, color="black", linewidth=0.6)
    right.set_xlabel("axis")
    right.set_ylabel("eigenvalue (nats)")
    if (eigenvalues < 0).any():
        right.set_title("negative: imaginary axes")
    return figure


def layout_for_page(analysis: Analysis) -> dict[str, object] | None:
    """The layout as one of the choices of the page's map; None if there is no layout."""
    layout = analysis.inpca
    if not computed(layout):
        return None
    xyz, stress = layout.coordinates[:, :_AXES].T, layout.explained_stress
    return {
        "title": "InPCA (Bhattacharyya)",
        "note": "Always of the Bhattacharyya distance, whatever distance is chosen above: the "
        f"first two axes explain {stress[min(1, len(stress) - 1)]:.0%} of the stress, which is "
        "not a share of variance. Along imaginary axes squared distances count as negative.",
        "xyz": list(xyz),
        "axes": [_axis(k, layout.eigenvalues[k]) for k in range(len(xyz))],
    }


def _axis(axis: int, eigenvalue: float) -> str:
    return f"axis {axis + 1}" + (" (imaginary)" if eigenvalue < 0 else "")


KIND = FigureKind(
    name="inpca",
    section="map",
    title="InPCA of the members",
    caption="InPCA of Bhattacharyya’s distance. Along imaginary axes squared distances count "
    "as negative.",
    needs=lambda analysis: analysis.inpca,
    draw=inpca,
    page="chromatic_map",
    folder="embeddings",
)
