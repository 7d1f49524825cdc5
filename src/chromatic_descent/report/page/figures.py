"""The figures of the page: which a section shows, and what each is drawn from."""

import base64
import io
from collections.abc import Mapping
from typing import Any

from chromatic_descent.analysis import Analysis
from chromatic_descent.errors import UserError
from chromatic_descent.report.figures import kinds
from chromatic_descent.report.figures.kind import FigureKind, Interactive


def page_figures(analysis: Analysis, section: str) -> list[dict[str, Any]]:
    """The figures of a section that the analysis has results for, as the template takes them."""
    return [_described(kind, analysis) for kind in _of(section) if not kind.missing(analysis)]


def missing_figures(analysis: Analysis, section: str) -> list[str]:
    """Why the other figures of a section are missing; once if all are, for the same reason."""
    titles: dict[str, list[str]] = {}
    for kind in _of(section):
        if reason := kind.missing(analysis):
            titles.setdefault(reason, []).append(kind.title)
    return [
        reason if len(names) == len(_of(section)) else f"{' and '.join(names)}: {reason}"
        for reason, names in titles.items()
    ]


def figure_data(analysis: Analysis, distance: str | None = None) -> dict[str, object]:
    """By figure: what it is drawn from, under one distance or for figures without that choice."""
    data: dict[str, object] = {}
    for kind in kinds():
        page = kind.page
        if kind.missing(analysis):
            continue
        if isinstance(page, Interactive):
            if distance is None and page.data is not None:
                data[kind.name] = page.data(analysis)
            elif distance is not None and page.data_by_distance is not None:
                try:
                    data[kind.name] = page.data_by_distance(analysis, distance)
                except UserError as error:  # it was computed under other distances only
                    data[kind.name] = {"missing": str(error)}
        elif distance is None and callable(page):
            data[kind.name] = _escaped(page(analysis))
    return data


def _of(section: str) -> list[FigureKind]:
    return [k for k in kinds() if k.section == section and not isinstance(k.page, str)]


def _described(kind: FigureKind, analysis: Analysis) -> dict[str, Any]:
    """Panels, pairs of an id and of what draws it; or a picture, as a data URI."""
    page = kind.page
    interactive = page if isinstance(page, Interactive) else Interactive(())
    panels = [(drawing, drawing) for drawing in interactive.drawings]
    return {
        **{"name": kind.name, "title": kind.title, "csv": kind.csv, "size": interactive.size},
        "caption": kind.caption_of(analysis),
        "by_distance": interactive.data_by_distance is not None,
        "panels": [(kind.name, "plain")] if callable(page) else panels,
        "picture": _picture(kind, analysis) if page is None else "",
    }


def _picture(kind: FigureKind, analysis: Analysis) -> str:
    if kind.draw is None:
        raise ValueError(f"figure {kind.name} is drawn neither for files nor on the page")
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
