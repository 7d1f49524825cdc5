import json

import numpy as np
import pytest

from chromatic_descent import analysis, ensemble, geometry
from chromatic_descent.errors import UserError
from chromatic_descent.probe_logits import Population


def make_population(members=6, images=60, classes=4, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(classes, size=images)
    common = 2 * np.eye(classes)[labels]
    logits = (common + rng.normal(size=(members, images, classes))).astype(np.float32)
    records = [
        {
            "member": f"SEED_{s:04d}",
            "seed": s,
            "probe_hash": "p" * 64,
            "config_hash": "c" * 64,
            "config": {},
            "precision": "32-true",
            "versions": {"torch": "2"},
            "hardware": {"device": "toy"},
            "wall_time": {"train": 1.0, "record": 0.1},
            "dataset": {"name": "toy", "fingerprint": "f", "classes": list("abcd")[:classes]},
        }
        for s in range(members)
    ]
    return Population(logits, labels, np.arange(images), records)


QUICK = {"bootstrap": 5, "permutations": 9, "subsets": 3}


def test_it_is_what_the_rooms_say():
    population = make_population()
    results = analysis.analyse(population, **QUICK)
    log_probs = ensemble.log_softmax(population.logits)
    np.testing.assert_array_equal(
        results.members["accuracy"], ensemble.accuracy(log_probs, population.labels)
    )
    temperature = ensemble.fit_temperature(population.logits, population.labels)
    np.testing.assert_array_equal(results.members["temperature"], temperature)
    for name in analysis.DISTANCES:
        squared = geometry.distance_matrix(population.logits, name, temperature=temperature)
        np.testing.assert_array_equal(results.maps[name].squared, squared)
    full = results.curves.query("size == 6 and metric == 'accuracy' and combiner == 'mean_logit'")
    wanted = ensemble.accuracy(ensemble.mean_logit(population.logits), population.labels)
    assert full["mean"].item() == pytest.approx(wanted)


def test_the_same_seed_gives_the_same_numbers_and_they_are_json():
    population = make_population()
    first, again = (
        json.dumps(analysis.numbers(analysis.analyse(population, tsne=2, **QUICK)), allow_nan=False)
        for _ in range(2)
    )
    assert first == again
    spread = json.loads(first)["distances"]["hellinger"]["seed_spread"]["tsne"]
    assert 0 <= spread <= 1


@pytest.mark.parametrize("members", [1, 2, 3])
def test_few_members_get_what_they_can_have(members):
    results = analysis.analyse(make_population(members), tsne=2, **QUICK)
    assert len(results.maps) == (0 if members == 1 else len(analysis.DISTANCES))
    for view in results.maps.values():
        assert view.null is None
        assert view.layouts == {}
        assert analysis.top_two(view.mds) == pytest.approx(1.0)


def test_identical_members_are_nothing_to_explain():
    population = make_population(5)
    population.logits[:] = population.logits[0]
    numbers = analysis.numbers(analysis.analyse(population, **QUICK))
    for distance in numbers["distances"].values():
        assert distance["mean_squared_distance"] == 0
        assert distance["top_2_share"] is None
        assert distance["permuted_distances"] is None
        assert distance["stability"]["mean"] is None


@pytest.mark.parametrize("key", ["distances", "combiners"])
def test_unknown_names(key):
    with pytest.raises(UserError, match=rf"{key}=\['nonsense'\]: expected names from"):
        analysis.analyse(make_population(), **{key: ["nonsense"]})
