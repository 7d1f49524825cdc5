"""What a section of the report says: paragraphs, lists and tables, whatever they are written in."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from chromatic_descent.analysis import Analysis, NotComputed
from chromatic_descent.analysis.output import Run
from chromatic_descent.analysis.results import Each
from chromatic_descent.report.names import words

Cell = Callable[[Any], str]


@dataclass(frozen=True)
class Lines:
    """A line that introduces a list, and the list."""

    title: str
    lines: Sequence[str]


@dataclass(frozen=True)
class Table:
    """A table of texts."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]


Block = str | Lines | Table


@dataclass(frozen=True)
class Section:
    """A section of the report, with the figures that name it.

    Attributes:
        id: of the section; if `page/sections/` has a template of that name, the page uses it.
        heading: in the summary and on the page.
        short: in the page's contents; empty if the page does not show the section by itself.
        blocks: what it says; None if the summary leaves it out.
        rank: of the section in the summary, where it differs from its place on the page.
    """

    id: str
    heading: str
    short: str = ""
    blocks: Callable[[Analysis, Run], list[Block]] | None = None
    rank: int = 0


def number(value: float, digits: int = 4) -> str:
    """A number with so many decimals; a dash if there is none."""
    return f"{value:.{digits}f}" if math.isfinite(value) else "–"


def short(value: float) -> str:
    """A number to three digits; a dash if there is none."""
    return f"{value:.3g}" if math.isfinite(value) else "–"


def columns(names: Iterable[str], cell: Cell) -> dict[str, Cell]:
    """Columns that are written alike."""
    return dict.fromkeys(names, cell)


def records(rows: pd.DataFrame | Sequence[Mapping[Any, Any]], cells: Mapping[str, Cell]) -> Table:
    """A table of some columns of some rows."""
    listed = rows.to_dict("records") if isinstance(rows, pd.DataFrame) else rows
    return Table(
        [words(name) for name in cells],
        [[cell(row[name]) for name, cell in cells.items()] for row in listed],
    )


def by_distance(frames: Mapping[str, pd.DataFrame], cells: Mapping[str, Cell]) -> list[Block]:
    """One table of several distances' tables, if there are any."""
    rows = [
        {"distance": name, **{str(key): value for key, value in row.items()}}
        for name, frame in frames.items()
        for row in frame.to_dict("records")
    ]
    return [records(rows, {"distance": str, **cells})] if rows else []


def not_computed(result: Each[Any] | NotComputed | Mapping[str, str], kind: str) -> list[Block]:
    """A line on each result that was not computed, and why; or on the whole section."""
    if isinstance(result, NotComputed):
        return [f"Not computed: {result.reason}."]
    reasons = result.reasons() if isinstance(result, Each) else result
    lines = [f"{kind} {name}: {reason}" for name, reason in reasons.items()]
    return [Lines("Not computed:", lines)] if lines else []
