"""The chromatic map: a member's colour is its place in function space.

The first three axes of the classical MDS become three axes of OKLab, all at one scale, so that the
difference between two colours (ΔE OK, a distance in OKLab) follows the distance between two
members. Function space has further axes: `Colours` measures how far the colours can be trusted.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from chromatic_descent import geometry
from chromatic_descent.analysis.colour_space import CENTRE, into_gamut, largest_scale, ramp
from chromatic_descent.analysis.configurations import group_members
from chromatic_descent.analysis.distances import Distances
from chromatic_descent.analysis.maps import Maps
from chromatic_descent.analysis.results import Array
from chromatic_descent.errors import UserError
from chromatic_descent.files.atomic import write_text
from chromatic_descent.files.hashing import content_hash
from chromatic_descent.files.plain_json import read_json
from chromatic_descent.probe_logits import Population

DISTANCE = "hellinger"  # unaffected by changes that leave predictions alone; bounded, Euclidean
MARKERS = "osD^vP*X"  # matplotlib's, chosen to be easy to tell apart
_FEWEST_KNOWN = 4  # members that fix a frame of three axes
_TINTS = ["bluer, darker", "bluer, lighter", "yellower, darker", "yellower, lighter"]
_SAFE = "#31558f", "#fde737"  # dark blue to light yellow: works for all kinds of colour vision
_SCHEMA_VERSION = 1  # of the file of a `ColourMap`
_FARTHEST, _LARGEST_SCALE = 10.0, 1e30  # accepted from a file: OKLab of sRGB is within 1


@dataclass(frozen=True)
class ColourMap:
    """The part of a chromatic map that is saved, so that later maps can agree with it."""

    scale: float  # ΔE OK per unit of the distance; 0 if all members coincide
    reach: float  # the largest |a|, half the length of the ramp of safe colours
    # OKLab before it is mapped into sRGB, by a hash of a member's logits: a retrained member is a
    # different member.
    places: Mapping[str, tuple[float, float, float]] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Colours:
    """A colour for each of S members.

    Attributes:
        table: a row per member: member, hex (`#rrggbb` in sRGB), safe (axis 1 alone on a ramp from
            dark blue to light yellow, for every kind of colour vision and for grey printers),
            marker (matplotlib's; what `safe` does not show: the side of grey in b and lightness; or
            by configuration, in a study of two to eight), lightness, a, b (OKLab, as shown).
        correlation: Spearman's, over pairs of members, of ΔE OK with the distance; NaN if fewer
            than three members, or all pairs are equal.
        stress: Kruskal's stress-1 of ΔE OK with the distance at its best scale,
            √(1 − (Σδd)²/(Σδ²Σd²)) over pairs: 0 is perfect; NaN where all members coincide.
        misfit: the largest ΔE OK from a known member's colour to where this analysis alone would
            have put it; NaN if none is known.
    """

    distance: str  # whose map gives the colours
    table: pd.DataFrame
    shapes: dict[str, str]  # the meaning of each marker
    correlation: float
    stress: float
    known: int  # members that have their colour from an earlier analysis
    misfit: float
    scale: float  # of the `ColourMap`
    reach: float
    places: Array  # [S, 3], OKLab before it is mapped into sRGB
    coordinates: Array  # [S, 3] on the first three axes of the classical MDS, 0 beyond the last
    shares: list[float]  # of variance, on these axes
    pairs: Array  # [S (S − 1) / 2, 2], the distance and ΔE OK of every two members

    @property
    def hex(self) -> list[str]:
        """Each member's colour, `#rrggbb`."""
        return list(self.table["hex"])

    @property
    def safe(self) -> list[str]:
        """Each member's colour for every kind of colour vision, `#rrggbb`."""
        return list(self.table["safe"])

    @property
    def markers(self) -> list[str]:
        """Each member's marker, in matplotlib's notation."""
        return list(self.table["marker"])

    @property
    def oklab(self) -> Array:
        """Each member's colour as shown [S, 3]: lightness, a, b."""
        return self.table[["lightness", "a", "b"]].to_numpy(dtype=np.float64)


