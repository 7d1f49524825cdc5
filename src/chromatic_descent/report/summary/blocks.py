"""What a section of the report says: paragraphs, lists and tables, whatever they are written in."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import pandas as pd

from chromatic_descent.analysis import Analysis, Each, NotComputed
from chromatic_descent.analysis.output import Run
from chromatic_descent.report.names import words

T = TypeVar("T")


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
    """A section of the report; the figures that name it stand in it too.

    Attributes:
        id: if `page/sections/` has a template of that name, the page shows it instead of `blocks`.
        heading: in the summary and on the page.
        short: in the page's contents; empty if the page does not show the section by itself.
        blocks: its content; None if the summary leaves it out.
        rank: of the section in the summary, where it differs from that on the page.
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


def records(
    frame: pd.DataFrame,
    texts: Sequence[str] = (),
    numbers: Sequence[str] = (),
    shorts: Sequence[str] = (),
) -> Table:
    """Columns of a data frame, written as they are, by `number` and by `short`."""
    shown = [*frame[list(texts)].map(str).to_numpy().T] if texts else []
    shown += [[number(value) for value in frame[name]] for name in numbers]
    shown += [[short(value) for value in frame[name]] for name in shorts]
    names = [*texts, *numbers, *shorts]
    return Table([words(name) for name in names], [list(row) for row in zip(*shown, strict=True)])


def by_distance(
    results: Each[T] | NotComputed,
    frame_of: Callable[[T], pd.DataFrame],
    texts: Sequence[str],
    shorts: Sequence[str],
) -> list[Block]:
    """One table of all distances, if there is a result for one."""
    computed = {} if isinstance(results, NotComputed) else results.computed()
    if not computed:
        return []
    frames = [frame_of(result).assign(distance=name) for name, result in computed.items()]
    return [records(pd.concat(frames), ("distance", *texts), shorts=shorts)]


def not_computed(
    results: Each[Any] | NotComputed | Mapping[str, str], kind: str = "distance"
) -> list[Block]:
    """A line on each result that was not computed, and why; or on the whole section."""
    if isinstance(results, NotComputed):
        return [f"Not computed: {results.reason}."]
    reasons = results.reasons() if isinstance(results, Each) else results
    lines = [f"{kind} {name}: {reason}" for name, reason in reasons.items()]
    return [Lines("Not computed:", lines)] if lines else []
