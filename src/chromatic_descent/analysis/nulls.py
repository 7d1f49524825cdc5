"""Is the structure real? The top-2 share against five nulls, from weak to strong."""

from typing import Any

from chromatic_descent import geometry
from chromatic_descent.analysis.maps import interval, temperatures
from chromatic_descent.analysis.results import Result, for_each
from chromatic_descent.probe_logits import Population


def nulls(
    population: Population,
    members: Result,
    maps: Result,
    distances: Result,
    *,
    draws: int = 99,
    permutations: int = 999,
    seed: int = 0,
) -> Result:
    """By distance and null: observed share, the null's, effect in its SDs, p, what p rejects."""
    logits, labels = population.logits, population.labels
    _, images, classes = logits.shape
    shuffled = {"draws": draws, "seed": seed}

    def distance(name: str) -> geometry.Distance:
        return geometry.distance(name, temperature=temperatures(members))

    def permuted_distances(name: str) -> Result:
        squared = distances["matrices"][name]["squared"]
        return _test(geometry.permuted_distances, squared, permutations=permutations, seed=seed)

    def isotropic(name: str) -> Result:
        squared = distances["matrices"][name]["squared"]
        free = distance(name).on(logits).degrees(classes)
        return _test(geometry.isotropic, squared, degrees=images * free, draws=draws, seed=seed)

    def independent_errors(name: str) -> Result:
        return _test(geometry.independent_errors, logits, distance(name), **shuffled)

    def within_class_shuffles(name: str) -> Result:
        return _test(geometry.within_class_shuffles, logits, labels, distance(name), **shuffled)

    def temperature_and_bias(name: str) -> Result:
        return _test(geometry.temperature_and_bias, logits, distance(name), **shuffled)

    ladder = {
        null.__name__: null
        for null in (
            permuted_distances,
            isotropic,
            independent_errors,
            within_class_shuffles,
            temperature_and_bias,
        )
    }
    # The longest first, so that no core is left to do it alone at the end.
    tests = [(null, name) for null in reversed(ladder) for name in reversed(list(maps))]
    found = for_each(tests, lambda test: ladder[test[0]](test[1]))
    return {name: {null: found[null, name] for null in ladder} for name in maps}


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
        "null": test.null,
        "rejects": test.hypothesis,
    }
