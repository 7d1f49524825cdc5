"""What figures share: style, colours, panels, names."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray

from chromatic_descent.analysis import Analysis
from chromatic_descent.analysis.results import computed
from chromatic_descent.report.colour import MARKERS, colours_of

STYLE = str(Path(__file__).with_name("chromatic.mplstyle"))
BLUE, GREY, RED = "#4477aa", "#bbbbbb", "#aa3377"
NOTHING = {"not_computed": "not asked for"}
COLUMN = 3.4  # inches, of a paper with two columns; so is every length here
FEW = 60  # members that can be told apart by their labels
SIGNS = dict(zip(MARKERS, "●■◆▲▼✚★✖", strict=True))  # shapes within a text
_LABELS = {
    "logit_mse": "logit MSE",
    "logit_mse_centred": "logit MSE, centred",
    "logit_mse_matched": "logit MSE, centred,\ntemperature-matched",
    "hellinger": "Hellinger",
}


def row_of_panels(count: int, height: float = 2.7) -> tuple[Figure, list[Axes]]:
    """Panels as wide as a column, two in a row, and as many rows of this height as it takes."""
    columns = min(count, 2)
    rows = -(-count // columns)
    figure = Figure(figsize=(COLUMN * columns, height * rows))
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


def member_names(analysis: Analysis, *, beside_shapes: bool = False) -> list[str]:
    """What tells members apart: seeds, with their shapes if these are needed and not drawn.

    Numbers where that is not enough.
    """
    seeds, shapes = analysis.population.seeds, colours_of(analysis).markers
    if len(set(seeds)) == len(seeds):
        return [str(seed) for seed in seeds]
    if len(set(zip(seeds, shapes, strict=True))) < len(seeds):
        return [str(number) for number in range(len(seeds))]
    signs = dict.fromkeys(shapes, "") if beside_shapes else SIGNS
    return [f"{seed}{signs[shape]}" for seed, shape in zip(seeds, shapes, strict=True)]


def title_of(name: str) -> str:
    """A distance's name, spelt out."""
    return _LABELS.get(name, name.replace("_", " "))


def draw_members(
    axis: Axes, xy: NDArray[np.float64], analysis: Analysis, *, safe: bool = False
) -> None:
    """A dot for each member at its place [S, 2], in its colour and shape, with its name if few."""
    colours = colours_of(analysis)
    filled = colours.safe if safe else colours.hex
    few = len(xy) <= FEW
    for shape in sorted(set(colours.markers)):
        who = [k for k, marker in enumerate(colours.markers) if marker == shape]
        axis.scatter(
            xy[who, 0],
            xy[who, 1],
            s=36 if few else 14,
            marker=shape,
            c=[filled[k] for k in who],
            edgecolors="#333333",
            linewidths=0.4,
            zorder=2,
        )
    if few:
        halo = [withStroke(linewidth=1.5, foreground="white", alpha=0.8)]
        offsets = 6.5 * _away_from_neighbours(xy)  # points
        names = member_names(analysis, beside_shapes=True)
        for name, place, offset in zip(names, xy, offsets, strict=True):
            axis.annotate(
                *(name, place),
                xytext=offset,
                textcoords="offset points",
                ha="center",
                va="center",
                size=5.5,
                path_effects=halo,
                zorder=3,
            )


def shape_legend(figure: Figure, analysis: Analysis) -> None:
    """Say below the panels, in room of its own, what each shape stands for."""
    colours = colours_of(analysis)
    used = {shape: name for shape, name in colours.shapes.items() if shape in colours.markers}
    handles = [
        Line2D([], [], marker=shape, ls="", mfc="white", mec="#333333", mew=0.6, ms=5, label=name)
        for shape, name in used.items()
    ]
    columns = min(4, max(1, 120 // (max(map(len, used.values())) + 6)))  # as many as fit
    figure.legend(handles=handles, loc="outside lower center", ncols=columns)
    figure.set_figheight(figure.get_figheight() + 0.16 * -(-len(used) // columns))


def _away_from_neighbours(xy: NDArray[np.float64]) -> NDArray[np.float64]:
    """A direction for each place [S, 2] that leads away from the places near it."""
    gaps = (xy[:, None] - xy) / (np.ptp(xy, axis=0).max() or 1.0)  # [S, S, 2]
    nearness = 1 / (np.linalg.norm(gaps, axis=-1, keepdims=True) ** 3 + 1e-6)
    ways = (gaps * nearness).sum(axis=1)
    lengths = np.linalg.norm(ways, axis=1, keepdims=True)
    ways = np.where(lengths > 1e-9, ways / np.maximum(lengths, 1e-9), [0.7, 0.7])
    directions: NDArray[np.float64] = ways
    return directions
