"""The geometry of function space: distances between members, layouts, and whether they are real.

Pure functions on NumPy arrays; a `.npy` of logits [S, N, C] from any source is enough.
"""

from chromatic_descent.geometry.checks import check_logits
from chromatic_descent.geometry.dimension.curve import dimension_curve, dimension_estimates
from chromatic_descent.geometry.dimension.directions import (
    NewDirections,
    new_directions,
    outside_share,
)
from chromatic_descent.geometry.dimension.estimates import (
    TwoNN,
    parallel_analysis,
    participation_ratio,
    two_nn,
)
from chromatic_descent.geometry.distances.by_name import (
    DISTANCES,
    EUCLIDEAN,
    distance,
    features,
    title_of,
)
from chromatic_descent.geometry.distances.definition import Distance
from chromatic_descent.geometry.distances.items import reweighted_distances
from chromatic_descent.geometry.distances.matrices import distance_matrices, distance_matrix
from chromatic_descent.geometry.drivers.axes import AxisDrivers, drive_axes, holm
from chromatic_descent.geometry.drivers.interventions import INTERVENTIONS, intervene, interventions
from chromatic_descent.geometry.drivers.member_drivers import member_drivers
from chromatic_descent.geometry.layouts.alignment import Alignment, procrustes
from chromatic_descent.geometry.layouts.inpca import InPCA, inpca
from chromatic_descent.geometry.layouts.mds import (
    ClassicalMDS,
    Smacof,
    classical_mds,
    explained_stress,
    smacof,
)
from chromatic_descent.geometry.layouts.neighbours import seed_spread, trustworthiness, tsne, umap
from chromatic_descent.geometry.layouts.trajectories import Trajectories, progress, trajectories
from chromatic_descent.geometry.nulls.distance_nulls import (
    equidistant_share,
    isotropic,
    permuted_distances,
)
from chromatic_descent.geometry.nulls.null_test import NullTest
from chromatic_descent.geometry.nulls.scale_and_bias import temperature_and_bias
from chromatic_descent.geometry.nulls.shuffles import independent_errors, within_class_shuffles
from chromatic_descent.geometry.nulls.spectra import (
    independent_errors_spectra,
    isotropic_spectra,
    null_spectra,
)
from chromatic_descent.geometry.permutation_tests.mantel import MantelMatrix, mantel, mantel_matrix
from chromatic_descent.geometry.permutation_tests.permanova import Permanova, permanova
from chromatic_descent.geometry.resampling import reflected_interval, resampled_counts
from chromatic_descent.geometry.stability.bootstrap import (
    Bootstrap,
    Ellipses,
    bootstrap_layouts,
    confidence_ellipses,
)
from chromatic_descent.geometry.stability.split_half import SplitHalf, split_half

__all__ = [
    "DISTANCES",
    "EUCLIDEAN",
    "INTERVENTIONS",
    "Alignment",
    "AxisDrivers",
    "Bootstrap",
    "ClassicalMDS",
    "Distance",
    "Ellipses",
    "InPCA",
    "MantelMatrix",
    "NewDirections",
    "NullTest",
    "Permanova",
    "Smacof",
    "SplitHalf",
    "Trajectories",
    "TwoNN",
    "bootstrap_layouts",
    "check_logits",
    "classical_mds",
    "confidence_ellipses",
    "dimension_curve",
    "dimension_estimates",
    "distance",
    "distance_matrices",
    "distance_matrix",
    "drive_axes",
    "equidistant_share",
    "explained_stress",
    "features",
    "holm",
    "independent_errors",
    "independent_errors_spectra",
    "inpca",
    "intervene",
    "interventions",
    "isotropic",
    "isotropic_spectra",
    "mantel",
    "mantel_matrix",
    "member_drivers",
    "new_directions",
    "null_spectra",
    "outside_share",
    "parallel_analysis",
    "participation_ratio",
    "permanova",
    "permuted_distances",
    "procrustes",
    "progress",
    "reflected_interval",
    "resampled_counts",
    "reweighted_distances",
    "seed_spread",
    "smacof",
    "split_half",
    "temperature_and_bias",
    "title_of",
    "trajectories",
    "trustworthiness",
    "tsne",
    "two_nn",
    "umap",
    "within_class_shuffles",
]
