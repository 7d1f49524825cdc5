"""Would another set of probe images have drawn the same map?"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chromatic_descent.errors import UserError
from chromatic_descent.geometry.alignment import procrustes
from chromatic_descent.geometry.distances import (
    check_logits,
    distance_matrix,
    reweighted_distances,
)
from chromatic_descent.geometry.embeddings import classical_mds


@dataclass(frozen=True, eq=False)
class Bootstrap:
    """Layouts of resampled probes, in the frame of the layout of the whole probe.

    Attributes:
        layouts: [B, S, k], aligned to the reference.
        correlations: [B], each layout's Procrustes correlation with the reference; their mean is
            the stability of the map. NaN when all members coincide.
        reference: [S, k], the layout of the whole probe.
    """

    layouts: NDArray[np.float64]
    correlations: NDArray[np.float64]
    reference: NDArray[np.float64]


def bootstrap_layouts(
    logits: ArrayLike,
    name: str,
    *,
    resamples: int = 200,
    seed: int = 0,
    temperature: ArrayLike | None = None,
    dimensions: int = 2,
) -> Bootstrap:
    """Resample probe items with replacement, and lay the members out anew each time.

        D_b = Σ_n m_bn ‖φ_in − φ_jn‖² / N, m_b ~ Multinomial(N, 1/N)

    then classical MDS of D_b, aligned by Procrustes to the layout of all items. Items are
    resampled, not members: this asks how far the map depends on *these probe images*. It says
    nothing about other members, and a stable map need not be a low-dimensional one.

    Args:
        logits: [S, N, C].
        name: one of `geometry.DISTANCES`.
        resamples: B.
        seed: of the resampling.
        temperature: [S], for `logit_mse_matched`; held fixed over resamples.
        dimensions: k, from 1 to S.

    Returns:
        A `Bootstrap`; layouts in the unit of the distance (not squared).

    Raises:
        UserError: as `distance_matrix` and `classical_mds`; fewer than 1 resample.

    Source: Efron 1979; Peres-Neto & Jackson 2001 for the Procrustes correlation.

    >>> import numpy as np
    >>> logits = np.random.default_rng(0).normal(size=(5, 400, 3))
    >>> bootstrap = bootstrap_layouts(logits, "hellinger", resamples=20)
    >>> bootstrap.layouts.shape, bootstrap.correlations.shape
    ((20, 5, 2), (20,))
    """
    if resamples < 1:
        raise UserError(f"resamples must be at least 1; found {resamples}")
    logits = check_logits(logits)
    items = logits.shape[1]
    whole = distance_matrix(logits, name, temperature=temperature)
    reference = classical_mds(whole, dimensions).coordinates

    rng = np.random.default_rng(seed)
    counts = np.empty((resamples, items), dtype=np.float32)  # whole numbers: exact, half the size
    for row in counts:
        row[:] = np.bincount(rng.integers(items, size=items), minlength=items)

    layouts = np.empty((resamples, *reference.shape))
    correlations = np.empty(resamples)
    for b, squared in enumerate(
        reweighted_distances(logits, name, counts, temperature=temperature)
    ):
        fit = procrustes(reference, classical_mds(squared, dimensions).coordinates)
        layouts[b], correlations[b] = fit.layout, fit.correlation
    return Bootstrap(layouts, correlations, reference)