def choose_colours(
    population: Population, maps: Maps, distances: Distances, *, colours: str | None = None
) -> Colours:
    """Colour members by one of the maps: `colours`, by default Hellinger's, otherwise the first."""
    if colours is not None and colours not in maps.computed():
        raise UserError(f"colours={colours}: expected one of maps, {', '.join(maps)}.")
    candidates = [DISTANCE, *maps] if colours is None else [colours]
    computed = distances.matrices.computed()
    distance = next((name for name in candidates if name in computed), candidates[0])
    return colour_members(population, distance, _squared(population, distances, distance))


def with_kept_colours(
    population: Population, distances: Distances, colours: Colours, folder: Path
) -> Colours:
    """The same colours in agreement with those of earlier analyses.

    The folder's `colours-<distance>.json` holds the map, to which new members are added.
    """
    hashes = member_hashes(population)
    path = folder / f"colours-{colours.distance}.json"
    earlier = load_map(path)
    if earlier is not None:
        squared = _squared(population, distances, colours.distance)
        colours = colour_members(population, colours.distance, squared, earlier, hashes)
    colour_map = map_of(colours, hashes, earlier)
    if colour_map != earlier:
        save_map(path, colour_map)
    return colours


def colour_members(
    population: Population,
    distance: str,
    squared: ArrayLike,
    earlier: ColourMap | None = None,
    hashes: Sequence[str] = (),
) -> Colours:
    """Colour members by a distance, in agreement with an earlier map where there is one.

        place = (0.7, 0, 0) + scale · (±x₃, ±x₁, ±x₂) in OKLab

    with x the coordinates of classical MDS: axis 1 runs from green to red, axis 2 from blue to
    yellow, axis 3 from dark to light. Signs are arbitrary: they are chosen to allow the largest
    scale at which 19 members in 20 (all of fewer than 20) lie within sRGB.

    Members of the earlier map keep their places. New ones are placed by the new layout, turned or
    mirrored (Procrustes, at the earlier scale) to lie on the known ones. If these are fewer than
    four, or fewer than half, they do not fix a frame for the others, and the map starts afresh.

    `squared` is [S, S]; `hashes` identify the members in the earlier map, see `member_hashes`.

    Source: the axes are this project's own; OKLab is Ottosson 2020, Procrustes Gower 1975.
    """
    squared = np.asarray(squared, dtype=np.float64)
    coordinates, shares = _three_axes(squared)
    colour_map, places, misfit = _places(coordinates[:, [2, 0, 1]], hashes, earlier)
    oklab, shown = into_gamut(places)
    reach = colour_map.reach
    along_axis_1 = places[:, 1] / (2 * reach) if reach > 0 else np.zeros(len(places))
    markers, shapes = _markers(places, group_members(population))
    pairs = np.triu_indices(len(squared), 1)
    measured = np.sqrt(squared)[pairs]
    seen = np.linalg.norm(oklab[:, None] - oklab, axis=-1)[pairs]
    correlation, stress = _fidelity(seen, measured)
    columns = {"member": population.names, "hex": shown}
    columns |= {"safe": ramp(0.5 + along_axis_1, *_SAFE), "marker": markers}
    return Colours(
        distance=distance,
        table=pd.DataFrame(columns | dict(zip(("lightness", "a", "b"), oklab.T, strict=True))),
        shapes=shapes,
        correlation=correlation,
        stress=stress,
        known=sum(member in colour_map.places for member in hashes),  # 0 in a new map
        misfit=misfit,
        scale=colour_map.scale,
        reach=reach,
        places=places,
        coordinates=coordinates,
        shares=shares,
        pairs=np.stack([measured, seen], axis=1),
    )


def map_of(colours: Colours, hashes: Sequence[str], earlier: ColourMap | None = None) -> ColourMap:
    """The map to save: these members, and the earlier map's if the colours agree with it."""
    places = {
        member: (float(lightness), float(a), float(b))
        for member, (lightness, a, b) in zip(hashes, colours.places, strict=True)
    }
    older = earlier.places if earlier is not None and colours.known else {}
    return ColourMap(colours.scale, colours.reach, {**older, **places})


def member_hashes(population: Population) -> list[str]:
    """A hash of each member's logits, which identifies the member."""
    return [content_hash(np.ascontiguousarray(logits)) for logits in population.logits]


def save_map(path: Path, colour_map: ColourMap) -> None:
    """Save a map as JSON, whole or not at all."""
    content = {"schema_version": _SCHEMA_VERSION, **vars(colour_map)}
    write_text(path, json.dumps(content, indent=1, allow_nan=False))


