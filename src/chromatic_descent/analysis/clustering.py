"""Average-linkage clustering of members, for the order of a heatmap and the tree beside it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chromatic_descent.analysis.results import Array

_FEW = 300  # members from which on an optimal order, which takes S³ steps, is not looked for


@dataclass(frozen=True, eq=False)
class Clustering:
    """A tree of S members; its leaves are at 0, 1, 2, …, its heights are distances, not squared."""

    order: NDArray[np.int64]  # [S], members in the order of the leaves
    tree: Array  # [S − 1, 2, 4], the corners of each join: positions and heights


def cluster(squared: Array) -> Clustering:
    """Cluster at least two members by average linkage, from squared distances [S, S]."""
    from scipy.cluster.hierarchy import dendrogram, linkage
    from scipy.spatial.distance import squareform

    condensed = squareform(np.sqrt(np.maximum(squared, 0)), checks=False)
    joined = linkage(condensed, "average", optimal_ordering=len(squared) < _FEW)
    tree = dendrogram(joined, no_plot=True)
    along = (np.array(tree["icoord"]) - 5) / 10
    return Clustering(
        order=np.array(tree["leaves"], dtype=np.int64),
        tree=np.stack([along, np.array(tree["dcoord"])], axis=1),
    )
