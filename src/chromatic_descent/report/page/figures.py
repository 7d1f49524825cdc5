"""The figures of the page: what stands where, and what each is drawn from."""

import base64
import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from chromatic_descent.analysis import Analysis
from chromatic_descent.report.figures import kinds
from chromatic_descent.report.figures.kind import FigureKind, Interactive, ShownBy


@dataclass(frozen=True)
class Panel:
    """What draws one panel: a drawing of `script/`, of data by the name of the figure."""

    id: str
    drawing: str


@dataclass(frozen=True)
class PageFigure:
    """A figure as the template writes it: panels that the browser fills, or a picture."""

    name: str
    title: str
    caption: str
    csv: tuple[str, ...]
    size: str
    by_distance: bool
    panels: tuple[Panel, ...]
    picture: str = ""


def page_figures(analysis: Analysis, section: str) -> list[PageFigure]:
    """The figures of a section that the analysis has results for."""
    return [_page_figure(kind, analysis) for kind in _of(section) if not kind.missing(analysis)]


def missing_figures(analysis: Analysis, section: str) -> list[str]:
    """Why the other figures of a section are missing; once if all are, for the same reason."""
    listed = _of(section)
    titles: dict[str, list[str]] = {}
    for kind in listed:
        if reason := kind.missing(analysis):
            titles.setdefault(reason, []).append(kind.title)
    return [
        reason if len(names) == len(listed) else f"{' and '.join(names)}: {reason}"
        for reason, names in titles.items()
    ]


def figure_data(analysis: Analysis) -> dict[str, object]:
    """By name of the figure: what it is drawn from, for figures without a choice of distance."""
    data: dict[str, object] = {}
    for kind in kinds():
        if kind.missing(analysis):
            continue
        if isinstance(kind.page, Interactive):
            if kind.page.data is not None:
                data[kind.name] = kind.page.data(analysis)
        elif callable(kind.page):
            data[kind.name] = _escaped(kind.page(analysis))
    return data


def figure_data_by_distance(analysis: Analysis, distance: str) -> dict[str, object]:
    """By name of the figure: what it is drawn from under one distance."""
    return {
        kind.name: kind.page.data_by_distance(analysis, distance)
        for kind in kinds()
        if isinstance(kind.page, Interactive) and kind.page.data_by_distance is not None
        if not kind.missing(analysis)
    }


def _of(section: str) -> list[FigureKind]:
    return [k for k in kinds() if k.section == section and not isinstance(k.page, ShownBy)]


def _page_figure(kind: FigureKind, analysis: Analysis) -> PageFigure:
    panels: tuple[Panel, ...] = ()
    size, by_distance, picture = "", False, ""
    if isinstance(kind.page, Interactive):
        size, by_distance = kind.page.size, kind.page.data_by_distance is not None
        panels = tuple(Panel(drawing, drawing) for drawing in kind.page.drawings)
    elif kind.page is not None:
        panels = (Panel(kind.name, "plain"),)
    else:
        picture = _picture(kind, analysis)
    caption = kind.caption_of(analysis)
    return PageFigure(kind.name, kind.title, caption, kind.csv, size, by_distance, panels, picture)


def _picture(kind: FigureKind, analysis: Analysis) -> str:
    """The figure for files, as a data URI."""
    assert kind.draw is not None, (
        f"figure {kind.name} can be drawn neither on the page nor in a file"
    )
    buffer = io.BytesIO()
    kind.draw(analysis).savefig(buffer, format="png", dpi=200)
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _escaped(value: Any) -> Any:
    """Plain data whose texts Plotly cannot take for markup."""
    if isinstance(value, Mapping):
        return {key: _escaped(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_escaped(inner) for inner in value]
    if isinstance(value, str):
        return value.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return value
