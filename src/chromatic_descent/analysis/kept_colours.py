"""Colours that last: the map of an analysis, kept in a file for later ones to agree with."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np

from chromatic_descent.analysis.analysis import Analysis
from chromatic_descent.analysis.colours import (
    ColourMap,
    colour_members,
    map_of,
    member_hashes,
    squared_of,
)
from chromatic_descent.files.atomic import write_text
from chromatic_descent.files.plain_json import plain_json, regular

_SCHEMA_VERSION = 1
_FARTHEST, _LARGEST_SCALE = 10.0, 1e30  # accepted from a file: OKLab of sRGB is within 1


def with_kept_colours(analysis: Analysis, folder: Path) -> Analysis:
    """The analysis with its colours in agreement with those of earlier analyses.

    The map is read from `colours-<distance>.json` in the folder and written there again with the
    members that are new.
    """
    population, distance = analysis.population, analysis.colours.distance
    hashes = member_hashes(population)
    path = folder / f"colours-{distance}.json"
    earlier = load_map(path)
    if earlier is not None:
        squared = squared_of(analysis.distances, distance, len(population.logits))
        colours = colour_members(population, distance, squared, earlier, hashes)
        analysis = replace(analysis, colours=colours)
    kept = map_of(analysis.colours, hashes, earlier)
    if kept != earlier:
        save_map(path, kept)
    return analysis


def save_map(path: Path, colour_map: ColourMap) -> None:
    """Keep a map as JSON, whole or not at all."""
    kept = {"schema_version": _SCHEMA_VERSION, **vars(colour_map)}
    write_text(path, json.dumps(kept, indent=1, allow_nan=False))


def load_map(path: Path) -> ColourMap | None:
    """Read what `save_map` wrote; None if there is no file or it is broken: colours start anew."""
    try:
        kept = plain_json(regular(path).read_text(encoding="utf-8"))
        if kept["schema_version"] != _SCHEMA_VERSION:
            return None
        places = {str(m): (float(x), float(y), float(z)) for m, (x, y, z) in kept["places"].items()}
        scale, reach = float(kept["scale"]), float(kept["reach"])
        lab = np.array([reach, *sum(places.values(), ())])
        if not 0 <= scale <= _LARGEST_SCALE or reach < 0 or (np.abs(lab) > _FARTHEST).any():
            return None
        return ColourMap(scale, reach, places)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError):
        return None
