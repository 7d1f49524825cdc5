"""What figures share: style, colours, panels, names."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from chromatic_descent.analysis import Analysis
from chromatic_descent.analysis.results import computed

STYLE = str(Path(__file__).with_name("chromatic.mplstyle"))
BLUE, GREY, RED = "#4477aa", "#bbbbbb", "#aa3377"
NOTHING = {"not_computed": "not asked for"}
_PANEL = 2.6  # inches
_FEW = 60  # members that can be told apart by their labels
_LABELS = {
    "logit_mse": "logit MSE",
    "logit_mse_centred": "logit MSE, centred",
    "logit_mse_matched": "logit MSE, centred,\ntemperature-matched",
    "hellinger": "Hellinger",
}


def row_of_panels(count: int, wide: bool = False) -> tuple[Figure, list[Axes]]:
    """A row of up to two panels, as many rows as it takes."""
    columns = min(count, 2)
    rows = -(-count // columns)
    figure = Figure(figsize=(_PANEL * (1.4 if wide else 1) * columns + 0.8, _PANEL * rows))
    grid = figure.subplots(rows, columns, squeeze=False)
    axes = list(grid.ravel())
    for unused in axes[count:]:
        unused.remove()
    return figure, axes[:count]


def views_of(analysis: Analysis) -> dict[str, Any]:
    """The maps that were computed, by distance."""
    return present(analysis.results["maps"])


def tested_nulls(analysis: Analysis) -> dict[str, dict[str, Any]]:
    """The null tests that were computed, by distance and null."""
    ladders = present(analysis.results["nulls"])
    tested = {name: present(ladder) for name, ladder in ladders.items()}
    return {name: tests for name, tests in tested.items() if tests}


def present(results: Mapping[str, Any]) -> dict[str, Any]:
    """The parts of a section that were computed."""
    if not computed(results):
        return {}
    return {name: found for name, found in results.items() if computed(found)}


def accuracies(analysis: Analysis) -> NDArray[np.float64]:
    """Each member's accuracy on the probe [S]."""
    accuracy: NDArray[np.float64] = analysis.results["members"]["table"]["accuracy"].to_numpy()
    return accuracy


def member_names(analysis: Analysis) -> list[str]:
    """What tells members apart: their seeds, or their numbers where seeds repeat."""
    seeds = analysis.population.seeds
    return [str(s) for s in (seeds if len(set(seeds)) == len(seeds) else range(len(seeds)))]


def title_of(name: str) -> str:
    """A distance's name, spelt out."""
    return _LABELS.get(name, name.replace("_", " "))


def label_members(axis: Axes, xy: NDArray[np.float64], analysis: Analysis) -> None:
    """Write each member\'s name beside its place, if they are few enough to be read."""
    if len(xy) <= _FEW:
        for place, name in zip(xy, member_names(analysis), strict=True):
            axis.annotate(name, place, xytext=(3.5, 3.5), textcoords="offset points", size=6)
