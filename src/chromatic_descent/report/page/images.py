"""The images that divide members, with the class that each member predicts."""

from collections.abc import Mapping, Sequence
from typing import Any

from chromatic_descent.analysis import Analysis, NotComputed
from chromatic_descent.report.page.pictures import Pictures

_SHOWN_AXES = 2


def main_distance(analysis: Analysis) -> str:
    """The distance that members are coloured by, or the first with a map if that one has none."""
    name, maps = analysis.colours.distance, analysis.maps.computed()
    return name if name in maps else next(iter(maps), name)


def shown_images(analysis: Analysis) -> list[int]:
    """The positions in the probe of all images that the page shows."""
    disputed = analysis.per_image.disputed
    shown = [] if isinstance(disputed, NotComputed) else list(disputed["image"])
    ends = analysis.per_image.axis_ends.get(main_distance(analysis))
    if ends is not None:
        shown += list(ends[ends["axis"] <= _SHOWN_AXES]["image"])
    return sorted({int(image) for image in shown})


def disputed_images(analysis: Analysis, pictures: Pictures) -> list[dict[str, Any]] | str:
    """The images on which most pairs of members disagree, or why there are none."""
    disputed = analysis.per_image.disputed
    if isinstance(disputed, NotComputed):
        return disputed.reason
    members = range(len(analysis.population.records))
    return [
        _card(analysis, pictures, row, members) | {"disagreement": row["disagreement"]}
        for row in disputed.to_dict("records")
    ]


def axis_ends(analysis: Analysis, pictures: Pictures) -> list[dict[str, Any]]:
    """By axis: the images that members at each end classify better than those at the other end.

    Members are listed from the − end to the + end.
    """
    distance = main_distance(analysis)
    view, ends = analysis.maps.find(distance), analysis.per_image.axis_ends.get(distance)
    if isinstance(view, NotComputed) or ends is None:
        return []
    axes = []
    for axis in sorted(set(ends[ends["axis"] <= _SHOWN_AXES]["axis"])):
        along = view.coordinates[:, axis - 1].argsort(kind="stable").tolist()
        of_axis = ends[ends["axis"] == axis]
        cards = {
            end: [
                _card(analysis, pictures, row, along)
                for row in of_axis[of_axis["end"] == end].to_dict("records")
            ]
            for end in ("+", "-")
        }
        axes.append({"axis": int(axis), "plus": cards["+"], "minus": cards["-"]})
    return axes


def _card(
    analysis: Analysis, pictures: Pictures, row: Mapping[Any, Any], members: Sequence[int]
) -> dict[str, Any]:
    """One image: its picture, its class, and members by predicted class, most frequent first."""
    classes = analysis.population.classes
    image, label = int(row["image"]), int(row["label"])
    predicted = analysis.per_image.predicted_for(image)  # [S]
    by_class: dict[int, list[int]] = {}
    for member in members:
        by_class.setdefault(int(predicted[member]), []).append(member)
    return {
        "picture": pictures.uris.get(image, ""),
        "index": int(row["index"]),
        "label": classes[label],
        "predictions": [
            {"name": classes[k], "right": k == label, "members": who}
            for k, who in sorted(by_class.items(), key=lambda pair: -len(pair[1]))
        ],
    }
