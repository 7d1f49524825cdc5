"""Every figure of an analysis: one file for each question.

`FIGURES` lists them. A figure's file defines a function that returns a matplotlib `Figure`, and a
`FigureKind` with everything else that the files, the summary and the page need.
"""

from importlib import import_module

from chromatic_descent.report.figures.kind import FigureKind

FIGURES: dict[str, tuple[str, ...]] = {  # by file: the functions that draw, if any
    "chromatic_map": ("chromatic_map",),
    "maps": ("distance_maps", "neighbour_layouts", "inpca"),
    "trajectories": ("trajectories",),
    "distances": ("heatmaps", "mantel"),
    "structure": ("spectra", "nulls", "dimension"),
    "drivers": ("drivers", "interventions"),
    "members": ("ensemble_curves", "reliability"),
    "configurations": ("diversity_and_gain", "differences"),
}


def kinds() -> list[FigureKind]:
    """Every kind of figure, in the order of `FIGURES` and of its files."""
    modules = [import_module(f"{__name__}.{file}") for file in FIGURES]
    values = [value for module in modules for value in vars(module).values()]
    return [value for value in values if isinstance(value, FigureKind)]
