"""Where members lie under each Euclidean distance, and how far that depends on the probe images."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from chromatic_descent import geometry
from chromatic_descent.analysis.clustering import Clustering, cluster
from chromatic_descent.analysis.distances import Distances
from chromatic_descent.analysis.results import (
    Array,
    Each,
    Interval,
    NotComputed,
    attempt,
    for_each,
    interval,
)
from chromatic_descent.errors import UserError
from chromatic_descent.own_code import is_own
from chromatic_descent.probe_logits import Population

T = TypeVar("T")

FEWEST_FOR_NEIGHBOURS = 10  # t-SNE and UMAP of fewer members mean nothing
MAPS = ("logit_mse", "logit_mse_centred", "logit_mse_matched", "hellinger")
_KEPT_AXES = 10  # of a layout: enough for every figure and for drivers


@dataclass(frozen=True)
class Stability(Interval):
    """Procrustes r of a map with the maps of resampled probes."""

    resamples: int


@dataclass(frozen=True)
class SplitHalf:
    """Procrustes r between the maps of two disjoint halves of the probe, over random splits."""

    r: Interval
    r_by_chance: Interval  # with the members of one half shuffled
    axes: list[Interval]  # of single axes
    axes_by_chance: list[Interval]
    splits: int


@dataclass(frozen=True)
class Smacof:
    """Metric MDS in the plane: normalised stress, and Procrustes r with the classical MDS."""

    stress: float
    r_with_mds: float


@dataclass(frozen=True)
class Neighbours:
    """How faithful t-SNE or UMAP is."""

    seeds: int  # layouts
    trustworthiness: list[float | NotComputed]  # of each layout
    r_between_seeds: float | NotComputed  # mean Procrustes r between two layouts
    means_nothing: bool  # too few members


@dataclass(frozen=True, eq=False)
class DistanceMap:
    """The map of S members under one distance: classical MDS, and how far it can be trusted."""

    eigenvalues: list[float]
    explained: list[float]  # cumulative share of variance
    top_2_share: float  # NaN if the members are identical
    top_2_share_equidistant: float  # if all members were equally far apart
    negative_mass: float  # share of the eigenvalues' magnitude that is negative
    coordinates: Array  # [S, k]
    stability: Stability
    ellipses: pd.DataFrame  # member, x, y, half_axis_1, half_axis_2, angle (radians), of 95%
    split_half: SplitHalf | NotComputed
    smacof: Smacof | NotComputed
    neighbours: Each[Neighbours]  # by tsne, umap
    layouts: pd.DataFrame  # in the plane: member, layout, x, y
    clustering: Clustering

    @property
    def shares(self) -> Array:
        """The share of variance of each axis."""
        return np.diff(self.explained, prepend=0.0)


Maps = Each[DistanceMap]


def lay_out_maps(
    population: Population,
    distances: Distances,
    *,
    maps: Sequence[str] = MAPS,
    bootstrap: int = 200,
    splits: int = 20,
    tsne: int = 3,
    umap: int = 0,
    seed: int = 0,
) -> Maps:
    """Lay the members out under each distance, and ask how far the probe images matter."""
    logits = population.logits
    if unknown := [name for name in maps if not _is_euclidean(name, logits)]:
        raise UserError(
            f"maps={unknown}: expected names from {list(geometry.EUCLIDEAN)}, or a function of "
            "your own that returns features (docs/extending.md)."
        )
    if missing := [name for name in maps if name not in distances.matrices]:
        raise UserError(f"maps={missing}: add {', '.join(missing)} to `distances` too.")
    defined = [name for name in maps if name in distances.matrices.computed()]
    counts = {"tsne": tsne, "umap": umap}

    def lay_out(name: str) -> DistanceMap:
        squared = distances.matrices.computed()[name].squared
        mds = geometry.classical_mds(squared, dimensions=max(2, len(squared) - 1))
        bound = distances.bound(population, name)
        resampled = geometry.bootstrap_layouts(logits, bound, resamples=bootstrap, seed=seed)
        plane = mds.coordinates[:, :2]
        neighbours = {
            method: attempt(_neighbours, method, squared, range(seed, seed + count))
            for method, count in counts.items()
            if count
        }
        smacof = attempt(_smacof, squared, plane, seed)
        layouts = {"mds": plane}
        for made in (*neighbours.values(), smacof):
            layouts |= {} if isinstance(made, NotComputed) else made[1]
        return DistanceMap(
            eigenvalues=mds.eigenvalues.tolist(),
            explained=mds.explained.tolist(),
            top_2_share=float(mds.explained[1]),
            top_2_share_equidistant=geometry.equidistant_share(len(squared)),
            negative_mass=mds.negative_mass,
            coordinates=mds.coordinates[:, :_KEPT_AXES],
            stability=Stability(**vars(interval(resampled.correlations)), resamples=bootstrap),
            ellipses=_ellipses(population, resampled),
            split_half=attempt(_split_half, logits, bound, splits, seed),
            smacof=_without_layouts(smacof),
            neighbours=Each({method: _without_layouts(m) for method, m in neighbours.items()}),
            layouts=_layout_table(population, layouts),
            clustering=cluster(squared),
        )

    return Each(for_each(defined, lay_out))


def _is_euclidean(name: str, logits: NDArray[np.floating]) -> bool:
    """Whether a distance has features; a distance of the user's own is tried on the logits."""
    if is_own(name):
        return geometry.distance(name).on(logits).euclidean
    return name in geometry.EUCLIDEAN


