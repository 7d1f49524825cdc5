"""The analysis of a population: its logits in, every number out. No files, no figures.

from chromatic_descent import analysis, probe_logits
population = probe_logits.stack([probe_logits.load(path) for path in paths])
results = analysis.analyse(population)
results.maps["hellinger"].mds.explained
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from chromatic_descent import ensemble, geometry
from chromatic_descent.errors import UserError
from chromatic_descent.probe_logits import Population

COMBINERS: dict[str, Callable[[Any], NDArray[np.float64]]] = {
    "mean_probability": ensemble.mean_probability,
    "mean_logit": ensemble.mean_logit,
}
DISTANCES = ("logit_mse", "logit_mse_centred", "logit_mse_matched", "hellinger")
FEWEST_FOR_NULL = 4  # permuting the distances of fewer members only renames them
FEWEST_FOR_NEIGHBOURS = 10  # t-SNE and UMAP of fewer members mean nothing
_METRICS = {
    "accuracy": ensemble.accuracy,
    "nll": ensemble.nll,
    "brier": ensemble.brier,
    "ece": ensemble.ece,
}


@dataclass(frozen=True)
class Map:
    """The population under one distance.

    Attributes:
        squared: [S, S] squared distances.
        mds: the classical MDS layout and its spectrum.
        bootstrap: layouts of resampled probes.
        null: the permuted-distances test of the top-2 share; None with too few members.
        layouts: further 2-D layouts by name (`tsne 0`, `umap 1`), [S, 2] each.
    """

    squared: NDArray[np.float64]
    mds: geometry.ClassicalMDS
    bootstrap: geometry.Bootstrap
    null: geometry.NullTest | None
    layouts: dict[str, NDArray[np.float64]]


@dataclass(frozen=True)
class Analysis:
    """Everything computed from a population.

    Attributes:
        population: what it was computed from.
        members: one row per member: member, seed, accuracy, nll, brier, ece, temperature.
        maps: one `Map` per distance; empty for a single member.
        curves: ensemble quality by size, tidy: combiner, size, metric, mean, low, high, subsets.
    """

    population: Population
    members: pd.DataFrame
    maps: dict[str, Map]
    curves: pd.DataFrame


def analyse(
    population: Population,
    *,
    distances: Sequence[str] = DISTANCES,
    bootstrap: int = 200,
    permutations: int = 999,
    tsne: int = 0,
    umap: int = 0,
    combiners: Sequence[str] = tuple(COMBINERS),
    subsets: int = 50,
    seed: int = 0,
) -> Analysis:
    """Compute members' quality, maps under each distance, and ensembles by size.

    Args:
        population: S members on one probe.
        distances: names from `geometry.DISTANCES`.
        bootstrap: resamples of the probe images per distance.
        permutations: of the distances, for the null; needs at least 4 members.
        tsne, umap: how many seeds of each layout; none with fewer than 4 members.
        combiners: names from `COMBINERS`.
        subsets: largest number of subsets scored per ensemble size.
        seed: of every random draw.

    Raises:
        UserError: a name is unknown or a number out of range.
    """
    if unknown := [name for name in distances if name not in geometry.DISTANCES]:
        raise UserError(f"distances={unknown}: expected names from {list(geometry.DISTANCES)}.")
    if unknown := [name for name in combiners if name not in COMBINERS]:
        raise UserError(f"combiners={unknown}: expected names from {list(COMBINERS)}.")
    members = _members(population)
    temperature = members["temperature"].to_numpy()
    maps = {}
    if len(members) > 1:  # one member has no distances
        for name in distances:
            maps[name] = _map(
                population.logits,
                name,
                temperature,
                bootstrap=bootstrap,
                permutations=permutations,
                neighbours={"tsne": tsne, "umap": umap},
                seed=seed,
            )
    curves = [
        ensemble.size_curve(
            population.logits,
            population.labels,
            combiner=COMBINERS[name],
            subsets=subsets,
            seed=seed,
        ).assign(combiner=name)
        for name in combiners
    ]
    return Analysis(population, members, maps, pd.concat(curves, ignore_index=True))


def top_two(mds: geometry.ClassicalMDS) -> float:
    """The share of variance that the first two axes explain (all of it with two members)."""
    return float(mds.explained[min(2, len(mds.explained)) - 1])


def numbers(analysis: Analysis) -> dict[str, Any]:
    """Every number of an analysis as plain data, ready for JSON; NaN becomes None."""
    population = analysis.population
    plain: dict[str, Any] = _plain(
        {
            "members": analysis.members.to_dict("records"),
            "probe": {
                "hash": population.records[0]["probe_hash"],
                "images": len(population.labels),
                "classes": population.classes,
            },
            "distances": {name: _map_numbers(view) for name, view in analysis.maps.items()},
            "ensemble": analysis.curves.to_dict("records"),
        }
    )
    return plain


def _members(population: Population) -> pd.DataFrame:
    log_probs = ensemble.log_softmax(population.logits)  # [S, N, C]
    scores = {name: metric(log_probs, population.labels) for name, metric in _METRICS.items()}
    temperature = ensemble.fit_temperature(population.logits, population.labels)
    return pd.DataFrame(
        {
            "member": population.names,
            "seed": population.seeds,
            **scores,
            "temperature": temperature,
        }
    )


def _map(
    logits: NDArray[np.float32],
    name: str,
    temperature: NDArray[np.float64],
    *,
    bootstrap: int,
    permutations: int,
    neighbours: dict[str, int],
    seed: int,
) -> Map:
    squared = geometry.distance_matrix(logits, name, temperature=temperature)
    members = len(squared)
    mds = geometry.classical_mds(squared, dimensions=max(2, members - 1))
    layouts = {}
    if members >= FEWEST_FOR_NULL:
        for method, seeds in neighbours.items():
            place = geometry.tsne if method == "tsne" else geometry.umap
            for k in range(seeds):
                layouts[f"{method} {k}"] = place(squared, seed + k)
    return Map(
        squared=squared,
        mds=mds,
        bootstrap=geometry.bootstrap_layouts(
            logits, name, resamples=bootstrap, seed=seed, temperature=temperature
        ),
        null=geometry.permuted_distances(squared, permutations=permutations, seed=seed)
        if members >= FEWEST_FOR_NULL and squared.any()
        else None,
        layouts=layouts,
    )


def _map_numbers(view: Map) -> dict[str, Any]:
    members = len(view.squared)
    pairs = view.squared[np.triu_indices(members, 1)]
    stability = view.bootstrap.correlations
    return {
        "mean_squared_distance": pairs.mean(),
        "sd_squared_distance": pairs.std(),
        "eigenvalues": view.mds.eigenvalues.tolist(),
        "explained": view.mds.explained.tolist(),
        "top_2_share": top_two(view.mds),
        "top_2_share_equidistant": geometry.equidistant_share(members),
        "negative_mass": view.mds.negative_mass,
        "stability": {
            "mean": stability.mean(),
            "low": np.quantile(stability, 0.025),
            "high": np.quantile(stability, 0.975),
            "resamples": len(stability),
        },
        "permuted_distances": None
        if view.null is None
        else {
            "p_value": view.null.p_value,
            "null_mean": view.null.null.mean(),
            "null_low": np.quantile(view.null.null, 0.025),
            "null_high": np.quantile(view.null.null, 0.975),
            "permutations": len(view.null.null),
        },
        "seed_spread": seed_spread(view),
    }


def seed_spread(view: Map) -> dict[str, float]:
    """How alike the seeds of each layout method came out: their mean Procrustes correlation."""
    spread = {}
    for method in sorted({name.split()[0] for name in view.layouts}):
        first, *rest = (xy for name, xy in view.layouts.items() if name.split()[0] == method)
        if rest:
            spread[method] = float(
                np.mean([geometry.procrustes(first, other).correlation for other in rest])
            )
    return spread


def _plain(value: Any) -> Any:
    """Numpy scalars to Python's, NaN to None, in nested containers."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not np.isfinite(value) else value
