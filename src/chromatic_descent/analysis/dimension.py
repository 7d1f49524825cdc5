"""In how many dimensions do members differ?"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from chromatic_descent import geometry
from chromatic_descent.analysis.distances import Distances
from chromatic_descent.analysis.maps import Maps
from chromatic_descent.analysis.results import Array, Each, NotComputed, attempt, for_each
from chromatic_descent.probe_logits import Population

_CURVE_DRAWS = 49  # from each null, at every size: only the shape of the curve matters


@dataclass(frozen=True, eq=False)
class Dimension:
    """The dimension of S members under one distance; shares are of variance, by axis."""

    estimates: pd.DataFrame  # quantity, value, low, high
    null_quantiles: dict[str, list[float]]  # by null, the 95% quantile of the shares
    null_bands: dict[str, Array]  # by null, the central 95% of the shares [2, k]
    curve: pd.DataFrame | NotComputed  # over (members, images), size, quantity, mean, low, high


Dimensions = Each[Dimension]


def estimate_dimension(
    population: Population,
    maps: Maps,
    distances: Distances,
    *,
    bootstrap: int = 200,
    draws: int = 99,
    seed: int = 0,
) -> Dimensions:
    """Estimate the dimension under each distance, and its dependence on members and images."""
    logits = population.logits

    def estimate(name: str) -> Dimension:
        inputs = (logits, distances.bound(population, name))
        spectra = geometry.null_spectra(*inputs, draws=draws, seed=seed)
        estimates = geometry.dimension_estimates(
            *inputs, resamples=bootstrap, nulls=spectra, draws=draws, seed=seed
        )
        shares = {null: _shares(drawn)[:, : len(logits) - 1] for null, drawn in spectra.items()}
        return Dimension(
            estimates=estimates,
            null_quantiles={n: np.quantile(s, 0.95, axis=0).tolist() for n, s in shares.items()},
            null_bands={n: np.quantile(s, [0.025, 0.975], axis=0) for n, s in shares.items()},
            curve=attempt(
                geometry.dimension_curve, *inputs, draws=min(draws, _CURVE_DRAWS), seed=seed
            ),
        )

    return Each(for_each(maps, estimate))


def _shares(spectra: Array) -> Array:
    """Shares of variance by axis; negative eigenvalues count as zero."""
    positive = np.maximum(spectra, 0)
    shares: Array = positive / positive.sum(axis=-1, keepdims=True)
    return shares
