"""Figures, summaries and pages of an analysis.

Each figure is a function of an analysis that returns a matplotlib `Figure`:

    from chromatic_descent import analysis, probe_logits, report
    result = analysis.analyse(probe_logits.from_arrays("logits.npy", "labels.npy"))
    report.chromatic_map(result)

`report.figures` lists them; `report.figures.files` saves all that an analysis has results for.
"""

from importlib import import_module
from typing import Any

from chromatic_descent.report.figures import FIGURES

__all__ = [name for names in FIGURES.values() for name in names]


def __getattr__(name: str) -> Any:
    """Import a figure, or a part of the report, when it is asked for: matplotlib takes a second."""
    for file, names in FIGURES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.figures.{file}"), name)
    if name in ("page", "summary", "verdicts"):
        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *(name for names in FIGURES.values() for name in names)})
