"""The report as one HTML file: no network, nothing beside it needed."""

import json
import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd

from chromatic_descent.analysis import Analysis
from chromatic_descent.analysis.results import computed, leaves
from chromatic_descent.report.colour import Colours, colours_of
from chromatic_descent.report.page import images, words
from chromatic_descent.report.page.data import figure_data
from chromatic_descent.report.page.pictures import Pictures
from chromatic_descent.report.panels import SIGNS, member_names, title_of
from chromatic_descent.report.verdicts import RULES, nothing_shown, verdicts

Numbers = Mapping[str, Any]
_HERE = Path(__file__).parent
_COLOUR = re.compile(r"#[0-9a-f]{6}", re.IGNORECASE)
_SCRIPTS = ("shared", "maps", "evidence", "worth", "controls")  # in this order
_FEW = 40  # members that are shown one by one beside an image


def render(
    numbers: Numbers,
    analysis: Analysis,
    pictures: Pictures,
    commands: Sequence[str] = (),
) -> str:
    """The page of an analysis.

    Args:
        numbers: what is in `analysis.json`.
        analysis: what it was made from: arrays, the members' configs and colours.
        pictures: of the probe images that `images.places` names.
        commands: those that trained the members.

    Returns:
        HTML in which all that comes from the study is text.
    """
    population = analysis.population
    common, varying = words.configs(population)
    colours = colours_of(analysis)
    answers = verdicts(numbers, images.main_distance(analysis))
    distance = images.main_distance(analysis)
    data = figure_data(numbers, analysis, distance, words.recipes(population))
    context = {
        "numbers": numbers,
        "analysis": analysis.results,
        "members": members_table(numbers, words.factors(varying)),
        "sentence": words.sentence(numbers, population),
        "verdicts": answers,
        "nothing": nothing_shown(answers),
        "rules": RULES,
        "colours": colours,
        "along": _along(analysis, distance),
        "distances": {name: view["title"] for name, view in data["distances"].items()},
        "distance_title": title_of(distance).replace("\n", " "),
        "colours_title": title_of(colours.distance).replace("\n", " "),
        "disputed": images.disputed(analysis, pictures),
        "axis_ends": images.axis_ends(analysis, distance, pictures),
        "pictures": pictures,
        "names": population.names,
        "shaped": data["shaped"],
        "shapes": {SIGNS[m]: told for m, told in colours.shapes.items() if m in colours.markers},
        "labels": member_names(analysis),
        "few": len(population.names) <= _FEW,
        "config": {key: words.as_text(value) for key, value in common.items()}
        | {key: " | ".join(dict.fromkeys(map(words.as_text, v))) for key, v in varying.items()},
        "commands": [*commands, numbers["command"]],
        "files": files(analysis),
        "data": _in_script(data),
        "style": _read("style.css") + _member_colours(colours),
        "script": "\n".join(_read(f"script/{name}.js") for name in _SCRIPTS),
        "plotly": _plotly(),
        "why": why,
    }
    return str(_template().render(context))


def members_table(numbers: Numbers, varying: Mapping[str, Sequence[Any]]) -> dict[str, Any]:
    """The columns and rows of the members' table: scores, then what varies in the config."""
    scores = {"accuracy": "accuracy", "nll": "NLL", "brier": "Brier", "ece": "ECE"}
    scores |= {name: name for name in ("temperature", "confidence", "entropy")}
    rows = numbers["members"]["table"]
    return {
        "columns": ["member", "seed", *scores.values(), *varying],
        "rows": [
            [row["member"], row["seed"], *(row[score] for score in scores)]
            + [words.as_text(values[place]) for values in varying.values()]
            for place, row in enumerate(rows)
        ],
    }


def files(analysis: Analysis) -> list[str]:
    """The CSV files beside the page, one per table."""
    tables = leaves(analysis.results, pd.DataFrame)
    return sorted(f"{path.replace('/', '-')}.csv" for path, _ in tables)


def why(found: Any) -> str:
    """Why a section, or every entry of it, was not computed; "" if one was."""
    if not isinstance(found, Mapping):
        return ""
    if not computed(found):
        return str(found["not_computed"])
    if not found:
        return "one member has no distances"
    reasons = [why(part) for part in found.values()]
    return reasons[0] if all(reasons) else ""


def _along(analysis: Analysis, distance: str) -> list[int]:
    """Members by their place on the first axis."""
    view = analysis.results["maps"].get(distance)
    if view is None or not computed(view):
        return list(range(len(analysis.population.names)))
    return [int(member) for member in view["coordinates"][:, 0].argsort()]


def _member_colours(colours: Colours) -> str:
    """A rule per member: its colour, and the safe one where that is asked for."""
    for colour in (*colours.hex, *colours.safe):
        if not _COLOUR.fullmatch(colour):
            raise ValueError(f"{colour!r} is no colour #rrggbb")
    return f":root{{--members:{len(colours.hex)}}}" + "".join(
        f".m{member}{{--m:{own}}}.safe .m{member}{{--m:{safe}}}"
        for member, (own, safe) in enumerate(zip(colours.hex, colours.safe, strict=True))
    )


def _in_script(data: Any) -> str:
    """JSON that cannot end the script element it is in."""
    text = json.dumps(data, allow_nan=False, separators=(",", ":"), ensure_ascii=True)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


@cache
def _template() -> Any:
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"num": number, "words": lambda name: str(name).replace("_", " ")}
    return environment.from_string(_read("template.html"))


def number(value: Any, digits: int = 4) -> str:
    """A number to some digits, a dash for None, anything else as text."""
    if value is None:
        return "–"
    if isinstance(value, bool) or not isinstance(value, float):
        return str(value)
    if value == 0:
        return "0"
    form = "g" if abs(value) < 1e-3 or abs(value) >= 1e4 else "f"
    return f"{value:.{digits}{form}}".replace("-", "−")


def _read(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")


def _plotly() -> str:
    """Plotly's own script, whole: partial bundles of it are in no package."""
    from plotly.offline import get_plotlyjs

    return str(get_plotlyjs()).replace("</script", "<\\/script")
