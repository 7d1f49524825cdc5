"""The geometry of function space: distances between members, layouts, and whether they are real.

Pure functions on NumPy arrays; a `.npy` of logits [S, N, C] from any source is enough.
"""

from chromatic_descent.geometry.alignment import Alignment, procrustes
from chromatic_descent.geometry.distances import (
    DISTANCES,
    distance_matrix,
    features,
    reweighted_distances,
)
from chromatic_descent.geometry.embeddings import ClassicalMDS, classical_mds, tsne, umap
from chromatic_descent.geometry.nulls import NullTest, equidistant_share, permuted_distances
from chromatic_descent.geometry.stability import Bootstrap, bootstrap_layouts

__all__ = [
    "DISTANCES",
    "Alignment",
    "Bootstrap",
    "ClassicalMDS",
    "NullTest",
    "bootstrap_layouts",
    "classical_mds",
    "distance_matrix",
    "equidistant_share",
    "features",
    "permuted_distances",
    "procrustes",
    "reweighted_distances",
    "tsne",
    "umap",
]
