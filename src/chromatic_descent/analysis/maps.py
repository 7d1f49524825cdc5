"""Maps of members under each Euclidean distance, and how much they depend on the probe images."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from chromatic_descent import geometry
from chromatic_descent.analysis.distances import Distances
from chromatic_descent.analysis.results import Array, Each, Interval, NotComputed, attempt, for_each
from chromatic_descent.errors import UserError
from chromatic_descent.own_code import is_own
from chromatic_descent.probe_logits import Population

FEWEST_FOR_NEIGHBOURS = 10  # t-SNE and UMAP of fewer members mean nothing
MAPS = ("logit_mse", "logit_mse_centred", "logit_mse_matched", "hellinger")
_KEPT_AXES = 10  # of a layout: enough for every figure and for drivers
_FEW = 300  # members, below which the optimal order of a clustering (S³ steps) is computed


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
class Clustering:
    """Average-linkage clustering of S members; leaves are at 0, 1, 2, …, heights are distances."""

    order: NDArray[np.int64]  # [S], members in the order of the leaves
    tree: Array  # [S − 1, 2, 4], the corners of each join: positions and heights


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
    """Lay the members out under each distance, and test how much depends on the probe images."""
    logits = population.logits
    own = (name for name in maps if is_own(name))  # these are tried on the logits
    euclidean = {
        *geometry.EUCLIDEAN,
        *(n for n in own if geometry.distance(n).on(logits).euclidean),
    }
    if unknown := [name for name in maps if name not in euclidean]:
        raise UserError(
            f"maps={unknown}: expected names from {list(geometry.EUCLIDEAN)}, or a function of "
            "your own that returns features (docs/extending.md)."
        )
    if missing := [name for name in maps if name not in distances.matrices]:
        raise UserError(f"maps={missing}: add {', '.join(missing)} to `distances` too.")

    def lay_out(name: str) -> DistanceMap:
        squared = distances.matrices.computed()[name].squared
        bound = distances.bound(population, name)
        mds = geometry.classical_mds(squared, dimensions=max(2, len(squared) - 1))
        resampled = geometry.bootstrap_layouts(logits, bound, resamples=bootstrap, seed=seed)
        layouts = {"mds": mds.coordinates[:, :2]}

        def neighbours(method: str, count: int) -> Neighbours:
            embed = geometry.tsne if method == "tsne" else geometry.umap
            embeddings = [embed(squared, seed + k) for k in range(count)]
            layouts.update({f"{method} {k}": xy for k, xy in enumerate(embeddings)})
            return Neighbours(
                seeds=count,
                trustworthiness=[attempt(geometry.trustworthiness, squared, e) for e in embeddings],
                r_between_seeds=attempt(geometry.seed_spread, embeddings),
                means_nothing=len(squared) < FEWEST_FOR_NEIGHBOURS,
            )

        def smacof() -> Smacof:
            fitted = geometry.smacof(squared, seed=seed)
            aligned = geometry.procrustes(layouts["mds"], fitted.coordinates)
            layouts["smacof"] = aligned.layout
            return Smacof(fitted.stress, aligned.correlation)

        counts = {"tsne": tsne, "umap": umap}
        return DistanceMap(
            eigenvalues=mds.eigenvalues.tolist(),
            explained=mds.explained.tolist(),
            top_2_share=float(mds.explained[1]),
            top_2_share_equidistant=geometry.equidistant_share(len(squared)),
            negative_mass=mds.negative_mass,
            coordinates=mds.coordinates[:, :_KEPT_AXES],
            stability=Stability(**vars(Interval.of(resampled.correlations)), resamples=bootstrap),
            ellipses=_ellipses(population, resampled),
            split_half=attempt(_split_half, logits, bound, splits, seed),
            neighbours=Each({m: attempt(neighbours, m, n) for m, n in counts.items() if n}),
            smacof=attempt(smacof),
            layouts=_layout_table(population, layouts),  # all, now that the others are added
            clustering=_cluster(squared),
        )

    return Each(for_each([n for n in maps if n in distances.matrices.computed()], lay_out))


def _ellipses(population: Population, resampled: geometry.Bootstrap) -> pd.DataFrame:
    ellipses = geometry.confidence_ellipses(resampled)
    columns = ["x", "y", "half_axis_1", "half_axis_2", "angle"]
    values = np.column_stack([ellipses.centres, ellipses.half_axes, ellipses.angles])
    return pd.DataFrame({"member": population.names, **dict(zip(columns, values.T, strict=True))})


def _split_half(
    logits: NDArray[np.floating], distance: geometry.Distance, splits: int, seed: int
) -> SplitHalf:
    halves = geometry.split_half(logits, distance, splits=splits, seed=seed)
    return SplitHalf(
        r=Interval.of(halves.correlations),
        r_by_chance=Interval.of(halves.chance),
        axes=[Interval.of(axis) for axis in halves.axes.T],
        axes_by_chance=[Interval.of(axis) for axis in halves.axes_chance.T],
        splits=len(halves.correlations),
    )


def _layout_table(population: Population, layouts: dict[str, Array]) -> pd.DataFrame:
    member, layout = (
        population.names * len(layouts),
        np.repeat(list(layouts), len(population.names)),
    )
    x, y = np.concatenate(list(layouts.values())).T
    return pd.DataFrame({"member": member, "layout": layout, "x": x, "y": y})


def _cluster(squared: Array) -> Clustering:
    from scipy.cluster.hierarchy import dendrogram, linkage
    from scipy.spatial.distance import squareform

    condensed = squareform(np.sqrt(np.maximum(squared, 0)), checks=False)
    joined = linkage(condensed, "average", optimal_ordering=len(squared) < _FEW)
    tree = dendrogram(joined, no_plot=True)
    positions = (np.array(tree["icoord"]) - 5) / 10  # SciPy has leaves at 5, 15, 25, …
    return Clustering(
        order=np.array(tree["leaves"], dtype=np.int64),
        tree=np.stack([positions, np.array(tree["dcoord"])], axis=1),
    )
