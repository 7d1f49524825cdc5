"""The layout under every weighting of the probe items, for bootstraps and halves."""

import itertools
from collections.abc import Callable, Iterator

import numpy as np
import scipy.linalg

from chromatic_descent.geometry.checks import Array, Floats
from chromatic_descent.geometry.cores import one_thread_a_core, processors
from chromatic_descent.geometry.distances.definition import Distance
from chromatic_descent.geometry.distances.items import MANY, reweighted_distances
from chromatic_descent.geometry.distances.kernels import weighted_kernels
from chromatic_descent.geometry.layouts.mds import classical_mds, double_centred, without_roundoff


def weighted_layouts(
    logits: Floats,
    distance: Distance,
    weights: Floats,
    dimensions: int,
    on_progress: Callable[[float], None] | None,
) -> Iterator[Array]:
    """Yield the classical MDS layout [S, k] of each item weighting [B, N]."""
    done = [0.0, 0.0]  # of the distances, of the layouts

    def report(part: int, fraction: float) -> None:
        done[part] = fraction
        if on_progress is not None:
            on_progress(sum(done) / 2)

    if len(logits) < MANY:
        matrices = reweighted_distances(logits, distance, weights)
        report(0, 1.0)
        for b, squared in enumerate(matrices):
            yield classical_mds(squared, dimensions).coordinates
            report(1, (b + 1) / len(weights))
        return
    kernels = weighted_kernels(
        logits, distance, weights, report=lambda fraction: report(0, fraction)
    )
    count = 0
    while batch := list(itertools.islice(kernels, processors())):
        with one_thread_a_core() as pool:
            for layout in pool.map(_leading_axes, batch, [dimensions] * len(batch)):
                yield layout
                count += 1
                report(1, count / len(weights))


def _leading_axes(kernel: Array, dimensions: int) -> Array:
    """Return the classical MDS layout [S, k] of D_ij = K_ii + K_jj − 2 K_ij, signs left open.

    −½ J D J = J K J, of which only the k largest eigenvalues are computed.
    """
    members = len(kernel)
    values, vectors = scipy.linalg.eigh(
        -2 * double_centred(kernel),
        subset_by_index=(members - dimensions, members - 1),
        overwrite_a=True,
        check_finite=False,
    )
    values, vectors = values[::-1], vectors[:, ::-1]
    values = np.maximum(without_roundoff(values), 0.0)
    layout: Array = vectors * np.sqrt(values)
    return layout
