"""Is the structure real, and in how many dimensions: spectra, nulls and curves of dimension."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullFormatter, ScalarFormatter

from chromatic_descent.analysis import Analysis, computed
from chromatic_descent.errors import UserError
from chromatic_descent.geometry import title_of
from chromatic_descent.report.figures import panels
from chromatic_descent.report.figures.kind import FigureKind, Interactive, needed, why_not
from chromatic_descent.report.names import heading_of, words

_NULLS = {"isotropic": "#222222", "independent_errors": panels.RED}
_QUANTITIES = ("participation_ratio", "top_2_share")
_OVER = {"members": "members", "images": "probe images"}
_PANELS = [(quantity, over) for quantity in _QUANTITIES for over in _OVER]


@panels.styled
def spectra(analysis: Analysis) -> Figure:
    """Share of variance by axis, beside the share that members with nothing in common would have.

    Lines are the 95% quantiles of two nulls, axis by axis: isotropic members, and members whose
    errors are independent. Parallel analysis counts the axes above the second line.
    """
    figure, views = panels.panel_for_each(analysis.maps.computed())
    for axis, name, view in views:
        share = np.nan_to_num(view.shares)
        shown = np.arange(1, len(share) + 1)
        axis.bar(shown, share, color=panels.BLUE, label="members")
        dimension = analysis.dimension.find(name)
        quantiles = dimension.null_quantiles if computed(dimension) else {}
        for null, colour in _NULLS.items():
            if null in quantiles:
                bound, label = quantiles[null], f"{words(null)}, 95%"
                axis.plot(shown[: len(bound)], bound, ":", color=colour, label=label)
        axis.set_title(f"{heading_of(name)}\ntop 2: {view.top_2_share:.1%}")
        axis.set(xlabel="axis", ylabel="share of variance")
        axis.set_ylim(0, 1.3 * share.max() if share.any() else 1)  # room for the legend
    figure.axes[0].legend(loc="upper right")
    return figure


def _spectrum(analysis: Analysis, name: str) -> object:
    dimension = analysis.dimension.find(name)
    return {
        "share": np.nan_to_num(needed(analysis.maps[name]).shares),
        "bands": dimension.null_bands if computed(dimension) else {},
    }


SPECTRUM = FigureKind(
    name="spectrum",
    section="structure",
    title="Spectrum with null bands",
    caption="Share of the variance by axis, beside that of members that are spread alike in "
    "all directions (isotropic), and of members that err independently from image to image: "
    "bands hold 95% of draws, axis by axis. A bar above its band is more than chance; the "
    "height above it is how much more.",
    needs=lambda analysis: analysis.maps,
    draw=spectra,
    page=Interactive(("spectrum",), data_by_distance=_spectrum),
    folder="embeddings",
)


@panels.styled
def nulls(analysis: Analysis) -> Figure:
    """The top-2 share (line) beside each null (bar: 95%, dot: the mean), with its p-value."""
    tested = {name: each.computed() for name, each in analysis.nulls.items() if not why_not(each)}
    figure, results = panels.panel_for_each(tested, height=1.9)
    for axis, _, tests in results:
        for row, test in enumerate(tests.values()):
            axis.plot([test.null_low, test.null_high], [row, row], color=panels.GREY, lw=4)
            axis.plot(test.null_mean, row, "o", color="#555555", ms=3)
            axis.axvline(test.observed, color=panels.BLUE)
            beside = axis.get_yaxis_transform()  # x is a fraction of the panel
            p = f"p = {test.p_value:.3f}"
            axis.annotate(p, (1.02, row), xycoords=beside, va="center", size=6)
        axis.set_yticks(range(len(tests)), [words(null) for null in tests])
        axis.set_ylim(len(tests) - 0.5, -0.5)
        axis.set_xlabel("top-2 share")
        axis.margins(x=0.15)
    return figure


def _draws(analysis: Analysis, name: str) -> object:
    if reason := why_not(tests := analysis.nulls[name]):
        raise UserError(reason)
    return [
        {"title": words(null), "observed": test.observed, "p": test.p_value, "draws": test.null}
        for null, test in tests.computed().items()
    ]


NULLS = FigureKind(
    name="nulls",
    section="structure",
    title="Histograms of the nulls",
    caption="The share of two axes (line) beside draws from nulls, from weak to strong. A "
    "small p rejects that null and says nothing about the size of the excess; the null to beat "
    "is independent errors.",
    needs=lambda analysis: analysis.nulls,
    draw=nulls,
    page=Interactive(("nulls",), data_by_distance=_draws, size="tall"),
)


@panels.styled
def dimension(analysis: Analysis) -> Figure:
    """Participation ratio and top-2 share against the number of members and of probe images."""
    figure, axes = panels.row_of_panels(len(_PANELS))
    for axis, (quantity, over) in zip(axes, _PANELS, strict=True):
        for name, estimated in analysis.dimension.computed().items():
            if computed(curve := estimated.curve):
                part = curve[(curve["quantity"] == quantity) & (curve["over"] == over)]
                size, mean, low, high = part[["size", "mean", "low", "high"]].to_numpy().T
                (line,) = axis.plot(size, mean, ".-", label=title_of(name))
                axis.fill_between(size, low, high, alpha=0.15, color=line.get_color())
        if over == "members" and quantity == "participation_ratio":
            axis.axline((2, 1), slope=1, color="black", linestyle=":", linewidth=0.6)
        if over == "members":
            axis.xaxis.set_major_locator(MaxNLocator(integer=True))
        else:
            axis.set_xscale("log")
            axis.xaxis.set_major_formatter(ScalarFormatter())
            axis.xaxis.set_minor_formatter(NullFormatter())
        axis.set(xlabel=_OVER[over], ylabel=words(quantity))
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=2)
    return figure


def _curve(analysis: Analysis, name: str) -> object:
    curve = needed(needed(analysis.dimension.find(name)).curve)
    columns = ["over", "size", "quantity", "mean", "low", "high"]
    return curve[curve["quantity"].isin(_QUANTITIES)][columns].to_numpy()


DIMENSION = FigureKind(
    name="dimension",
    section="dimension",
    title="Dimension against members and images",
    caption="Participation ratio and the share of two axes, from fewer members and from fewer "
    "images; bands hold 95% of subsets. A dimension that belongs to the population stops "
    "growing once there are enough members; one that grows along with them is a property of "
    "the sample.",
    needs=lambda analysis: analysis.dimension,
    draw=dimension,
    page=Interactive(
        tuple(f"dimension-{q}-{over}" for q, over in _PANELS), data_by_distance=_curve
    ),
)
