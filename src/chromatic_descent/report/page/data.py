"""The figures of the page, and their data as one JSON object, rounded to five digits."""

import html
import io
from collections.abc import Mapping
from typing import Any

import numpy as np

from chromatic_descent.analysis import Analysis
from chromatic_descent.analysis.configurations import group_members
from chromatic_descent.errors import UserError
from chromatic_descent.geometry import title_of
from chromatic_descent.report.figures import kinds
from chromatic_descent.report.figures.kind import FigureKind, Interactive
from chromatic_descent.report.names import member_labels
from chromatic_descent.report.page import words
from chromatic_descent.report.page.images import png_uri

_DIGITS = 5
_SYMBOLS = {  # Plotly's names of matplotlib's markers
    **{"o": "circle", "s": "square", "D": "diamond", "^": "triangle-up", "v": "triangle-down"},
    **{"P": "cross", "X": "x", "*": "star"},
}


def page_figures(analysis: Analysis, section: str) -> list[dict[str, Any]]:
    """The figures of a section that the analysis has results for, as the template takes them."""
    return [_described(k, analysis) for k in _kinds_of(section) if not k.missing(analysis)]


def missing_figures(analysis: Analysis, section: str) -> list[str]:
    """Why the other figures of a section are missing; once if all are, for the same reason."""
    kinds, titles = _kinds_of(section), dict[str, list[str]]()
    for kind in kinds:
        if reason := kind.missing(analysis):
            titles.setdefault(reason, []).append(kind.title)
    return [
        reason if len(names) == len(kinds) else f"{' and '.join(names)}: {reason}"
        for reason, names in titles.items()
    ]


def _kinds_of(section: str) -> list[FigureKind]:
    return [k for k in kinds() if k.section == section and not isinstance(k.page, str)]


def _described(kind: FigureKind, analysis: Analysis) -> dict[str, Any]:
    """A figure for the template: panels as (id, drawing), or a picture as a data URI."""
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
    kind.draw(analysis).savefig(buffer := io.BytesIO(), format="png", dpi=200)
    return png_uri(buffer)


def page_data(analysis: Analysis, distance: str) -> dict[str, Any]:
    """Everything that the scripts draw, of which `distance` is shown first."""
    population, colours, table = analysis.population, analysis.colours, analysis.members.table
    data = {
        "members": {
            "name": population.names,
            "label": member_labels(analysis),
            "tag": member_labels(analysis, beside_markers=True),
            "accuracy": table["accuracy"].to_numpy(),
            "temperature": table["temperature"].to_numpy(),
            "recipe": words.recipes(population),
            "hex": colours.hex,
            "safe": colours.safe,
            "symbol": [_SYMBOLS.get(marker, "circle") for marker in colours.markers],
        },
        "several_configurations": len(group_members(population)) > 1,
        "classes": population.classes,
        "distance": distance,
        "distances": {
            name: {"title": title_of(name), **_figure_data(analysis, name)}
            for name in analysis.maps.computed()
        },
        "figures": _figure_data(analysis),
    }
    return {key: rounded(value) for key, value in data.items()}


def _figure_data(analysis: Analysis, distance: str | None = None) -> dict[str, object]:
    """The data of each figure: under one distance, or of figures without that choice."""
    data: dict[str, object] = {}
    for kind in kinds():
        page = kind.page
        if kind.missing(analysis):
            continue
        if isinstance(page, Interactive):
            if distance is None and page.data:
                data[kind.name] = page.data(analysis)
            elif distance is not None and page.data_by_distance:
                try:
                    data[kind.name] = page.data_by_distance(analysis, distance)
                except UserError as error:  # it was computed under other distances only
                    data[kind.name] = {"missing": str(error)}
        elif distance is None and callable(page):
            data[kind.name] = _escaped(page(analysis))
    return data


def rounded(value: Any) -> Any:
    """Plain data of five digits: arrays as lists, values that are not finite as None."""
    if isinstance(value, Mapping):
        return {str(key): rounded(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(inner) for inner in value]
    if isinstance(value, np.ndarray | np.generic):
        return rounded(value.tolist())
    if isinstance(value, float):
        return float(f"{value:.{_DIGITS}g}") if np.isfinite(value) else None
    return value


def _escaped(value: Any) -> Any:
    """Plain data whose texts Plotly cannot take for markup."""
    if isinstance(value, Mapping):
        return {key: _escaped(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_escaped(inner) for inner in value]
    return html.escape(value, quote=False) if isinstance(value, str) else value
