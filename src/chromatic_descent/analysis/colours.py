"""The chromatic map: a member's colour is its place in function space.

The first three axes of the classical MDS become three axes of OKLab, all at one scale, so that the
difference between two colours (ΔE OK, a distance in OKLab) follows the distance between two
members. Three axes are not all there is: `Colours` says how far the colours can be trusted.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

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
from chromatic_descent.files.hashing import content_hash
from chromatic_descent.probe_logits import Population

DISTANCE = "hellinger"  # blind to what changes no prediction, bounded, and Euclidean
MARKERS = "osD^vP*X"  # matplotlib's, as easy to tell apart as there are
_FEWEST_KNOWN = 4  # members that fix a frame of three axes
_TINTS = ["bluer, darker", "bluer, lighter", "yellower, darker", "yellower, lighter"]
_SAFE = "#31558f", "#fde737"  # dark blue to light yellow: read alike by all kinds of colour vision


@dataclass(frozen=True)
class ColourMap:
    """What is kept of a chromatic map, so that a later one can agree with it."""

    scale: float  # ΔE OK per unit of the distance; 0 if all members coincide
    reach: float  # the largest |a|, half the length of the ramp of safe colours
    # OKLab before it is mapped into sRGB, by a hash of a member's logits: a member that was trained
    # anew is another member.
    places: Mapping[str, tuple[float, float, float]] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Colours:
    """A colour for each of S members.

    Attributes:
        distance: the one whose map gives the colours.
        table: a row per member: member, hex (`#rrggbb` in sRGB), safe (axis 1 alone on a ramp from
            dark blue to light yellow, for every kind of colour vision and for grey printers),
            marker (matplotlib's: by what `safe` lacks, the side of grey by b and by lightness; or
            by configuration, in a study of two to eight), lightness, a, b (OKLab, as shown).
        shapes: what each marker stands for.
        correlation: Spearman's, over pairs of members, of ΔE OK with the distance; NaN if fewer
            than three members, or all pairs are alike.
        stress: Kruskal's stress-1 of ΔE OK with the distance at its best scale,
            √(1 − (Σδd)²/(Σδ²Σd²)) over pairs: 0 is perfect; NaN where all members coincide.
        known: how many members have their colour from an earlier analysis.
        misfit: the largest ΔE OK from a known member's colour to where this analysis alone would
            have put it; NaN if none is known.
        scale, reach: of the map, see `ColourMap`.
    """

    distance: str
    table: pd.DataFrame
    shapes: dict[str, str]
    correlation: float
    stress: float
    known: int
    misfit: float
    scale: float
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
    """Colour members by one of the maps: `colours`, Hellinger's by default, or else the first."""
    if colours is not None and colours not in maps.computed():
        raise UserError(f"colours={colours}: expected one of maps, {', '.join(maps)}.")
    candidates = [DISTANCE, *maps] if colours is None else [colours]
    measured = distances.matrices.computed()
    distance = next((name for name in candidates if name in measured), candidates[0])
    squared = squared_of(distances, distance, len(population.logits))
    return colour_members(population, distance, squared)


