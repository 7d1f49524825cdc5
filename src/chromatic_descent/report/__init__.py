"""Figures, summaries and tables of an analysis.

Each figure is a function of an analysis that returns a matplotlib `Figure`:

    from chromatic_descent import analysis, probe_logits, report
    found = analysis.analyse(probe_logits.from_arrays("logits.npy", "labels.npy"))
    report.chromatic_map(found)

`report.figures.figures` draws all that there are results for, `report.figures.save` writes one.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from chromatic_descent.report.colour import Colours, coloured, colours_of
    from chromatic_descent.report.configurations import differences, diversity_and_gain
    from chromatic_descent.report.evidence import (
        dimension,
        drivers,
        ensemble_curves,
        interventions,
        nulls,
        reliability,
        spectra,
    )
    from chromatic_descent.report.maps import (
        chromatic_map,
        distance_maps,
        heatmaps,
        inpca,
        mantel,
        neighbour_layouts,
        trajectories,
    )

__all__ = [
    "Colours",
    "chromatic_map",
    "coloured",
    "colours_of",
    "differences",
    "dimension",
    "distance_maps",
    "diversity_and_gain",
    "drivers",
    "ensemble_curves",
    "heatmaps",
    "inpca",
    "interventions",
    "mantel",
    "neighbour_layouts",
    "nulls",
    "reliability",
    "spectra",
    "trajectories",
]

_ROOMS = ("colour", "maps", "evidence", "configurations")


def __getattr__(name: str) -> Any:
    """Import what is asked for: matplotlib takes a second, and colours do without."""
    if name in __all__:
        for room in _ROOMS:
            module = import_module(f"{__name__}.{room}")
            if hasattr(module, name):
                return getattr(module, name)
    if name in ("figures", "summary"):
        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
