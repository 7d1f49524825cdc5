"""Sections of the report, and what they consist of: paragraphs, lists and tables."""

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
        heading: in the summary, on the page and in its navigation.
        blocks: its content; None if the summary leaves it out.
        rank: of the section in the summary, where it differs from that on the page.
        on_the_page: whether it is a section there; False if another section's template shows it.
    """

    id: str
    heading: str
    blocks: Callable[[Analysis, Run], list[Block]] | None = None
    rank: int = 0
    on_the_page: bool = True


def number(value: float, digits: int = 4) -> str:
    """A number with this many decimals; a dash if it is not finite."""
    return f"{value:.{digits}f}" if math.isfinite(value) else "–"


def short(value: float) -> str:
    """A number to three digits; a dash if it is not finite."""
    return f"{value:.3g}" if math.isfinite(value) else "–"


def records(
    frame: pd.DataFrame,
    texts: Sequence[str],
    numbers: Sequence[str] = (),
    shorts: Sequence[str] = (),
) -> Table:
    """Columns of a data frame, written as they are, by `number` and by `short`."""
    columns = [map(str, frame[name]) for name in texts]
    columns += [map(number, frame[name]) for name in numbers]
    columns += [map(short, frame[name]) for name in shorts]
    head = [words(name) for name in (*texts, *numbers, *shorts)]
    return Table(head, list(zip(*columns, strict=True)))


def by_distance(
    results: Each[T] | NotComputed,
    frame_of: Callable[[T], pd.DataFrame],
    texts: Sequence[str],
    shorts: Sequence[str],
) -> list[Block]:
    """One table of all distances, if there is a result for one."""
    computed = {} if isinstance(results, NotComputed) else results.computed()
    frames = [frame_of(result).assign(distance=name) for name, result in computed.items()]
    return [records(pd.concat(frames), ("distance", *texts), shorts=shorts)] if frames else []


def not_computed(
    results: Each[Any] | NotComputed | Mapping[str, str], kind: str = "distance"
) -> list[Block]:
    """Why results were not computed: a line for each, or one for the whole section."""
    if isinstance(results, NotComputed):
        return [f"Not computed: {results.reason}."]
    reasons = results.reasons() if isinstance(results, Each) else results
    lines = [f"{kind} {name}: {reason}" for name, reason in reasons.items()]
    return [Lines("Not computed:", lines)] if lines else []
