"""Is the structure real? The top-2 share against five nulls, from weak to strong."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from chromatic_descent import geometry
from chromatic_descent.analysis.distances import Distances
from chromatic_descent.analysis.maps import Maps
from chromatic_descent.analysis.results import Array, Each, Interval, for_each
from chromatic_descent.probe_logits import Population

Test = Callable[[str], geometry.NullTest]  # of the map under a distance


@dataclass(frozen=True, eq=False)
class NullTest:
    """The top-2 share of a map against a null."""

    observed: float
    null_mean: float
    null_low: float  # the central 95% of the null
    null_high: float
    effect: float  # (observed − mean) in SDs of the null
    p_value: float  # of observing so much or more
    draws: int
    null: Array  # [draws]
    rejects: str  # what a small p-value rejects, in words


Nulls = dict[str, Each[NullTest]]
"""By distance and null: permuted_distances, isotropic, independent_errors, …"""


def run_null_tests(
    population: Population,
    maps: Maps,
    distances: Distances,
    *,
    draws: int = 99,
    permutations: int = 999,
    seed: int = 0,
) -> Nulls:
    """Test the top-2 share under each distance against each null."""
    logits = population.logits
    _, images, classes = logits.shape
    drawn: dict[str, Any] = {"draws": draws, "seed": seed}
    bound = {name: distances.bound(population, name) for name in maps}
    squared = {name: matrix.squared for name, matrix in distances.matrices.computed().items()}

    def isotropic(name: str) -> geometry.NullTest:
        free = bound[name].on(logits).degrees(classes)
        return geometry.isotropic(squared[name], degrees=images * free, **drawn)

    def on_logits(test: Callable[..., geometry.NullTest], *inputs: Any) -> Test:
        return lambda name: test(logits, *inputs, bound[name], **drawn)

    ladder: dict[str, Test] = {
        "permuted_distances": lambda name: geometry.permuted_distances(
            squared[name], permutations=permutations, seed=seed
        ),
        "isotropic": isotropic,
        "independent_errors": on_logits(geometry.independent_errors),
        "within_class_shuffles": on_logits(geometry.within_class_shuffles, population.labels),
        "temperature_and_bias": on_logits(geometry.temperature_and_bias),
    }
    # The longest first, so that no core works alone at the end.
    tests = [(null, name) for null in reversed(ladder) for name in reversed(list(maps))]
    results = for_each(tests, lambda test: _in_words(ladder[test[0]](test[1])))
    return {name: Each({null: results[null, name] for null in ladder}) for name in maps}


def _in_words(test: geometry.NullTest) -> NullTest:
    span = Interval.of(test.null)
    return NullTest(
        observed=test.observed,
        null_mean=span.mean,
        null_low=span.low,
        null_high=span.high,
        effect=test.effect,
        p_value=test.p_value,
        draws=len(test.null),
        null=test.null,
        rejects=test.hypothesis,
    )
