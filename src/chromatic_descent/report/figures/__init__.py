"""Every figure of an analysis, one file each.

`FIGURES` is where a figure is listed: its file defines a function of the same name that returns a
matplotlib `Figure`, and a `FigureKind` that says everything else about it. The files, the summary,
the page and the reference are made from these.
"""

from importlib import import_module

from chromatic_descent.report.figures.kind import FigureKind

FIGURES = (
    "chromatic_map",
    "distance_maps",
    "neighbour_layouts",
    "inpca",
    "trajectories",
    "heatmaps",
    "mantel",
    "spectra",
    "nulls",
    "dimension",
    "drivers",
    "interventions",
    "ensemble_curves",
    "reliability",
    "diversity_and_gain",
    "differences",
)
ON_THE_PAGE_ONLY = ("gain", "selection", "class_accuracy", "confusion")


def kinds() -> list[FigureKind]:
    """Every kind of figure, in the order of the tables above."""
    modules = [import_module(f"{__name__}.{name}") for name in (*FIGURES, *ON_THE_PAGE_ONLY)]
    named = [value for module in modules for value in vars(module).values()]
    return [value for value in named if isinstance(value, FigureKind)]
