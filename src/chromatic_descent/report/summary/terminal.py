"""The chromatic map in a terminal: half a character cell is a pixel, in true colour."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from rich.console import Console
from rich.style import Style
from rich.table import Table
from rich.text import Text

from chromatic_descent.analysis.results import computed

WIDTH, HEIGHT = 44, 26  # pixels; a line of text holds two rows of them
_UPPER, _LOWER = "▀", "▄"


def chromatic_map(numbers: Mapping[str, Any]) -> Table | None:
    """The map that gives members their colours, beside their names and accuracies.

    Args:
        numbers: what is in `analysis.json`.

    Returns:
        Something to print on a console that `shows_colours`; None where there is no map.
    """
    colours = numbers["colours"]
    view = numbers["maps"].get(colours["distance"], {"not_computed": "not among maps"})
    if not computed(view):
        return None
    places = [(row["x"], row["y"]) for row in view["layouts"] if row["layout"] == "mds"]
    shades = [row["hex"] for row in colours["table"]]
    told = Text(no_wrap=True, overflow="ellipsis")
    lines = HEIGHT // 2
    members = list(zip(shades, numbers["members"]["table"], strict=True))
    shown = members if len(members) <= lines else members[: lines - 1]
    for shade, member in shown:
        told.append("■ ", Style(color=shade))
        told.append(f"{member['member']}  {member['accuracy']:.4f}\n")
    if len(shown) < len(members):
        told.append(f"  and {len(members) - len(shown)} more")
    grid = Table.grid(padding=(0, 2))
    grid.title = f"{colours['distance']}, axes 1 and 2; accuracies"
    grid.add_row(half_block_map(places, shades), told)
    return grid


def half_block_map(
    places: ArrayLike, colours: Sequence[str], *, width: int = WIDTH, height: int = HEIGHT
) -> Text:
    """Draw members as coloured pixels, two to a character, at one scale for both axes.

    A character is about twice as high as wide, so half of one is a square. Members that fall on
    one pixel are moved to the nearest free one: each is seen.

    Args:
        places: [S, 2] of a layout.
        colours: S of them, `#rrggbb`.
        width: pixels, and characters, a line.
        height: pixels; even.

    Returns:
        height / 2 lines of text. Consoles without true colour show the nearest that they have.
    """
    pixels = _pixels(np.asarray(places, dtype=np.float64), width, height)
    shown = dict(zip(pixels, colours, strict=False))  # those without a free pixel are not
    text = Text()
    for line in range(0, height, 2):
        for column in range(width):
            upper, lower = shown.get((line, column)), shown.get((line + 1, column))
            if upper is not None:
                text.append(_UPPER, Style(color=upper, bgcolor=lower))
            else:
                text.append(_LOWER if lower else " ", Style(color=lower))
        text.append("\n")
    return text


def shows_colours(console: Console) -> bool:
    """Whether a map would be seen: a terminal, that has colours, on which they are wanted."""
    return console.is_terminal and console.color_system is not None and not console.no_color


def _pixels(places: NDArray[np.float64], width: int, height: int) -> list[tuple[int, int]]:
    """A pixel (row, column) for each place, as long as there are free ones."""
    centred = places - (places.max(axis=0) + places.min(axis=0)) / 2
    reach = np.abs(centred).max(axis=0) * 2 / np.array([width - 1, height - 1])
    scale = 1 / reach.max() if reach.max() > 0 else 0.0
    middle = np.array([width - 1, height - 1]) / 2
    wanted = middle + scale * centred * [1, -1]  # y points upwards
    rows, columns = np.mgrid[:height, :width]
    free = np.ones((height, width), dtype=bool)
    found = []
    for x, y in wanted[: free.size]:
        apart = np.where(free, (columns - x) ** 2 + (rows - y) ** 2, np.inf)
        row, column = divmod(int(apart.argmin()), width)
        free[row, column] = False
        found.append((row, column))
    return found