def load_map(path: Path) -> ColourMap | None:
    """Read a map that `save_map` wrote; None if there is no file or it is broken."""
    try:
        content = read_json(path)
        places = {
            str(m): (float(x), float(y), float(z)) for m, (x, y, z) in content["places"].items()
        }
        scale, reach = float(content["scale"]), float(content["reach"])
        lab = np.array([reach, *sum(places.values(), ())])
        valid = 0 <= scale <= _LARGEST_SCALE and reach >= 0 and (np.abs(lab) <= _FARTHEST).all()
        known = content["schema_version"] == _SCHEMA_VERSION
        return ColourMap(scale, reach, places) if known and valid else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError):
        return None


def _squared(population: Population, distances: Distances, name: str) -> Array:
    """The squared distances by which members are coloured: zeros where they are not computed."""
    members = len(population.records)
    matrix = distances.matrices.computed().get(name)
    return np.zeros((members, members)) if matrix is None else matrix.squared


def _three_axes(squared: Array) -> tuple[Array, list[float]]:
    """The first three axes of classical MDS [S, 3], zero where there are fewer; their shares."""
    coordinates = np.zeros((len(squared), 3))
    if len(squared) < 2:
        return coordinates, []
    mds = geometry.classical_mds(squared, min(3, len(squared)))
    coordinates[:, : mds.coordinates.shape[1]] = mds.coordinates
    return coordinates, np.diff(mds.explained, prepend=0.0)[:3].tolist()


def _places(
    layout: Array, hashes: Sequence[str], earlier: ColourMap | None
) -> tuple[ColourMap, Array, float]:
    """The map in force, places in OKLab [S, 3], and the misfit of members known to the map."""
    known = [k for k, member in enumerate(hashes) if earlier and member in earlier.places]
    enough = len(known) >= min(len(layout), max(_FEWEST_KNOWN, len(layout) / 2))
    if earlier is None or not enough or (earlier.scale == 0 and layout.any()):
        scale, signs = largest_scale(layout)
        places = CENTRE + scale * signs * layout
        return ColourMap(scale, float(np.abs(places[:, 1]).max())), places, math.nan
    places = np.array([earlier.places.get(member, CENTRE) for member in hashes])
    # The layout moved, and turned or mirrored, to lie on the known places as well as it can.
    scaled, goal = earlier.scale * layout, places[known].mean(axis=0)
    centred = scaled - scaled[known].mean(axis=0)
    v, _, wt = np.linalg.svd(centred[known].T @ (places[known] - goal))
    aligned = centred @ (v @ wt) + goal
    misfit = float(np.linalg.norm((aligned - places)[known], axis=1).max())
    new = np.setdiff1d(np.arange(len(layout)), known)
    places[new] = aligned[new]
    return earlier, places, misfit


def _markers(
    places: Array, groups: Mapping[str, Sequence[int]]
) -> tuple[list[str], dict[str, str]]:
    """A marker for each member, and the meaning of markers: configurations, or tints."""
    if 1 < len(groups) <= len(MARKERS):
        shapes = dict(zip(MARKERS, groups, strict=False))
        marker_of = {member: m for m, group in shapes.items() for member in groups[group]}
        return [marker_of[k] for k in range(len(places))], shapes
    tints = 2 * (places[:, 2] > 1e-9) + (places[:, 0] - CENTRE[0] > 1e-9)
    return [MARKERS[tint] for tint in tints], dict(zip(MARKERS, _TINTS, strict=False))


def _fidelity(seen: Array, measured: Array) -> tuple[float, float]:
    """Spearman's correlation and stress-1 of ΔE OK with the distances, over pairs."""
    from scipy.stats import spearmanr

    size = float((seen**2).sum() * (measured**2).sum())
    explained = float(seen @ measured) ** 2 / size if size > 0 else math.nan
    stress = math.sqrt(1 - min(1.0, explained)) if size > 0 else math.nan
    pairs = np.stack([seen, measured])  # [2, P]
    if len(measured) < 3 or (np.ptp(pairs, axis=1) <= 1e-9 * pairs.max(axis=1)).any():
        return math.nan, stress  # no ranks where all are the same, up to round-off
    return float(spearmanr(seen, measured).statistic), stress
