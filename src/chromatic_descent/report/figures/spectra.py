"""Share of variance by axis."""

import numpy as np
from matplotlib import style
from matplotlib.figure import Figure

from chromatic_descent.analysis import Analysis, computed
from chromatic_descent.report.figures.kind import FigureKind, Interactive, needed
from chromatic_descent.report.figures.panels import BLUE, RED, STYLE, row_of_panels
from chromatic_descent.report.names import heading_of, words

_NULLS = {"isotropic": "#222222", "independent_errors": RED}


@style.context(STYLE)
def spectra(analysis: Analysis) -> Figure:
    """Share of variance by axis, beside the share that members with nothing in common would have.

    Lines are the 95% quantiles of two nulls, axis by axis: isotropic members, and members whose
    errors are independent. Parallel analysis counts the axes above the second line.
    """
    views = analysis.maps.computed()
    figure, axes = row_of_panels(len(views))
    for axis, (name, view) in zip(axes, views.items(), strict=True):
        share = np.nan_to_num(view.shares)
        shown = np.arange(1, len(share) + 1)
        axis.bar(shown, share, color=BLUE, label="members")
        dimension = analysis.dimension.find(name)
        quantiles = dimension.null_quantiles if computed(dimension) else {}
        for null, colour in _NULLS.items():
            if null in quantiles:
                bound, label = quantiles[null], f"{words(null)}, 95%"
                axis.plot(shown[: len(bound)], bound, ":", color=colour, label=label)
        axis.set_title(f"{heading_of(name)}\ntop 2: {view.top_2_share:.1%}")
        axis.set_xlabel("axis")
        axis.set_ylabel("share of variance")
        axis.set_ylim(0, 1.3 * share.max() if share.any() else 1)  # room for the legend
    axes[0].legend(loc="upper right")
    return figure


def _data(analysis: Analysis, name: str) -> object:
    dimension = analysis.dimension.find(name)
    return {
        "share": np.nan_to_num(needed(analysis.maps[name]).shares),
        "bands": dimension.null_bands if computed(dimension) else {},
    }


KIND = FigureKind(
    name="spectrum",
    section="structure",
    title="Spectrum with null bands",
    caption="Share of the variance by axis, beside that of members that are spread alike in "
    "all directions (isotropic), and of members that err independently from image to image: "
    "bands hold 95% of draws, axis by axis. A bar above its band is more than chance; the "
    "height above it is how much more.",
    needs=lambda analysis: analysis.maps,
    draw=spectra,
    page=Interactive(("spectrum",), data_by_distance=_data),
    folder="embeddings",
)