def _without_layouts(made: tuple[T, dict[str, Array]] | NotComputed) -> T | NotComputed:
    return made if isinstance(made, NotComputed) else made[0]


def _neighbours(
    method: str, squared: Array, seeds: Sequence[int]
) -> tuple[Neighbours, dict[str, Array]]:
    """t-SNE or UMAP from several seeds: how faithful they are, and the layouts."""
    place = geometry.tsne if method == "tsne" else geometry.umap
    layouts = [place(squared, seed) for seed in seeds]
    faithful = Neighbours(
        seeds=len(layouts),
        trustworthiness=[attempt(geometry.trustworthiness, squared, xy) for xy in layouts],
        r_between_seeds=attempt(geometry.seed_spread, layouts),
        means_nothing=len(squared) < FEWEST_FOR_NEIGHBOURS,
    )
    return faithful, {f"{method} {k}": xy for k, xy in enumerate(layouts)}


def _smacof(squared: Array, mds: Array, seed: int) -> tuple[Smacof, dict[str, Array]]:
    """SMACOF's stress, and its layout turned onto that of the classical MDS."""
    smacof = geometry.smacof(squared, seed=seed)
    aligned = geometry.procrustes(mds, smacof.coordinates)
    return Smacof(smacof.stress, aligned.correlation), {"smacof": aligned.layout}


def _ellipses(population: Population, resampled: geometry.Bootstrap) -> pd.DataFrame:
    ellipses = geometry.confidence_ellipses(resampled)
    return pd.DataFrame(
        {
            "member": population.names,
            "x": ellipses.centres[:, 0],
            "y": ellipses.centres[:, 1],
            "half_axis_1": ellipses.half_axes[:, 0],
            "half_axis_2": ellipses.half_axes[:, 1],
            "angle": ellipses.angles,
        }
    )


def _split_half(
    logits: NDArray[np.floating], distance: geometry.Distance, splits: int, seed: int
) -> SplitHalf:
    halves = geometry.split_half(logits, distance, splits=splits, seed=seed)
    return SplitHalf(
        r=interval(halves.correlations),
        r_by_chance=interval(halves.chance),
        axes=[interval(axis) for axis in halves.axes.T],
        axes_by_chance=[interval(axis) for axis in halves.axes_chance.T],
        splits=len(halves.correlations),
    )


def _layout_table(population: Population, layouts: Mapping[str, Array]) -> pd.DataFrame:
    tables = [
        pd.DataFrame({"member": population.names, "layout": name, "x": xy[:, 0], "y": xy[:, 1]})
        for name, xy in layouts.items()
    ]
    return pd.concat(tables, ignore_index=True)
