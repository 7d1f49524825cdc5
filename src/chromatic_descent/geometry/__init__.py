"""The geometry of function space: distances between members, layouts, and whether they are real.

Pure functions on NumPy arrays; a `.npy` of logits [S, N, C] from any source is enough.
"""

from chromatic_descent.geometry.alignment import Alignment, procrustes
from chromatic_descent.geometry.definitions import DISTANCES, EUCLIDEAN, features
from chromatic_descent.geometry.distances import distance_matrices, distance_matrix
from chromatic_descent.geometry.embeddings import (
    ClassicalMDS,
    Smacof,
    classical_mds,
    explained_stress,
    smacof,
)
from chromatic_descent.geometry.inpca import InPCA, inpca
from chromatic_descent.geometry.items import reweighted_distances
from chromatic_descent.geometry.logits import check_logits
from chromatic_descent.geometry.mantel import MantelMatrix, mantel, mantel_matrix
from chromatic_descent.geometry.neighbours import seed_spread, trustworthiness, tsne, umap
from chromatic_descent.geometry.nulls import (
    NullTest,
    equidistant_share,
    isotropic,
    permuted_distances,
)
from chromatic_descent.geometry.permanova import Permanova, permanova
from chromatic_descent.geometry.scale_and_bias import temperature_and_bias
from chromatic_descent.geometry.shuffles import independent_errors, within_class_shuffles
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
    "InPCA",
    "MantelMatrix",
    "NullTest",
    "Permanova",
    "Smacof",
    "SplitHalf",
    "bootstrap_layouts",
    "check_logits",
    "classical_mds",
    "confidence_ellipses",
    "distance_matrices",
    "distance_matrix",
    "equidistant_share",
    "explained_stress",
    "features",
    "independent_errors",
    "inpca",
    "isotropic",
    "mantel",
    "mantel_matrix",
    "permanova",
    "permuted_distances",
    "procrustes",
    "reweighted_distances",
    "seed_spread",
    "smacof",
    "split_half",
    "temperature_and_bias",
    "trustworthiness",
    "tsne",
    "umap",
    "within_class_shuffles",
]
