import json
from pathlib import Path

import numpy as np
import pytest
import yaml

from chromatic_descent import analysis, ensemble, geometry
from chromatic_descent.analysis.drivers import varied
from chromatic_descent.analysis.results import computed, plain
from chromatic_descent.config import configs_folder
from chromatic_descent.errors import UserError
from tests.makers import QUICK, make_population


def test_it_is_what_the_rooms_say():
    population = make_population(images=300)
    results = analysis.analyse(population, **QUICK).results
    table = results["members"]["table"]
    log_probs = ensemble.log_softmax(population.logits)
    np.testing.assert_allclose(table["accuracy"], ensemble.accuracy(log_probs, population.labels))
    temperature = ensemble.fit_temperature(population.logits, population.labels)
    np.testing.assert_allclose(table["temperature"], temperature)
    for name in geometry.DISTANCES:
        squared = geometry.distance_matrix(
            population.logits,
            geometry.distance(name, labels=population.labels, temperature=temperature),
        )
        found = results["distances"]["matrices"][name]["squared"]
        np.testing.assert_allclose(found, squared, rtol=1e-9, atol=1e-12)
    curves = results["ensembles"]["curves"]
    full = curves.query(
        "size == 6 and metric == 'nll' and combiner == 'mean_logit' and stage == 'raw'"
    )
    wanted = ensemble.nll(ensemble.mean_logit(population.logits), population.labels)
    assert full["mean"].item() == pytest.approx(float(wanted))
    assert all(computed(test) for test in results["nulls"]["hellinger"].values())


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
        again.results["maps"]["hellinger"]["coordinates"],
        first.results["maps"]["hellinger"]["coordinates"],
    )
    run(draws=19)  # what depends on it, and nothing else
    assert computed_now == ["nulls", "dimension"]
    population.logits[0, 0, 0] += 1
    run()
    assert computed_now == list(analysis.SECTIONS)


@pytest.mark.parametrize("members", [1, 2, 3])
def test_few_members_get_what_they_can_have_and_a_reason_for_the_rest(members):
    results = analysis.analyse(make_population(members), **{**QUICK, "tsne": 2}).results
    assert len(results["members"]["table"]) == members
    assert set(results["ensembles"]["curves"]["size"]) == set(range(1, members + 1))
    if members == 1:
        assert not computed(results["distances"]["matrices"]["hellinger"])
        assert results["maps"] == {}
        return
    for name, view in results["maps"].items():
        assert view["top_2_share"] == pytest.approx(1.0)
        assert "4 members" in view["neighbours"]["tsne"]["not_computed"]
        for test in results["nulls"][name].values():
            assert "4" in test["not_computed"]
        assert not computed(results["drivers"][name])


def test_identical_members_are_nothing_to_explain():
    population = make_population(5)
    population.logits[:] = population.logits[0]
    results = plain(analysis.analyse(population, **QUICK).results)
    for name, view in results["maps"].items():
        assert results["distances"]["matrices"][name]["mean"] == 0
        assert view["top_2_share"] is None
        assert view["stability"]["mean"] is None
        assert all(not computed(test) for test in results["nulls"][name].values())


def test_a_distance_that_is_not_defined_does_not_stop_the_others():
    population = make_population(5)
    population.logits[:] += 100 * np.eye(4)[population.labels].astype(np.float32)  # never wrong
    matrices = analysis.analyse(population, **QUICK).results["distances"]["matrices"]
    assert "both" in matrices["error_disagreement"]["not_computed"]
    assert computed(matrices["hellinger"])


def test_recipe_factors_are_found_and_what_varies_together_is_one():
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
    results = analysis.analyse(population, **QUICK).results
    assert results["factors"]["hellinger"]["factor"].tolist() == ["width", "optim", "note"]
    plain_study = analysis.analyse(make_population(5), **QUICK).results
    assert "no recipe factor varies" in plain_study["factors"]["not_computed"]


def test_trajectories_are_laid_out_where_they_were_recorded():
    found = analysis.analyse(make_population(4, epochs=3), **QUICK).results["trajectories"]
    assert found["epochs"] == [0, 1, 2]
    assert np.array(found["coordinates"]).shape[:2] == (4, 3)
    without = analysis.analyse(make_population(4), **QUICK).results["trajectories"]
    assert "probe.every=1" in without["not_computed"]


@pytest.mark.parametrize("key", ["distances", "maps", "combiners"])
def test_unknown_names(key):
    with pytest.raises(UserError, match=rf"{key}=\['nonsense'\]: expected names from"):
        analysis.analyse(make_population(), **{**QUICK, key: ["nonsense"]})


@pytest.mark.parametrize("option", ["bootstrap", "draws", "permutations", "splits", "subsets"])
def test_numbers_out_of_range_are_refused_not_skipped(option):
    least = 3 if option == "bootstrap" else 1
    with pytest.raises(
        UserError, match=f"{option}={least - 1}: expected a whole number from {least}"
    ):
        analysis.analyse(make_population(), **{**QUICK, option: least - 1})
    results = analysis.analyse(make_population(), **{**QUICK, option: least}).results
    assert "not_computed" not in results["maps"]["hellinger"]


def test_unknown_options():
    with pytest.raises(UserError, match="nonsense: expected options among baseline, bootstrap"):
        analysis.analyse(make_population(), nonsense=1)


def test_the_defaults_are_those_of_the_config():
    text = (Path(configs_folder()) / "analyze.yaml").read_text(encoding="utf-8")
    configured = yaml.safe_load(text)
    defaults = {}
    for section in analysis.SECTIONS.values():
        for name, default in analysis._needs(section)[1].items():
            assert defaults.setdefault(name, default) == default, name
    for name, default in defaults.items():
        assert configured[name] == (list(default) if isinstance(default, tuple) else default), name
    given = {"study", "studies", "logits", "labels", "images"}
    shown = {"figures", "colours", "open"}
    assert set(configured) - given - shown - {"defaults", "hydra"} == set(defaults)
