"""An analysis in the terminal: the chromatic map in true colour, and a table of main numbers."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.style import Style
from rich.table import Table
from rich.text import Text

from chromatic_descent.analysis import Analysis, computed
from chromatic_descent.report.names import words
from chromatic_descent.report.summary.function_space import map_table

WIDTH, HEIGHT = 44, 26  # pixels; a line of text holds two rows of them


def table(analysis: Analysis, study: str) -> Table:
    """The main numbers of a study's analysis."""
    members = analysis.members.table
    curves = analysis.ensembles.curves
    combiner = curves["combiner"].iloc[0]
    scores = curves.set_index(["combiner", "stage", "size", "metric"])["mean"].sort_index()
    score = scores[combiner, "raw", len(members)]
    accuracy = members["accuracy"]
    shown = Table(
        box=SIMPLE_HEAD,
        collapse_padding=True,
        pad_edge=False,
        title=f"{study}: {len(members)} members",
        caption=f"accuracy {accuracy.min():.4f} to {accuracy.max():.4f}, ensemble "
        f"{score['accuracy']:.4f} by {words(combiner)}, NLL {score['nll']:.3f}\n"
        "p: if members' errors were independent",
    )
    maps = map_table(analysis)
    for head in maps.head:
        name = head == "distance"
        shown.add_column(head.split(" (")[0], justify="left" if name else "right", no_wrap=name)
    for row in maps.rows:
        shown.add_row(*row)
    return shown


def chromatic_map(analysis: Analysis) -> Table | None:
    """The map that colours members, if there is one, for a console that `shows_colours`."""
    colours = analysis.colours
    view = analysis.maps.find(colours.distance)
    if not computed(view):
        return None
    legend = Text(no_wrap=True, overflow="ellipsis")
    lines = HEIGHT // 2
    rows = analysis.members.table[["member", "accuracy"]].itertuples(index=False)
    members = list(zip(colours.hex, rows, strict=True))
    shown = members if len(members) <= lines else members[: lines - 1]
    for colour, (member, accuracy) in shown:
        legend.append("■ ", Style(color=colour))
        legend.append(f"{member}  {accuracy:.4f}\n")
    if len(shown) < len(members):
        legend.append(f"  and {len(members) - len(shown)} more")
    grid = Table.grid(padding=(0, 2))
    grid.title = f"{colours.distance}, axes 1 and 2; accuracies"
    grid.add_row(half_block_map(view.coordinates[:, :2], colours.hex), legend)
    return grid


def half_block_map(
    positions: ArrayLike, colours: Sequence[str], *, width: int = WIDTH, height: int = HEIGHT
) -> Text:
    """Draw positions [S, 2] as pixels of S colours (`#rrggbb`), at one scale for both axes.

    A character is about twice as high as wide, so half of one is a square: `height`, which is even,
    makes half as many lines. Members that fall on the same pixel are moved to the nearest free one,
    so that each is seen. Consoles without true colour show the nearest colours they have.
    """
    pixels = _pixels(np.asarray(positions, dtype=np.float64), width, height)
    shown = dict(zip(pixels, colours, strict=False))  # members without a free pixel are not shown
    text = Text()
    for line in range(0, height, 2):
        for column in range(width):
            upper, lower = shown.get((line, column)), shown.get((line + 1, column))
            if upper is not None:
                text.append("▀", Style(color=upper, bgcolor=lower))
            else:
                text.append("▄" if lower else " ", Style(color=lower))
        text.append("\n")
    return text


def shows_colours(console: Console) -> bool:
    """Whether a console would show a map: a terminal with colours that are not switched off."""
    return console.is_terminal and console.color_system is not None and not console.no_color


def _pixels(positions: NDArray[np.float64], width: int, height: int) -> list[tuple[int, int]]:
    """A pixel (row, column) for each position, as long as there are free ones."""
    centred = positions - (positions.max(axis=0) + positions.min(axis=0)) / 2
    reach = np.abs(centred).max(axis=0) * 2 / np.array([width - 1, height - 1])
    scale = 1 / reach.max() if reach.max() > 0 else 0.0
    middle = np.array([width - 1, height - 1]) / 2
    exact = middle + scale * centred * [1, -1]  # y points upwards
    rows, columns = np.mgrid[:height, :width]
    free = np.ones((height, width), dtype=bool)
    pixels = []
    for x, y in exact[: free.size]:
        apart = np.where(free, (columns - x) ** 2 + (rows - y) ** 2, np.inf)
        row, column = divmod(int(apart.argmin()), width)
        free[row, column] = False
        pixels.append((row, column))
    return pixels
