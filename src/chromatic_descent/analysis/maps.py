"""Where members lie: distances between them, how alike the distances are, and layouts."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from chromatic_descent import geometry
from chromatic_descent.analysis.results import Result, attempt, computed, for_each
from chromatic_descent.errors import UserError
from chromatic_descent.own_code import is_own
from chromatic_descent.probe_logits import Population

FEWEST_FOR_NEIGHBOURS = 10  # t-SNE and UMAP of fewer members mean nothing
MAPS = ("logit_mse", "logit_mse_centred", "logit_mse_matched", "hellinger")
_KEPT_AXES = 10  # of a layout: enough for every figure and for drivers


def distances(
    population: Population,
    members: Result,
    *,
    distances: Sequence[str] = geometry.DISTANCES,
    permutations: int = 999,
    seed: int = 0,
) -> Result:
    """The squared distance between every two members, and Mantel's r between all distances.

    {matrices: {name: {squared [S, S], mean, sd}}, mantel: {names, r, p}}
    """
    known = geometry.DISTANCES
    if unknown := [name for name in distances if name not in known and not is_own(name)]:
        raise UserError(
            f"distances={unknown}: expected names from {list(known)}, or module.function of your "
            "own."
        )
    inputs: dict[str, Any] = {"labels": population.labels, "temperature": temperatures(members)}
    try:  # all in one pass over the logits
        squared = geometry.distance_matrices(
            population.logits, [geometry.distance(name, **inputs) for name in distances]
        )
        matrices = {name: _matrix(squared[name]) for name in distances}
    except UserError:  # at least one is not defined for these members: find out which
        matrices = {name: _attempted(population.logits, name, **inputs) for name in distances}
    defined = {name: found["squared"] for name, found in matrices.items() if computed(found)}

    def mantel() -> Result:
        if len(defined) < 2:
            raise UserError("Mantel's r compares distances: at least two must be defined.")
        found = geometry.mantel_matrix(defined, permutations=permutations, seed=seed)
        return {
            "names": list(found.names),
            "r": found.correlation.tolist(),
            "p": found.p_value.tolist(),
            "permutations": permutations,
        }

    return {"matrices": matrices, "mantel": attempt(mantel)}


def maps(
    population: Population,
    members: Result,
    distances: Result,
    *,
    maps: Sequence[str] = MAPS,
    bootstrap: int = 200,
    splits: int = 20,
    tsne: int = 3,
    umap: int = 0,
    seed: int = 0,
) -> Result:
    """Layouts of the members under each distance, and how far they depend on the probe images.

    By distance: eigenvalues, explained, top_2_share, negative_mass of the classical MDS, its
    coordinates [S, k]; stability, ellipses and split_half over probe images; smacof; neighbours
    (t-SNE, UMAP); layouts, all of them in the plane. And `inpca`, from Bhattacharyya's distance.
    """
    logits, fitted = population.logits, temperatures(members)
    if unknown := [
        name
        for name in maps
        if not (
            name in geometry.EUCLIDEAN
            or (is_own(name) and geometry.distance(name).on(logits).euclidean)
        )
    ]:
        raise UserError(
            f"maps={unknown}: expected names from {list(geometry.EUCLIDEAN)}, or a function of "
            "your own that returns features (docs/extending.md)."
        )
    if missing := [name for name in maps if name not in distances["matrices"]]:
        raise UserError(f"maps={missing}: add {', '.join(missing)} to `distances` too.")
    defined = [name for name in maps if computed(distances["matrices"][name])]
    options = {"temperature": fitted, "seed": seed}
    seeds = {"tsne": tsne, "umap": umap}
    return for_each(defined, _view, population, distances, bootstrap, splits, seeds, options)


def inpca(population: Population, distances: Result) -> Result:
    """InPCA of Bhattacharyya's distance: coordinates [S, k], eigenvalues, explained stress."""
    matrix = distances["matrices"].get("bhattacharyya", {"not_computed": "not in `distances`"})
    if not computed(matrix):
        return dict(matrix)

    def layout() -> Result:
        members = len(matrix["squared"])
        found = geometry.inpca(matrix["squared"], min(_KEPT_AXES, members))
        return {
            "coordinates": found.coordinates,
            "eigenvalues": found.eigenvalues.tolist(),
            "explained_stress": found.explained_stress.tolist(),
        }

    return dict(attempt(layout))


def temperatures(members: Result) -> NDArray[np.float64]:
    """The members' fitted temperatures [S]."""
    fitted: NDArray[np.float64] = members["table"]["temperature"].to_numpy()
    return fitted


def _attempted(logits: NDArray[np.floating], name: str, **inputs: Any) -> Result:
    """A matrix, or why there is none; what is wrong with a function of the user's is an error."""
    if is_own(name):
        return _matrix_of(logits, name, **inputs)
    return dict(attempt(_matrix_of, logits, name, **inputs))