def squared_of(distances: Distances, name: str, members: int) -> Array:
    """The squared distances by which members are coloured: zeros where they are not computed."""
    matrix = distances.matrices.computed().get(name)
    return np.zeros((members, members)) if matrix is None else matrix.squared


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
    yellow, axis 3 from dark to light. Signs mean nothing, so those with the largest scale are
    taken at which 19 members in 20 (all of fewer than 20) lie within sRGB.

    Members of the earlier map keep their places. New ones are placed by the new layout, turned or
    mirrored (Procrustes, at the earlier scale) to lie on the known ones. If these are fewer than
    four, or fewer than half, they do not fix a frame for the others, and the map starts anew.

    Args:
        population: S members.
        distance: its name.
        squared: [S, S] its squares.
        earlier: the map to agree with.
        hashes: identify the S members in the earlier map; see `member_hashes`.

    Source: the axes are this project's own; OKLab is Ottosson 2020, Procrustes Gower 1975.
    """
    squared = np.asarray(squared, dtype=np.float64)
    coordinates, shares = _three_axes(squared)
    kept, places, misfit = _places(coordinates[:, [2, 0, 1]], hashes, earlier)
    oklab, shown = into_gamut(places)
    along = places[:, 1] / (2 * kept.reach) if kept.reach > 0 else np.zeros(len(places))
    markers, shapes = _markers(places, group_members(population))
    pairs = np.triu_indices(len(squared), 1)
    apart = np.linalg.norm(oklab[:, None] - oklab, axis=-1)[pairs]
    correlation, stress = _fidelity(apart, np.sqrt(squared)[pairs])
    known = [member for member in hashes if member in kept.places]  # none in a new map
    return Colours(
        distance=distance,
        table=pd.DataFrame(
            {
                "member": population.names,
                "hex": shown,
                "safe": ramp(0.5 + along, *_SAFE),
                "marker": markers,
                "lightness": oklab[:, 0],
                "a": oklab[:, 1],
                "b": oklab[:, 2],
            }
        ),
        shapes=shapes,
        correlation=correlation,
        stress=stress,
        known=len(known),
        misfit=misfit,
        scale=kept.scale,
        reach=kept.reach,
        places=places,
        coordinates=coordinates,
        shares=shares,
        pairs=np.stack([np.sqrt(squared)[pairs], apart], axis=1),
    )


def map_of(colours: Colours, hashes: Sequence[str], earlier: ColourMap | None = None) -> ColourMap:
    """The map to keep: these members, and those of the earlier map if the colours agree with it."""
    places = {
        member: (float(lightness), float(a), float(b))
        for member, (lightness, a, b) in zip(hashes, colours.places, strict=True)
    }
    older = earlier.places if earlier is not None and colours.known else {}
    return ColourMap(colours.scale, colours.reach, {**older, **places})


def member_hashes(population: Population) -> list[str]:
    """What identifies each member: a hash of its logits."""
    return [content_hash(np.ascontiguousarray(logits)) for logits in population.logits]


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
    """The map that holds, places in OKLab [S, 3], and the misfit of members known to it."""
    known = [k for k, member in enumerate(hashes) if earlier and member in earlier.places]
    enough = len(known) >= min(len(layout), max(_FEWEST_KNOWN, len(layout) / 2))
    if earlier is None or not enough or (earlier.scale == 0 and layout.any()):
        scale, signs = largest_scale(layout)
        places = CENTRE + scale * signs * layout
        return ColourMap(scale, float(np.abs(places[:, 1]).max())), places, math.nan
    places = np.array([earlier.places.get(member, CENTRE) for member in hashes])
    aligned = _turned_onto(places, earlier.scale * layout, known)
    misfit = float(np.linalg.norm((aligned - places)[known], axis=1).max())
    new = np.setdiff1d(np.arange(len(layout)), known)
    places[new] = aligned[new]
    return earlier, places, misfit


def _turned_onto(places: Array, layout: Array, known: Sequence[int]) -> Array:
    """The layout moved, and turned or mirrored, to lie on the known places as well as it can."""
    here, there = layout[known].mean(axis=0), places[known].mean(axis=0)
    v, _, wt = np.linalg.svd((layout[known] - here).T @ (places[known] - there))
    turned: Array = (layout - here) @ (v @ wt) + there
    return turned


def _markers(
    places: Array, groups: Mapping[str, Sequence[int]]
) -> tuple[list[str], dict[str, str]]:
    """A marker for each member, and what markers stand for: configurations, or the tint."""
    if 1 < len(groups) <= len(MARKERS):
        marker_of = {k: m for m, who in zip(MARKERS, groups.values(), strict=False) for k in who}
        markers = [marker_of[k] for k in range(len(places))]
        return markers, dict(zip(MARKERS, groups, strict=False))
    tints = 2 * (places[:, 2] > 1e-9) + (places[:, 0] - CENTRE[0] > 1e-9)
    return [MARKERS[tint] for tint in tints], dict(zip(MARKERS, _TINTS, strict=False))


def _fidelity(apart: Array, distances: Array) -> tuple[float, float]:
    """Spearman's correlation and stress-1 of ΔE OK with the distances, over pairs."""
    size = float((apart**2).sum() * (distances**2).sum())
    explained = float(apart @ distances) ** 2 / size if size > 0 else math.nan
    stress = math.sqrt(1 - min(1.0, explained)) if size > 0 else math.nan
    if len(distances) < 3 or _alike(apart) or _alike(distances):
        return math.nan, stress
    from scipy.stats import spearmanr

    return float(spearmanr(apart, distances).statistic), stress


def _alike(values: Array) -> bool:
    """Whether all values are the same, up to round-off."""
    return bool(values.max() - values.min() <= 1e-9 * np.abs(values).max())
