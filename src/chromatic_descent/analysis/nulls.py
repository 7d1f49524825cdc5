"""Is the structure real? The top-2 share against five nulls, from weak to strong."""

from typing import Any

from chromatic_descent import geometry
from chromatic_descent.analysis.maps import interval, temperatures
from chromatic_descent.analysis.results import Result, attempt, for_each
from chromatic_descent.probe_logits import Population


def nulls(
    population: Population,
    members: Result,
    maps: Result,
    distances: Result,
    *,
    draws: int = 199,
    permutations: int = 999,
    seed: int = 0,
) -> Result:
    """By distance and null: observed share, the null's, effect in its SDs, p, what p rejects."""
    options = {"temperature": temperatures(members), "draws": draws, "seed": seed}
    return for_each(maps, _ladder, population, distances, permutations, options)


def _ladder(
    name: str, population: Population, distances: Result, permutations: int, options: dict[str, Any]
) -> Result:
    logits, labels = population.logits, population.labels
    squared = distances["matrices"][name]["squared"]
    _, images, classes = logits.shape
    free = classes if name == "logit_mse" else classes - 1  # the others do not see an item's shift
    draws, seed = options["draws"], options["seed"]
    return {
        "permuted_distances": attempt(
            _test, geometry.permuted_distances, squared, permutations=permutations, seed=seed
        ),
        "isotropic": attempt(
            _test, geometry.isotropic, squared, degrees=images * free, draws=draws, seed=seed
        ),
        "independent_errors": attempt(_test, geometry.independent_errors, logits, name, **options),
        "within_class_shuffles": attempt(
            _test, geometry.within_class_shuffles, logits, labels, name, **options
        ),
        "temperature_and_bias": attempt(
            _test, geometry.temperature_and_bias, logits, name, **options
        ),
    }


def _test(null: Any, *arguments: Any, **options: Any) -> Result:
    test = null(*arguments, **options)
    span = interval(test.null)
    return {
        "observed": test.observed,
        "null_mean": span["mean"],
        "null_low": span["low"],
        "null_high": span["high"],
        "effect": test.effect,
        "p_value": test.p_value,
        "draws": len(test.null),
        "rejects": test.hypothesis,
    }
