"""How far apart members are under each distance, and how similar the distances are."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from chromatic_descent import geometry
from chromatic_descent.analysis.members import Members
from chromatic_descent.analysis.results import Array, Each, NotComputed, attempt
from chromatic_descent.errors import UserError
from chromatic_descent.own_code import is_own
from chromatic_descent.probe_logits import Population


@dataclass(frozen=True, eq=False)
class Matrix:
    """Squared distances between S members, and their mean and SD over pairs."""

    squared: Array  # [S, S]
    mean: float
    sd: float


@dataclass(frozen=True)
class Mantel:
    """Mantel's r between every two of K distances, with p-values from permutations of members."""

    names: list[str]
    r: list[list[float]]  # [K, K]
    p: list[list[float]]
    permutations: int


@dataclass(frozen=True, eq=False)
class Distances:
    """Distances between members, by name, and Mantel's r between the distances that are defined."""

    matrices: Each[Matrix]
    mantel: Mantel | NotComputed
    temperature: Array  # [S], to which distances are bound that match temperatures

    def bound(self, population: Population, name: str) -> geometry.Distance:
        """A distance with the labels and temperatures that it may need."""
        return geometry.distance(name, labels=population.labels, temperature=self.temperature)


def measure_distances(
    population: Population,
    members: Members,
    *,
    distances: Sequence[str] = geometry.DISTANCES,
    permutations: int = 999,
    seed: int = 0,
) -> Distances:
    """Measure the squared distance between every two members, under every distance."""
    known = geometry.DISTANCES
    if unknown := [name for name in distances if name not in known and not is_own(name)]:
        raise UserError(
            f"distances={unknown}: expected names from {list(known)}, or module.function of your "
            "own."
        )

    logits = population.logits
    inputs = {"labels": population.labels, "temperature": members.temperature}
    bound = [geometry.distance(name, **inputs) for name in distances]

    def measure(distance: geometry.Distance) -> Matrix:
        return _matrix(geometry.distance_matrix(logits, distance))

    try:  # all in one pass over the logits
        squared = geometry.distance_matrices(logits, bound)
        matrices = Each({name: _matrix(squared[name]) for name in distances})
    except UserError:  # at least one is undefined for these members: try each alone
        # A mistake in a function of the user's own is an error.
        named = zip(distances, bound, strict=True)
        matrices = Each({n: measure(d) if is_own(n) else attempt(measure, d) for n, d in named})
    defined = {name: matrix.squared for name, matrix in matrices.computed().items()}
    mantel = attempt(_mantel, defined, permutations, seed)
    return Distances(matrices, mantel, members.temperature)


def _matrix(squared: Array) -> Matrix:
    pairs = squared[np.triu_indices(len(squared), 1)]
    return Matrix(squared, float(pairs.mean()), float(pairs.std()))


def _mantel(squared: dict[str, Array], permutations: int, seed: int) -> Mantel:
    if len(squared) < 2:
        raise UserError("Mantel's r compares distances: at least two must be defined.")
    mantel = geometry.mantel_matrix(squared, permutations=permutations, seed=seed)
    r, p = mantel.correlation.tolist(), mantel.p_value.tolist()
    return Mantel(list(mantel.names), r, p, permutations)
