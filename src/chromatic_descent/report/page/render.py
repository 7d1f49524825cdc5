"""The report as one HTML file: no network, nothing beside it needed."""

import json
import math
import re
from collections.abc import Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

import pandas as pd

from chromatic_descent.analysis import Analysis, NotComputed
from chromatic_descent.analysis.colours import Colours
from chromatic_descent.analysis.output import Run, csv_name
from chromatic_descent.analysis.storage import leaves
from chromatic_descent.geometry import title_of
from chromatic_descent.report.figures.kind import why_not
from chromatic_descent.report.names import SIGNS, member_labels
from chromatic_descent.report.names import words as as_words
from chromatic_descent.report.page import images, words
from chromatic_descent.report.page.data import page_data
from chromatic_descent.report.page.figures import missing_figures, page_figures
from chromatic_descent.report.page.pictures import Pictures
from chromatic_descent.report.summary.blocks import Table
from chromatic_descent.report.summary.sections import on_the_page
from chromatic_descent.report.verdicts import nothing_shown, verdicts

_HERE = Path(__file__).parent
_COLOUR = re.compile(r"#[0-9a-f]{6}", re.IGNORECASE)
_FEW = 40  # members that are shown one by one beside an image


def render(analysis: Analysis, run: Run, pictures: Pictures, commands: Sequence[str] = ()) -> str:
    """The page of an analysis.

    Args:
        analysis: to be shown.
        run: that made it.
        pictures: of the probe images that `shown_images` names.
        commands: that trained the members.

    Returns:
        HTML in which everything that comes from the study is text.
    """
    population, colours = analysis.population, analysis.colours
    common, varying = words.configs(population)
    distance = images.main_distance(analysis)
    answered = verdicts(analysis, distance)
    context = {
        "analysis": analysis,
        "run": run,
        "sections": on_the_page(),
        "templates": {path.stem for path in (_HERE / "sections").glob("*.html")},
        "figures": partial(page_figures, analysis),
        "missing_figures": partial(missing_figures, analysis),
        "members": members_table(analysis, words.factors(varying)),
        "sentence": words.sentence(population, analysis.provenance),
        "verdicts": answered,
        "nothing": nothing_shown(answered),
        "along": _along_first_axis(analysis, distance),
        "distances": {name: title_of(name) for name in analysis.maps.computed()},
        "distance_title": title_of(distance),
        "colours_title": title_of(colours.distance),
        "disputed": images.disputed_images(analysis, pictures),
        "axis_ends": images.axis_ends(analysis, pictures),
        "pictures": pictures,
        "names": population.names,
        "shapes": {SIGNS[m]: text for m, text in colours.shapes.items() if m in colours.markers},
        "labels": member_labels(analysis),
        "few": len(population.names) <= _FEW,
        "config": {key: words.as_text(value) for key, value in common.items()}
        | {key: " | ".join(dict.fromkeys(map(words.as_text, v))) for key, v in varying.items()},
        "commands": [*commands, run.command],
        "files": sorted(csv_name(path) for path, _ in leaves(analysis.results, pd.DataFrame)),
        "data": _in_script(data := page_data(analysis, distance)),
        "several_configurations": data["several_configurations"],
        "style": _read("style.css") + _member_colours(colours),
        "script": _script(),
        "plotly": _plotly(),
    }
    return str(_environment().get_template("page.html").render(context))


def members_table(analysis: Analysis, varying: Mapping[str, Sequence[Any]]) -> dict[str, Any]:
    """The columns and rows of the members' table: scores, then what varies in the config."""
    scores = {"accuracy": "accuracy", "nll": "NLL", "brier": "Brier", "ece": "ECE"}
    scores |= {name: name for name in ("temperature", "confidence", "entropy")}
    rows = analysis.members.table[["member", "seed", *scores]].to_dict("records")
    return {
        "columns": ["member", "seed", *scores.values(), *varying],
        "rows": [
            [*row.values(), *(words.as_text(values[member]) for values in varying.values())]
            for member, row in enumerate(rows)
        ],
    }


def number(value: Any, digits: int = 4) -> str:
    """A number to some digits, a dash if there is none, anything else as text."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return "–"
    if isinstance(value, bool) or not isinstance(value, float):
        return str(value)
    if value == 0:
        return "0"
    form = "g" if abs(value) < 1e-3 or abs(value) >= 1e4 else "f"
    return f"{value:.{digits}{form}}".replace("-", "−")


def _along_first_axis(analysis: Analysis, distance: str) -> list[int]:
    """Members in the order of the first axis."""
    view = analysis.maps.find(distance)
    if isinstance(view, NotComputed):
        return list(range(len(analysis.population.names)))
    return [int(member) for member in view.coordinates[:, 0].argsort()]


def _member_colours(colours: Colours) -> str:
    """A rule per member: its colour, and the colour-blind-safe one if that is chosen."""
    for colour in (*colours.hex, *colours.safe):
        if not _COLOUR.fullmatch(colour):
            raise ValueError(f"{colour!r} is not a colour #rrggbb")
    return f":root{{--members:{len(colours.hex)}}}" + "".join(
        f".m{member}{{--m:{own}}}.safe .m{member}{{--m:{safe}}}"
        for member, (own, safe) in enumerate(zip(colours.hex, colours.safe, strict=True))
    )


def _in_script(data: Any) -> str:
    """JSON that cannot end the script element it is in."""
    text = json.dumps(data, allow_nan=False, separators=(",", ":"), ensure_ascii=True)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


@cache
def _environment() -> Any:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(_HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "num": number,
        "words": as_words,
        "title": title_of,
        "rows": lambda frame: frame.to_dict("records"),
    }
    environment.tests["table"] = lambda block: isinstance(block, Table)
    environment.globals["why"] = why_not
    return environment


def _script() -> str:
    """What all drawings share, the drawings, and what draws them, in this order."""
    drawings = sorted(path.name for path in (_HERE / "script" / "drawings").glob("*.js"))
    names = ["shared.js", *(f"drawings/{name}" for name in drawings), "controls.js"]
    return "\n".join(_read(f"script/{name}") for name in names)


def _read(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")


def _plotly() -> str:
    """Plotly's own script, whole: no package has partial bundles of it."""
    from plotly.offline import get_plotlyjs

    return str(get_plotlyjs()).replace("</script", "<\\/script")
