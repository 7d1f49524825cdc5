"""How members, distances and markers are named in figures and text."""

import re
from typing import Any

from chromatic_descent.analysis import Analysis

SIGNS = dict(zip("osD^vP*X", "●■◆▲▼✚★✖", strict=True))  # matplotlib's markers within a text
_TITLES = {
    "logit_mse": "logit MSE",
    "logit_mse_centred": "logit MSE, centred",
    "logit_mse_matched": "logit MSE, centred,\ntemperature-matched",
    "hellinger": "Hellinger",
}


def title_of(name: str) -> str:
    """The name of a distance, spelt out, in one or two lines."""
    return _TITLES.get(name, words(name))


def words(name: Any) -> str:
    """A name of the code, as words."""
    return str(name).replace("_", " ")


def member_labels(analysis: Analysis, *, beside_markers: bool = False) -> list[str]:
    """The shortest labels that tell members apart: seeds, with markers if seeds repeat.

    Numbers where that is not enough.

    Args:
        analysis: of S members.
        beside_markers: whether the label stands beside the marker itself, which it then omits.
    """
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
