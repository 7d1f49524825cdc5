"""Kinds of figures: name, section, caption, the results that they need, and how to draw them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from chromatic_descent.analysis import Analysis, NotComputed
from chromatic_descent.errors import UserError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

T = TypeVar("T")


@dataclass(frozen=True)
class Interactive:
    """A figure that the browser draws, by functions in `page/script/`.

    Attributes:
        drawings: one for each panel; `curve-nll` is part `nll` of the drawing `curve`.
        data: the results to draw, as plain data.
        data_by_distance: the same under one distance, for a figure with a choice of distance.
        size: a class of `page/style.css`.
    """

    drawings: tuple[str, ...]
    data: Callable[[Analysis], object] | None = None
    data_by_distance: Callable[[Analysis, str], object] | None = None
    size: str = ""


Plotly = Callable[[Analysis], Mapping[str, object]]
"""Plotly's `data` and `layout`, as plain data, for the page to draw as they are."""


@dataclass(frozen=True)
class FigureKind:
    """Everything about one figure.

    Attributes:
        name: of its files, and of its block on the page.
        section: the id of the section of the report that shows it.
        title: the text for readers who cannot see it.
        caption: how to read it, and what it does not show.
        needs: the results that it shows; if none was computed, it is left out.
        draw: the figure for files; None if only the page has it.
        page: its counterpart on the page: drawings, Plotly's data, or the name of another figure
            that shows it too; None to show the figure for files there.
        csv: the files beside the page that hold its numbers.
        folder: where its files go.
    """

    name: str
    section: str
    title: str
    caption: str | Callable[[Analysis], str]
    needs: Callable[[Analysis], object]
    draw: "Callable[[Analysis], Figure] | None" = None
    page: Interactive | Plotly | str | None = None
    csv: tuple[str, ...] = ()
    folder: Literal["embeddings", "reports"] = "reports"

    def missing(self, analysis: Analysis) -> str:
        """Why the figure cannot be drawn, or an empty string."""
        return why_not(self.needs(analysis))

    def caption_of(self, analysis: Analysis) -> str:
        """The caption of this analysis' figure."""
        return self.caption if isinstance(self.caption, str) else self.caption(analysis)


def needed(result: T | NotComputed) -> T:
    """The result; raises UserError, with the reason, if it was not computed."""
    if isinstance(result, NotComputed):
        raise UserError(result.reason)
    return result


def why_not(result: Any) -> str:
    """Why a result, or every part of it, was not computed; an empty string if one was."""
    if isinstance(result, NotComputed):
        return result.reason
    if not isinstance(result, Mapping):
        return ""
    if not result:
        return "one member has no distances"
    reasons = [why_not(part) for part in result.values()]
    return reasons[0] if all(reasons) else ""
