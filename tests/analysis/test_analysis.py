import json
from pathlib import Path

import numpy as np
import pytest
import yaml

from chromatic_descent import analysis, ensemble, geometry
from chromatic_descent.analysis import NotComputed, computed
from chromatic_descent.analysis.factors import varied
from chromatic_descent.analysis.storage import plain
from chromatic_descent.config import configs_folder
from chromatic_descent.errors import UserError
from tests.makers import QUICK, make_population


def test_sections_agree_with_geometry_and_ensemble():
    population = make_population(images=300)
    result = analysis.analyse(population, **QUICK)
    table = result.members.table
    log_probs = ensemble.log_softmax(population.logits)
    np.testing.assert_allclose(table["accuracy"], ensemble.accuracy(log_probs, population.labels))
    temperature = ensemble.fit_temperature(population.logits, population.labels)
    np.testing.assert_allclose(table["temperature"], temperature)
    for name in geometry.DISTANCES:
        squared = geometry.distance_matrix(
            population.logits,
            geometry.distance(name, labels=population.labels, temperature=temperature),
        )
        matrix = result.distances.matrices[name]
        np.testing.assert_allclose(matrix.squared, squared, rtol=1e-9, atol=1e-12)
    curves = result.ensembles.curves
    full = curves.query(
        "size == 6 and metric == 'nll' and combiner == 'mean_logit' and stage == 'raw'"
    )
    expected = ensemble.nll(ensemble.mean_logit(population.logits), population.labels)
    assert full["mean"].item() == pytest.approx(float(expected))
    assert all(computed(test) for test in result.nulls["hellinger"].values())


def test_the_same_seed_gives_the_same_numbers_and_they_are_json():
    population = make_population()
    options = {**QUICK, "tsne": 2}
    first, again = (
        json.dumps(plain(analysis.analyse(population, **options).results), allow_nan=False)
        for _ in range(2)
    )
    assert first == again


def test_nothing_is_computed_twice(tmp_path):
    population, computed_now = make_population(), []

    def run(**options):
        computed_now.clear()
        return analysis.analyse(
            population, cache=tmp_path, progress=computed_now.append, **{**QUICK, **options}
        )

    first = run()
    assert computed_now == list(analysis.SECTIONS)
    again = run()
    assert computed_now == []
    assert plain(again.results) == plain(first.results)
    np.testing.assert_array_equal(
        again.maps["hellinger"].coordinates, first.maps["hellinger"].coordinates
    )
    run(draws=19)  # what depends on it, and nothing else
    assert computed_now == ["nulls", "dimension"]
    population.logits[0, 0, 0] += 1
    run()
    assert computed_now == list(analysis.SECTIONS)


@pytest.mark.parametrize("members", [1, 2, 3])
def test_few_members_get_some_results_and_a_reason_for_each_of_the_others(members):
    result = analysis.analyse(make_population(members), **{**QUICK, "tsne": 2})
    assert len(result.members.table) == members
    assert set(result.ensembles.curves["size"]) == set(range(1, members + 1))
    if members == 1:
        assert not computed(result.distances.matrices["hellinger"])
        assert result.maps == {}
        return
    for name, view in result.maps.items():
        assert view.top_2_share == pytest.approx(1.0)
        assert "4 members" in view.neighbours["tsne"].reason
        for test in result.nulls[name].values():
            assert "4" in test.reason
        assert not computed(result.drivers[name])


def test_identical_members_are_nothing_to_explain():
    population = make_population(5)
    population.logits[:] = population.logits[0]
    results = plain(analysis.analyse(population, **QUICK).results)
    for name, view in results["maps"].items():
        assert results["distances"]["matrices"][name]["mean"] == 0
        assert view["top_2_share"] is None
        assert view["stability"]["mean"] is None
        assert all("not_computed" in test for test in results["nulls"][name].values())


def test_a_distance_that_is_not_defined_does_not_stop_the_others():
    population = make_population(5)
    population.logits[:] += 100 * np.eye(4)[population.labels].astype(np.float32)  # never wrong
    matrices = analysis.analyse(population, **QUICK).distances.matrices
    assert "both" in matrices["error_disagreement"].reason
    assert computed(matrices["hellinger"])


def test_keys_that_vary_together_are_one_recipe_factor():
    recipes = [
        {"width": w, "optim": {"name": n, "lr": r}, "note": f"unlike {w}{n}", "same": 1}
        for w in (8, 16, 32)
        for n, r in (("muon", 0.2), ("sgd", 0.1))
    ]
    population = make_population(12, configs=recipes * 2)
    assert varied(population) == {
        "width": [0, 0, 1, 1, 2, 2] * 2,
        "optim": [0, 1] * 6,
        "note": [0, 1, 2, 3, 4, 5] * 2,
    }
    factors = analysis.analyse(population, **QUICK).factors
    assert factors["hellinger"]["factor"].tolist() == ["width", "optim", "note"]
    assert "no recipe factor varies" in analysis.analyse(make_population(5), **QUICK).factors.reason


def test_recorded_trajectories_are_laid_out():
    result = analysis.analyse(make_population(4, epochs=3), **QUICK).trajectories
    assert result.epochs == [0, 1, 2]
    assert result.coordinates.shape[:2] == (4, 3)
    without = analysis.analyse(make_population(4), **QUICK).trajectories
    assert "probe.every=1" in without.reason


@pytest.mark.parametrize("key", ["distances", "maps", "combiners"])
def test_unknown_names(key):
    with pytest.raises(UserError, match=rf"{key}=\['nonsense'\]: expected names from"):
        analysis.analyse(make_population(), **{**QUICK, key: ["nonsense"]})


@pytest.mark.parametrize("option", ["bootstrap", "draws", "permutations", "splits", "subsets"])
def test_a_count_out_of_range_is_an_error(option):
    least = 3 if option == "bootstrap" else 1
    with pytest.raises(
        UserError, match=f"{option}={least - 1}: expected a whole number from {least}"
    ):
        analysis.analyse(make_population(), **{**QUICK, option: least - 1})
    result = analysis.analyse(make_population(), **{**QUICK, option: least})
    assert not isinstance(result.maps["hellinger"], NotComputed)


def test_unknown_options():
    with pytest.raises(UserError, match="nonsense: expected options among baseline, bootstrap"):
        analysis.analyse(make_population(), nonsense=1)


def test_the_defaults_are_those_of_the_config():
    text = (Path(configs_folder()) / "analyze.yaml").read_text(encoding="utf-8")
    configured = yaml.safe_load(text)
    defaults = {}
    for section in analysis.SECTIONS.values():
        for name, default in section.options.items():
            assert defaults.setdefault(name, default) == default, name
    for name, default in defaults.items():
        assert configured[name] == (list(default) if isinstance(default, tuple) else default), name
    given = {"study", "studies", "logits", "labels", "images"}
    shown = {"figures", "open"}
    assert set(configured) - given - shown - {"defaults", "hydra"} == set(defaults)
