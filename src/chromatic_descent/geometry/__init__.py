"""The geometry of function space: distances between members, layouts, and whether they are real.

Pure functions on NumPy arrays; a `.npy` of logits [S, N, C] from any source is enough.
"""

from chromatic_descent.geometry.alignment import Alignment, procrustes
from chromatic_descent.geometry.definitions import DISTANCES, EUCLIDEAN, features
from chromatic_descent.geometry.distances import distance_matrices, distance_matrix
from chromatic_descent.geometry.embeddings import ClassicalMDS, classical_mds, tsne, umap
from chromatic_descent.geometry.items import reweighted_distances
from chromatic_descent.geometry.logits import check_logits
from chromatic_descent.geometry.nulls import NullTest, equidistant_share, permuted_distances
from chromatic_descent.geometry.stability import (
    Bootstrap,
    Ellipses,
    SplitHalf,
    bootstrap_layouts,
    confidence_ellipses,
    split_half,
)

__all__ = [
    "DISTANCES",
    "EUCLIDEAN",
    "Alignment",
    "Bootstrap",
    "ClassicalMDS",
    "Ellipses",
    "NullTest",
    "SplitHalf",
    "bootstrap_layouts",
    "check_logits",
    "classical_mds",
    "confidence_ellipses",
    "distance_matrices",
    "distance_matrix",
    "equidistant_share",
    "features",
    "permuted_distances",
    "procrustes",
    "reweighted_distances",
    "split_half",
    "tsne",
    "umap",
]
