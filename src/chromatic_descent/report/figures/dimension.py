"""How the dimension grows with members and with probe images."""

from matplotlib import style
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullFormatter, ScalarFormatter

from chromatic_descent.analysis import Analysis, computed
from chromatic_descent.geometry import title_of
from chromatic_descent.report.figures.kind import FigureKind, Interactive, needed
from chromatic_descent.report.figures.panels import STYLE, row_of_panels
from chromatic_descent.report.names import words

_QUANTITIES = ("participation_ratio", "top_2_share")
_OVER = {"members": "members", "images": "probe images"}


@style.context(STYLE)
def dimension(analysis: Analysis) -> Figure:
    """Participation ratio and top-2 share against the number of members and of probe images."""
    figure, axes = row_of_panels(4)
    panels = [(quantity, over) for quantity in _QUANTITIES for over in _OVER]
    for axis, (quantity, over) in zip(axes, panels, strict=True):
        for name, estimated in analysis.dimension.computed().items():
            curve = estimated.curve
            if not computed(curve):
                continue
            part = curve[(curve["quantity"] == quantity) & (curve["over"] == over)]
            size, mean = part["size"].to_numpy(), part["mean"].to_numpy()
            (line,) = axis.plot(size, mean, ".-", label=title_of(name))
            band = part["low"].to_numpy(), part["high"].to_numpy()
            axis.fill_between(size, *band, alpha=0.15, color=line.get_color())
        if over == "members" and quantity == "participation_ratio":
            axis.axline((2, 1), slope=1, color="black", linestyle=":", linewidth=0.6)
        if over == "members":
            axis.xaxis.set_major_locator(MaxNLocator(integer=True))
        else:
            axis.set_xscale("log")
            axis.xaxis.set_major_formatter(ScalarFormatter())
            axis.xaxis.set_minor_formatter(NullFormatter())
        axis.set_xlabel(_OVER[over])
        axis.set_ylabel(words(quantity))
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=2)
    return figure


def _data(analysis: Analysis, name: str) -> object:
    curve = needed(needed(analysis.dimension.find(name)).curve)
    columns = ["over", "size", "quantity", "mean", "low", "high"]
    return curve[curve["quantity"].isin(_QUANTITIES)][columns].to_numpy()


KIND = FigureKind(
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
        tuple(f"dimension-{quantity}-{over}" for quantity in _QUANTITIES for over in _OVER),
        data_by_distance=_data,
    ),
)
