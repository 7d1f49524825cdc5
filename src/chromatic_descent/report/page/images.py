"""The images that divide members, with what each member answers."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from chromatic_descent.analysis import Analysis
from chromatic_descent.analysis.results import computed
from chromatic_descent.report.colour import colours_of
from chromatic_descent.report.page.pictures import Pictures
from chromatic_descent.report.panels import present

_SHOWN_AXES = 2


def main_distance(analysis: Analysis) -> str:
    """The distance that the colours are of if it has a map, else the first that has one."""
    name = colours_of(analysis).distance
    maps = present(analysis.results["maps"])
    return name if name in maps else next(iter(maps), name)


def places(analysis: Analysis) -> list[int]:
    """The places in the probe of all images that the page shows."""
    found, distance = analysis.results["answers"], main_distance(analysis)
    shown = list(found["disputed"]["image"]) if computed(found["disputed"]) else []
    ends = found["axis_ends"].get(distance)
    if ends is not None:
        shown += list(ends[ends["axis"] <= _SHOWN_AXES]["image"])
    return sorted({int(place) for place in shown})


def disputed(analysis: Analysis, pictures: Pictures) -> list[dict[str, Any]] | str:
    """The images on which most pairs of members differ, or why there are none."""
    found = analysis.results["answers"]["disputed"]
    if not computed(found):
        return str(found["not_computed"])
    members = range(len(analysis.population.records))
    return [
        _card(analysis, pictures, row, members) | {"disagreement": row["disagreement"]}
        for row in found.to_dict("records")
    ]


def axis_ends(analysis: Analysis, distance: str, pictures: Pictures) -> list[dict[str, Any]]:
    """By axis: the images that the members at each end answer better than those at the other.

    Members are listed from the − end to the + end.
    """
    found = analysis.results["answers"]["axis_ends"].get(distance)
    if found is None:
        return []
    coordinates = analysis.results["maps"][distance]["coordinates"]
    axes = []
    for axis in sorted(set(found[found["axis"] <= _SHOWN_AXES]["axis"])):
        along = np.argsort(coordinates[:, axis - 1], kind="stable").tolist()
        of_axis = found[found["axis"] == axis]
        ends = {
            end: [
                _card(analysis, pictures, row, along)
                for row in of_axis[of_axis["end"] == end].to_dict("records")
            ]
            for end in ("+", "-")
        }
        axes.append({"axis": int(axis), "plus": ends["+"], "minus": ends["-"]})
    return axes


def _card(
    analysis: Analysis, pictures: Pictures, row: Mapping[Any, Any], order: Any
) -> dict[str, Any]:
    """One image: its picture, label, and the members by their answer, most frequent first."""
    population = analysis.population
    place, label = int(row["image"]), int(row["label"])
    logits = population.logits[:, place]  # [S, C]
    chosen = logits.argmax(axis=-1)
    by_answer: dict[int, list[int]] = {}
    for member in order:
        by_answer.setdefault(int(chosen[member]), []).append(member)
    return {
        "picture": pictures.uris.get(place, ""),
        "index": int(row["index"]),
        "label": population.classes[label],
        "answers": [
            {"name": population.classes[answer], "right": answer == label, "members": who}
            for answer, who in sorted(by_answer.items(), key=lambda pair: -len(pair[1]))
        ],
    }
