"""How members, distances and markers are named in figures and text."""

import re
from textwrap import fill
from typing import Any

from chromatic_descent.analysis import Analysis
from chromatic_descent.ensemble import METRICS
from chromatic_descent.geometry import title_of

SIGNS = dict(zip("osD^vP*X", "●■◆▲▼✚★✖", strict=True))  # matplotlib's markers within a text
SCORES = {name: metric for name, metric in METRICS.items() if metric.shown}
_WIDTH = 24  # characters of a heading above a panel


def heading_of(distance: str) -> str:
    """The title of a distance, in lines that fit above a panel."""
    return fill(title_of(distance), _WIDTH)


def words(name: Any) -> str:
    """A name of the code, as words."""
    return str(name).replace("_", " ")


def member_labels(analysis: Analysis, *, beside_markers: bool = False) -> list[str]:
    """The shortest labels that tell members apart: seeds, seeds with markers, or numbers."""
    seeds, markers = analysis.population.seeds, analysis.colours.markers
    if len(set(seeds)) == len(seeds):
        return [str(seed) for seed in seeds]
    if len(set(zip(seeds, markers, strict=True))) < len(seeds):
        return [str(number) for number in range(len(seeds))]
    signs = dict.fromkeys(markers, "") if beside_markers else SIGNS
    return [f"{seed}{signs[marker]}" for seed, marker in zip(seeds, markers, strict=True)]


def without_repulsion(name: str) -> str:
    """The name of a group, without the word that the names of all repelled groups share."""
    return re.sub(r"repulsion[._](?=\w)", "", name).replace("-", ", ")
