"""In how many dimensions do members differ?"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from chromatic_descent import geometry
from chromatic_descent.analysis.maps import temperatures
from chromatic_descent.analysis.results import Result, attempt, for_each
from chromatic_descent.probe_logits import Population

_CURVE_DRAWS = 49  # from each null, at every size: it is the curve's course that is read


def dimension(
    population: Population,
    members: Result,
    maps: Result,
    *,
    bootstrap: int = 200,
    draws: int = 99,
    seed: int = 0,
) -> Result:
    """By distance: estimates with intervals, quantiles of null spectra, curves against S and N."""
    options = {"draws": draws, "seed": seed}
    return for_each(maps, _dimension, population, temperatures(members), bootstrap, options)


def _dimension(
    name: str,
    population: Population,
    temperature: NDArray[np.float64],
    bootstrap: int,
    options: dict[str, Any],
) -> Result:
    logits, distance = population.logits, geometry.distance(name, temperature=temperature)
    nulls = geometry.null_spectra(logits, distance, **options)
    return {
        "estimates": geometry.dimension_estimates(
            logits, distance, resamples=bootstrap, nulls=nulls, **options
        ),
        "null_quantiles": {
            null: np.quantile(_shares(spectra), 0.95, axis=0)[: len(logits) - 1].tolist()
            for null, spectra in nulls.items()
        },
        "null_bands": {
            null: np.quantile(_shares(spectra), [0.025, 0.975], axis=0)[:, : len(logits) - 1]
            for null, spectra in nulls.items()
        },
        "curve": attempt(
            geometry.dimension_curve,
            *(logits, distance),
            **{**options, "draws": min(options["draws"], _CURVE_DRAWS)},
        ),
    }


def _shares(spectra: NDArray[np.float64]) -> NDArray[np.float64]:
    positive = np.maximum(spectra, 0)
    shares: NDArray[np.float64] = positive / positive.sum(axis=-1, keepdims=True)
    return shares
