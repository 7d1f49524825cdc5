"""What the scripts of the page draw from, as one JSON object.

Numbers are rounded to five digits: a picture cannot show more.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from chromatic_descent.analysis import Analysis
from chromatic_descent.analysis.configurations import group_members
from chromatic_descent.geometry import title_of
from chromatic_descent.report.figures.inpca import layout_for_page
from chromatic_descent.report.names import member_labels
from chromatic_descent.report.page import words
from chromatic_descent.report.page.figures import figure_data

_DIGITS = 5
_SYMBOLS = {  # Plotly's names of matplotlib's markers
    **{"o": "circle", "s": "square", "D": "diamond", "^": "triangle-up", "v": "triangle-down"},
    **{"P": "cross", "X": "x", "*": "star"},
}


def page_data(analysis: Analysis, distance: str) -> dict[str, Any]:
    """Everything that the scripts draw, of which `distance` is shown first."""
    population, colours = analysis.population, analysis.colours
    table = analysis.members.table
    data: dict[str, Any] = rounded(
        {
            "members": {
                "name": population.names,
                "label": member_labels(analysis),
                "tag": member_labels(analysis, beside_markers=True),
                "accuracy": list(table["accuracy"]),
                "temperature": list(table["temperature"]),
                "recipe": words.recipes(population),
                "hex": colours.hex,
                "safe": colours.safe,
                "symbol": [_SYMBOLS.get(marker, "circle") for marker in colours.markers],
            },
            "several_configurations": len(group_members(population)) > 1,
            "classes": population.classes,
            "distance": distance,
            "distances": {
                name: {
                    "title": title_of(name),
                    **figure_data(analysis, name),
                }
                for name in analysis.maps.computed()
            },
            "inpca": layout_for_page(analysis),
            "figures": figure_data(analysis),
        }
    )
    return data


def rounded(value: Any) -> Any:
    """Plain data of five digits: arrays as lists, values that are not finite as None."""
    if isinstance(value, Mapping):
        return {str(key): rounded(inner) for key, inner in value.items()}
    if isinstance(value, np.ndarray):
        return rounded(value.tolist())
    if isinstance(value, (list, tuple)):
        return [rounded(inner) for inner in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return float(f"{value:.{_DIGITS}g}") if np.isfinite(value) else None
    return value
