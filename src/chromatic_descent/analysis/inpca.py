"""InPCA of the members, from Bhattacharyya's distance."""

from dataclasses import dataclass

from chromatic_descent import geometry
from chromatic_descent.analysis.distances import Distances
from chromatic_descent.analysis.results import Array, NotComputed, attempt
from chromatic_descent.probe_logits import Population

_KEPT_AXES = 10


@dataclass(frozen=True, eq=False)
class InPCA:
    """A layout of S members by InPCA; axes of negative eigenvalues are imaginary."""

    coordinates: Array  # [S, k]
    eigenvalues: list[float]  # nats, the largest magnitude first
    explained_stress: list[float]  # cumulative


def lay_out_by_inpca(population: Population, distances: Distances) -> InPCA | NotComputed:
    """Lay the members out by InPCA of Bhattacharyya's distance."""
    matrix = distances.matrices.find("bhattacharyya", "not in `distances`")
    return matrix if isinstance(matrix, NotComputed) else attempt(_inpca, matrix.squared)


def _inpca(squared: Array) -> InPCA:
    layout = geometry.inpca(squared, min(_KEPT_AXES, len(squared)))
    return InPCA(layout.coordinates, layout.eigenvalues.tolist(), layout.explained_stress.tolist())
