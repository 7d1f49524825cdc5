"""The chromatic map: every member's colour is its place in function space.

    coloured = colour.coloured(analysis.analyse(population))
    colour.colours_of(coloured).hex

The first three axes of the classical MDS become three axes of OKLab, all with one scale, so that
how different two colours look (ΔE OK, a distance in OKLab) follows how differently two members
answer. Three axes are not all there is: `Colours` says how far the colours can be trusted.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from chromatic_descent import geometry
from chromatic_descent.analysis import Analysis
from chromatic_descent.analysis.groups import group_members
from chromatic_descent.analysis.results import Result, computed
from chromatic_descent.errors import UserError
from chromatic_descent.files.atomic import write_text
from chromatic_descent.files.hashing import content_hash
from chromatic_descent.files.plain_json import plain_json, regular
from chromatic_descent.probe_logits import Population

Array = NDArray[np.float64]

DISTANCE = "hellinger"  # blind to what changes no answer, bounded, and Euclidean
CENTRE = np.array([0.7, 0.0, 0.0])  # the grey around which sRGB has most room in all directions
LIGHTNESS = 0.35, 0.9  # seen on white and on black
FEWEST_KNOWN = 4  # members that fix a frame of three axes
MARKERS = "osD^vP*X"  # matplotlib's, as easy to tell apart as there are
_TINTS = ["bluer, darker", "bluer, lighter", "yellower, darker", "yellower, lighter"]
_SAFE = "#31558f", "#fde737"  # dark blue to light yellow: read alike by all kinds of colour vision
_OUTSIDE = 20  # one member in so many may lie outside sRGB before it is mapped into it
_SCHEMA_VERSION = 1
_FARTHEST, _LARGEST_SCALE = 10.0, 1e30  # of what is believed in a file: OKLab of sRGB is within 1

# OKLab to linear sRGB (Ottosson 2020, https://bottosson.github.io/posts/oklab).
_TO_LMS = np.array(
    [
        [1.0, 0.3963377774, 0.2158037573],
        [1.0, -0.1055613458, -0.0638541728],
        [1.0, -0.0894841775, -1.2914855480],
    ]
)
_TO_LINEAR = np.array(
    [
        [4.0767416621, -3.3077115913, 0.2309699292],
        [-1.2684380046, 2.6097574011, -0.3413193965],
        [-0.0041960863, -0.7034186147, 1.7076147010],
    ]
)


@dataclass(frozen=True, eq=False)
class Colours:
    """A colour for each of S members.

    Attributes:
        distance: the one whose map gives the colours.
        oklab: [S, 3], lightness and two opponent axes of the colours as shown.
        hex: the same as `#rrggbb` in sRGB.
        safe: axis 1 alone on a ramp from dark blue to light yellow, for every kind of colour
            vision and for grey printers.
        markers: matplotlib's names. By what `safe` lacks, which side of grey the colour is on, by
            b and by lightness; or by configuration, in a study of two to eight.
        shapes: what each marker stands for.
        correlation: Spearman's, over pairs of members, of ΔE OK with the distance; None if fewer
            than three members, or all pairs are alike.
        stress: Kruskal's stress-1 of ΔE OK with the distance at its best scale,
            √(1 − (Σδd)²/(Σδ²Σd²)) over pairs: 0 is perfect; None where all members coincide.
        known: how many members have their colour from an earlier analysis.
        misfit: the largest ΔE OK from a known member's colour to where this analysis alone would
            have put it; None if none is known.
    """

    distance: str
    oklab: Array
    hex: list[str]
    safe: list[str]
    markers: list[str]
    shapes: dict[str, str]
    correlation: float | None
    stress: float | None
    known: int = 0
    misfit: float | None = None


@dataclass(frozen=True)
class ColourMap:
    """What is kept of a chromatic map, so that a later one can agree with it.

    Attributes:
        scale: ΔE OK per unit of the distance; 0 if all members coincide.
        reach: the largest |a|, the length of half the ramp of safe colours.
        places: OKLab before it is mapped into sRGB, by a hash of a member's logits: a member that
            was trained anew is another member.
    """

    scale: float
    reach: float
    places: dict[str, tuple[float, float, float]]


def colour_places(
    squared: ArrayLike, members: Sequence[str], earlier: ColourMap | None = None
) -> tuple[Array, ColourMap, float | None]:
    """Give each member a place in OKLab, agreeing with an earlier map where there is one.

        place = (0.7, 0, 0) + scale · (±x₃, ±x₁, ±x₂)

    with x the coordinates of classical MDS: axis 1 runs from green to red, axis 2 from blue to
    yellow, axis 3 from dark to light. Signs mean nothing, so those with the largest scale are
    taken at which 19 members in 20 (all of fewer than 20) lie within sRGB.

    Members of the earlier map keep their places. New ones are placed by the new layout, turned or
    mirrored (Procrustes, at the earlier scale) to lie on the known ones. If these are fewer than
    four, or fewer than half, they are no frame for the others, and the map starts anew.

    Args:
        squared: [S, S] squared distances.
        members: S hashes that identify members.
        earlier: the map to agree with.

    Returns:
        Places [S, 3], which may lie outside sRGB; the map to keep; and the largest ΔE OK from a
        known place to the turned layout, None without an earlier map.

    Source: the axes are this project's own; OKLab is Ottosson 2020, Procrustes Gower 1975.
    """
    layout = _three_axes(np.asarray(squared, dtype=np.float64))  # [S, 3], in the order L, a, b
    known = [k for k, member in enumerate(members) if earlier and member in earlier.places]
    enough = len(known) >= min(len(members), max(FEWEST_KNOWN, len(members) / 2))
    if earlier is None or not enough or (earlier.scale == 0 and layout.any()):
        scale, signs = _largest_scale(layout)
        places = CENTRE + scale * signs * layout
        reach = float(np.abs(places[:, 1]).max())
        kept, misfit = ColourMap(scale, reach, {}), None
    else:
        kept = earlier
        places = np.array([earlier.places.get(member, CENTRE) for member in members])
        aligned = _turned_onto(places, earlier.scale * layout, known)
        misfit = float(np.linalg.norm((aligned - places)[known], axis=1).max())
        new = np.setdiff1d(np.arange(len(members)), known)
        places[new] = aligned[new]
    added = {
        m: (float(p[0]), float(p[1]), float(p[2])) for m, p in zip(members, places, strict=True)
    }
    return places, replace(kept, places=kept.places | added), misfit


def colours_at(places: Array, reach: float, distance: str, squared: ArrayLike) -> Colours:
    """The colours of places in OKLab, mapped into sRGB, and how well they follow the distance.

    Args:
        places: [S, 3] in OKLab.
        reach: |a| at the ends of the ramp of safe colours.
        distance: its name.
        squared: [S, S] its squares.

    A place outside sRGB gets the nearest lightness from 0.35 to 0.9, then loses chroma at the same
    hue until it is inside (coloraide's `oklch-chroma`).
    """
    from coloraide import Color

    ramp = Color.interpolate(list(_SAFE), space="oklab")
    shown, safe, markers = [], [], []
    for lightness, a, b in places:
        colour = Color("oklab", [float(np.clip(lightness, *LIGHTNESS)), a, b])
        shown.append(colour.convert("srgb").fit("srgb", method="oklch-chroma"))
        along = 0.5 + a / (2 * reach) if reach > 0 else 0.5
        safe.append(ramp(float(np.clip(along, 0, 1))).convert("srgb").to_string(hex=True))
        markers.append(MARKERS[2 * (b > 1e-9) + (lightness - CENTRE[0] > 1e-9)])
    oklab = np.array([colour.convert("oklab").coords() for colour in shown])
    correlation, stress = _fidelity(oklab, np.sqrt(np.asarray(squared, dtype=np.float64)))
    return Colours(
        distance=distance,
        oklab=oklab,
        hex=[colour.to_string(hex=True) for colour in shown],
        safe=safe,
        markers=markers,
        shapes=dict(zip(MARKERS, _TINTS, strict=False)),
        correlation=correlation,
        stress=stress,
    )


def coloured(
    analysis: Analysis, distance: str | None = None, *, kept: Path | None = None
) -> Analysis:
    """The analysis with a section `colours`: by member, and how far they can be trusted.

    Args:
        analysis: of S members.
        distance: one of its maps; None: Hellinger's if it was computed, else the first.
        kept: a folder in which the map is kept, to give members the same colours next time.

    Raises:
        UserError: `distance` is not among the maps that were computed.
    """
    name, squared = _matrix(analysis, distance)
    members = [content_hash(np.ascontiguousarray(x)) for x in analysis.population.logits]
    path = kept / f"colours-{name}.json" if kept is not None else None
    earlier = load_map(path) if path is not None else None
    places, colour_map, misfit = colour_places(squared, members, earlier)
    if path is not None and colour_map != earlier:
        save_map(path, colour_map)
    known = 0 if misfit is None or earlier is None else sum(m in earlier.places for m in members)
    found = colours_at(places, colour_map.reach, name, squared)
    found = _shaped(replace(found, known=known, misfit=misfit), analysis.population)
    section = _as_result(found, analysis.population.names)
    return replace(analysis, results={**analysis.results, "colours": section})


def colours_of(analysis: Analysis) -> Colours:
    """The colours of an analysis; computed if it has none yet."""
    found = analysis.results.get("colours") or coloured(analysis).results["colours"]
    table = found["table"]
    columns = {name: table[name].tolist() for name in ("hex", "safe")}
    return Colours(
        **columns,
        oklab=table[["lightness", "a", "b"]].to_numpy(dtype=np.float64),
        markers=table["marker"].tolist(),
        **{k: found[k] for k in _AS_THEY_ARE},
    )


def save_map(path: Path, colour_map: ColourMap) -> None:
    """Keep a map as JSON, whole or not at all."""
    kept = {"schema_version": _SCHEMA_VERSION, **vars(colour_map)}
    write_text(path, json.dumps(kept, indent=1, allow_nan=False))


def load_map(path: Path) -> ColourMap | None:
    """Read what `save_map` wrote; None if there is none or it is broken: colours start anew."""
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


def in_gamut(oklab: ArrayLike) -> NDArray[np.bool_]:
    """Which colours [..., 3] are in sRGB and light enough, but not too light, to be seen [...]."""
    lab = np.asarray(oklab, dtype=np.float64)
    linear = (lab @ _TO_LMS.T) ** 3 @ _TO_LINEAR.T
    low, high = LIGHTNESS
    inside: NDArray[np.bool_] = ((linear >= 0) & (linear <= 1)).all(axis=-1)
    return inside & (lab[..., 0] >= low) & (lab[..., 0] <= high)


def _three_axes(squared: Array) -> Array:
    """Axes 3, 1, 2 of classical MDS [S, 3], zero where there are fewer."""
    layout = np.zeros((len(squared), 3))
    if len(squared) > 1:
        axes = min(3, len(squared))
        layout[:, :axes] = geometry.classical_mds(squared, axes).coordinates
    return layout[:, [2, 0, 1]]


def _largest_scale(layout: Array) -> tuple[float, Array]:
    """The largest scale at which all but one member in twenty are in sRGB, and the axes' signs."""
    if not layout.any():
        return 0.0, np.ones(3)
    signs = np.array(list(product([1.0, -1.0], repeat=3)))  # [8, 3]
    size = np.abs(layout).max()
    ways = signs[:, None] * layout / size  # [8, S, 3]
    low, high = np.zeros(ways.shape[:2]), np.ones(ways.shape[:2])  # OKLab of sRGB is within 1
    high /= np.maximum(np.linalg.norm(ways, axis=-1), 1e-3)
    for _ in range(40):  # bisection, each member along its own ray from the centre
        middle = (low + high) / 2
        inside = in_gamut(CENTRE + middle[..., None] * ways)
        low, high = np.where(inside, middle, low), np.where(inside, high, middle)
    scales = np.sort(low, axis=1)[:, len(layout) // _OUTSIDE]  # [8]
    best = int(np.argmax(scales))
    return float(scales[best] / size), signs[best]


def _turned_onto(places: Array, layout: Array, known: Sequence[int]) -> Array:
    """The layout moved, and turned or mirrored, to lie on the known places as well as it can."""
    here, there = layout[known].mean(axis=0), places[known].mean(axis=0)
    v, _, wt = np.linalg.svd((layout[known] - here).T @ (places[known] - there))
    turned: Array = (layout - here) @ (v @ wt) + there
    return turned


def _fidelity(oklab: Array, distances: Array) -> tuple[float | None, float | None]:
    """Spearman's correlation and stress-1 of ΔE OK with the distances, over pairs."""
    pairs = np.triu_indices(len(oklab), 1)
    apart = np.linalg.norm(oklab[:, None] - oklab, axis=-1)[pairs]
    wanted = distances[pairs]
    size = float((apart**2).sum() * (wanted**2).sum())
    stress = float(np.sqrt(max(0.0, 1 - (apart @ wanted) ** 2 / size))) if size > 0 else None
    if len(wanted) < 3 or any(np.ptp(x) <= 1e-9 * np.abs(x).max() for x in (apart, wanted)):
        return None, stress
    from scipy.stats import spearmanr

    return float(spearmanr(apart, wanted).statistic), stress


def _matrix(analysis: Analysis, distance: str | None) -> tuple[str, Array]:
    """The distance that colours are of and its squares; zeros where there are none."""
    matrices, maps = analysis.results["distances"]["matrices"], analysis.results["maps"]
    if distance is not None and not computed(maps.get(distance, {"not_computed": ""})):
        raise UserError(f"colours={distance}: expected one of maps, {', '.join(maps)}.")
    for name in [distance] if distance is not None else [DISTANCE, *maps]:
        if computed(matrices.get(name, {"not_computed": ""})):
            return name, matrices[name]["squared"]
    members = len(analysis.population.logits)
    return distance or DISTANCE, np.zeros((members, members))


def _shaped(colours: Colours, population: Population) -> Colours:
    """The same with a shape for each configuration, if there are several but not too many."""
    groups = group_members(population)
    if not 1 < len(groups) <= len(MARKERS):
        return colours
    shape_of = {k: m for m, who in zip(MARKERS, groups.values(), strict=False) for k in who}
    markers = [shape_of[k] for k in range(len(population.names))]
    return replace(colours, markers=markers, shapes=dict(zip(MARKERS, groups, strict=False)))


_AS_THEY_ARE = ("distance", "shapes", "correlation", "stress", "known", "misfit")


def _as_result(colours: Colours, names: Sequence[str]) -> Result:
    table: dict[str, Any] = {
        "member": list(names),
        "hex": colours.hex,
        "safe": colours.safe,
        "marker": colours.markers,
    }
    axes = dict(zip(("lightness", "a", "b"), colours.oklab.T, strict=True))
    return {**{k: getattr(colours, k) for k in _AS_THEY_ARE}, "table": pd.DataFrame(table | axes)}
