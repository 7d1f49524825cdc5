"""The geometry of function space: distances between members, layouts, and tests of their structure.

Pure functions on NumPy arrays; a `.npy` file of logits [S, N, C] from any source is enough.
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
from chromatic_descent.geometry.nulls.scale_and_bias import temperature_and_bias
from chromatic_descent.geometry.nulls.shuffles import independent_errors, within_class_shuffles
from chromatic_descent.geometry.nulls.spectra import (
    independent_errors_spectra,
    isotropic_spectra,
    null_spectra,
)
from chromatic_descent.geometry.nulls.testing import NullTest
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

__all__ = ["check_logits", "reflected_interval", "resampled_counts"]
__all__ += ["DISTANCES", "EUCLIDEAN", "Distance", "distance", "features", "title_of"]
__all__ += ["distance_matrices", "distance_matrix", "reweighted_distances"]
__all__ += ["Alignment", "ClassicalMDS", "InPCA", "Smacof", "Trajectories", "classical_mds"]
__all__ += ["explained_stress", "inpca", "procrustes", "progress", "seed_spread", "smacof"]
__all__ += ["trajectories", "trustworthiness", "tsne", "umap"]
__all__ += ["Bootstrap", "Ellipses", "SplitHalf", "bootstrap_layouts", "confidence_ellipses"]
__all__ += ["split_half"]
__all__ += ["NullTest", "equidistant_share", "independent_errors", "independent_errors_spectra"]
__all__ += ["isotropic", "isotropic_spectra", "null_spectra", "permuted_distances"]
__all__ += ["temperature_and_bias", "within_class_shuffles"]
__all__ += ["NewDirections", "TwoNN", "dimension_curve", "dimension_estimates", "new_directions"]
__all__ += ["outside_share", "parallel_analysis", "participation_ratio", "two_nn"]
__all__ += ["MantelMatrix", "Permanova", "mantel", "mantel_matrix", "permanova"]
__all__ += ["INTERVENTIONS", "AxisDrivers", "drive_axes", "holm", "intervene", "interventions"]
__all__ += ["member_drivers"]