def _matrix_of(logits: NDArray[np.floating], name: str, **inputs: Any) -> Result:
    return _matrix(geometry.distance_matrix(logits, geometry.distance(name, **inputs)))


def _matrix(squared: NDArray[np.float64]) -> Result:
    pairs = squared[np.triu_indices(len(squared), 1)]
    return {"squared": squared, "mean": pairs.mean(), "sd": pairs.std()}


def _view(
    name: str,
    population: Population,
    distances: Result,
    bootstrap: int,
    splits: int,
    seeds: dict[str, int],
    options: dict[str, Any],
) -> Result:
    logits, squared, seed = (
        population.logits,
        distances["matrices"][name]["squared"],
        options["seed"],
    )
    distance = geometry.distance(name, temperature=options["temperature"])
    count = len(squared)
    mds = geometry.classical_mds(squared, dimensions=max(2, count - 1))
    resampled = geometry.bootstrap_layouts(logits, distance, resamples=bootstrap, seed=seed)
    smacof = attempt(geometry.smacof, squared, seed=seed)
    neighbours, layouts = _neighbours(squared, seeds, seed)
    layouts = {"mds": mds.coordinates[:, :2], **layouts}
    if computed(smacof):
        layouts["smacof"] = geometry.procrustes(layouts["mds"], smacof.coordinates).layout
    return {
        "eigenvalues": mds.eigenvalues.tolist(),
        "explained": mds.explained.tolist(),
        "top_2_share": mds.explained[1],
        "top_2_share_equidistant": geometry.equidistant_share(count),
        "negative_mass": mds.negative_mass,
        "coordinates": mds.coordinates[:, :_KEPT_AXES],
        "stability": {**interval(resampled.correlations), "resamples": bootstrap},
        "ellipses": _ellipses(population, resampled),
        "split_half": attempt(_split_half, logits, distance, splits=splits, seed=seed),
        "smacof": {
            "stress": smacof.stress,
            "r_with_mds": geometry.procrustes(layouts["mds"], smacof.coordinates).correlation,
        }
        if computed(smacof)
        else smacof,
        "neighbours": neighbours,
        "layouts": pd.concat(
            [
                pd.DataFrame(
                    {"member": population.names, "layout": layout, "x": xy[:, 0], "y": xy[:, 1]}
                )
                for layout, xy in layouts.items()
            ],
            ignore_index=True,
        ),
    }


def _neighbours(
    squared: NDArray[np.float64], seeds: dict[str, int], seed: int
) -> tuple[Result, dict[str, NDArray[np.float64]]]:
    """t-SNE and UMAP from several seeds: how faithful, how alike, and the layouts."""
    found: Result = {}
    layouts: dict[str, NDArray[np.float64]] = {}
    for method, count in seeds.items():
        if count:
            place = geometry.tsne if method == "tsne" else geometry.umap
            made = attempt(_layouts, place, squared, range(seed, seed + count))
            found[method] = made
            if computed(made):
                layouts |= {f"{method} {k}": xy for k, xy in enumerate(made.pop("layouts"))}
    return found, layouts


def _layouts(
    place: Callable[..., Any], squared: NDArray[np.float64], seeds: Sequence[int]
) -> Result:
    layouts = [place(squared, seed) for seed in seeds]
    return {
        "layouts": layouts,
        "seeds": len(layouts),
        "trustworthiness": [attempt(geometry.trustworthiness, squared, xy) for xy in layouts],
        "r_between_seeds": attempt(geometry.seed_spread, layouts),
        "means_nothing": len(squared) < FEWEST_FOR_NEIGHBOURS,
    }


def _ellipses(population: Population, resampled: geometry.Bootstrap) -> pd.DataFrame:
    found = geometry.confidence_ellipses(resampled)
    return pd.DataFrame(
        {
            "member": population.names,
            "x": found.centres[:, 0],
            "y": found.centres[:, 1],
            "half_axis_1": found.half_axes[:, 0],
            "half_axis_2": found.half_axes[:, 1],
            "angle": found.angles,
        }
    )


def _split_half(
    logits: NDArray[np.floating], distance: geometry.Distance, **options: Any
) -> Result:
    found = geometry.split_half(logits, distance, **options)
    return {
        "r": interval(found.correlations),
        "r_by_chance": interval(found.chance),
        "axes": [interval(axis) for axis in found.axes.T],
        "axes_by_chance": [interval(axis) for axis in found.axes_chance.T],
        "splits": len(found.correlations),
    }


def interval(values: NDArray[np.float64]) -> dict[str, float]:
    """Mean and central 95% of draws."""
    low, high = np.quantile(values, [0.025, 0.975])
    return {"mean": float(np.mean(values)), "low": float(low), "high": float(high)}
