import dataclasses
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score

from chromatic_descent import analysis, ensemble, geometry
from chromatic_descent.analysis import NotComputed
from chromatic_descent.analysis.configurations import group_members, plainest
from chromatic_descent.analysis.groups import compare_groups
from chromatic_descent.analysis.members import score_members
from chromatic_descent.errors import UserError
from tests.makers import IMAGES, QUICK, RECIPES, SHIFTED, make_population, make_trial

TABLES = ("table", "intervals", "differences", "directions", "shifts", "foreign")


def compare(population, **options):
    return compare_groups(population, score_members(population), **{"bootstrap": 20, **options})


@pytest.fixture(scope="module")
def trial():
    return make_trial()


@pytest.fixture(scope="module")
def result(trial):
    return compare(trial)


def members_of(population, suffix):
    return group_members(population)[suffix]


def row_of(table, **keys):
    for key, value in keys.items():
        table = table[table[key] == value]
    assert len(table) == 1, keys
    return table.iloc[0]


def test_every_key_and_column_is_documented(result):
    text = (Path(__file__).parents[2] / "docs" / "results.md").read_text(encoding="utf-8")
    for key, value in vars(result).items():
        assert f"`groups.{key}`" in text or f"`{key}`" in text, key
        for column in value.columns if isinstance(value, pd.DataFrame) else ():
            known = "auroc_<score>_<data>" if column.endswith(("digits", "noise")) else column
            assert f"`{known}`" in text, f"{key}.{column}"


def test_groups_are_the_configs_and_the_plainest_is_the_baseline(trial, result):
    assert list(group_members(trial)) == ["default", *list(RECIPES)[1:]]
    assert result.baseline == "default"  # not the wider one, which differs from all the others
    configs = result.configs
    assert set(configs["key"]) == {"repulsion.strength", "model.widths"}
    assert row_of(configs, group="model.widths_32", key="model.widths")["value"] == "[32]"


def test_the_table_agrees_with_the_functions_of_ensemble(trial, result):
    y = trial.labels
    for suffix in group_members(trial):
        logits = trial.logits[members_of(trial, suffix)]
        row = row_of(result.table, group=suffix)
        log_p = ensemble.log_softmax(logits)
        together = ensemble.mean_probability(logits)
        diverse = ensemble.diversity(logits, y)
        temperature = ensemble.fit_temperature(logits, y)
        expected = {
            "members": 5,
            "member_accuracy": ensemble.accuracy(log_p, y).mean(),
            "member_nll": ensemble.nll(log_p, y).mean(),
            "member_ece": ensemble.ece(log_p, y).mean(),
            "member_calibrated_nll": ensemble.calibrated_scores(logits, y)["nll"].mean(),
            "temperature": temperature.mean(),
            "ensemble_accuracy": ensemble.accuracy(together, y),
            "ensemble_nll": ensemble.nll(together, y),
            "ensemble_ece": ensemble.ece(together, y),
            "ensemble_calibrated_nll": ensemble.calibrated_scores(together, y)["nll"],
            "ensemble_temperature": ensemble.fit_temperature(together, y),
            "accuracy_gain": ensemble.accuracy(together, y) - ensemble.accuracy(log_p, y).mean(),
            "nll_gain": ensemble.nll(log_p, y).mean() - ensemble.nll(together, y),
            "disagreement": diverse.means["disagreement"],
            "normalised_disagreement": diverse.means["normalised_disagreement"],
        }
        upper = np.triu_indices(5, 1)
        for name in ("logit_mse_centred", "logit_mse_matched", "hellinger"):
            squared = geometry.distance_matrix(
                logits, geometry.distance(name, temperature=temperature)
            )
            expected[name] = squared[upper].mean()
        for name, value in expected.items():
            assert row[name] == pytest.approx(value), name
        mds = geometry.classical_mds(geometry.distance_matrix(logits, "hellinger"))
        ratio = geometry.participation_ratio(mds.eigenvalues)
        assert row["participation_ratio"] == pytest.approx(ratio)
    assert row_of(result.table, group="default")["seconds"] == 13.0


def test_members_are_compared_seed_by_seed(trial, result):
    suffix = "repulsion.strength_1"
    accuracy = ensemble.nll(ensemble.log_softmax(trial.logits), trial.labels)
    mine, theirs = accuracy[members_of(trial, suffix)], accuracy[members_of(trial, "default")]
    row = row_of(result.differences, group=suffix, quantity="member_nll")
    expected = stats.ttest_rel(mine, theirs).confidence_interval(0.95)
    assert row["value"] == pytest.approx((mine - theirs).mean())
    assert (row["low"], row["high"]) == pytest.approx((expected.low, expected.high))
    assert row["p_value"] == 2 / 2**5
    assert (row["over"], row["seeds"]) == ("seeds", 5)


def test_ensembles_are_compared_over_images_and_over_seeds(trial, result):
    suffix = "repulsion.strength_1"
    mine, theirs = members_of(trial, suffix), members_of(trial, "default")

    def difference(quantity, keep, images):
        logits, y = trial.logits[:, images], trial.labels[images]
        one, other = (
            ensemble.mean_probability(logits[[who[s] for s in keep]]) for who in (mine, theirs)
        )
        return float(quantity(one, y) - quantity(other, y))

    everyone, whole = range(5), np.arange(IMAGES)
    counts = geometry.resampled_counts(IMAGES, 20, seed=0).astype(int)
    for name, quantity in [("nll", ensemble.nll), ("ece", ensemble.ece)]:
        value = difference(quantity, everyone, whole)
        again = [difference(quantity, everyone, np.repeat(whole, row)) for row in counts]
        low, high = geometry.reflected_interval(np.float64(value), np.array(again))
        keys = {"group": suffix, "quantity": f"ensemble_{name}"}
        row = row_of(result.differences, **keys, over="images")
        assert [row["value"], row["low"], row["high"]] == pytest.approx([value, low, high])
        without = [difference(quantity, [s for s in range(5) if s != k], whole) for k in range(5)]
        expected = ensemble.jackknife_interval(value, without)
        row = row_of(result.differences, **keys, over="seeds")
        assert [row["low"], row["high"]] == pytest.approx(list(expected))
        assert np.isnan(row["p_value"])


def test_resampled_disagreement_is_that_of_the_resampled_images(trial, result):
    suffix = "repulsion.strength_0.1"
    counts = geometry.resampled_counts(IMAGES, 20, seed=0).astype(int)
    values = []
    for row in [np.ones(IMAGES, dtype=int), *counts]:
        images = np.repeat(np.arange(IMAGES), row)
        one, other = (
            ensemble.diversity(trial.logits[members_of(trial, g)][:, images], trial.labels[images])
            for g in (suffix, "default")
        )
        name = "normalised_disagreement"
        values.append(one.means[name] - other.means[name])
    low, high = geometry.reflected_interval(np.float64(values[0]), np.array(values[1:]))
    keys = {"group": suffix, "quantity": "normalised_disagreement", "over": "images"}
    row = row_of(result.differences, **keys)
    assert [row["value"], row["low"], row["high"]] == pytest.approx([values[0], low, high])


def test_every_interval_holds_its_value_between_them(result):
    for name in ("intervals", "differences"):
        table = getattr(result, name)
        assert np.isfinite(table[["value", "low", "high"]]).all(axis=None)
        seeds = table[table["over"] == "seeds"]
        assert (seeds["low"] <= seeds["value"]).all()
        assert (seeds["value"] <= seeds["high"]).all()


def test_shifted_images(trial, result):
    row = row_of(result.shifts, group="default", shift="gaussian_blur", severity=2)
    part = trial.slices["shift-gaussian_blur-2"]
    logits = part.logits[members_of(trial, "default")]
    alone, together = ensemble.log_softmax(logits), ensemble.mean_probability(logits)
    assert row["member_accuracy"] == pytest.approx(ensemble.accuracy(alone, part.labels).mean())
    assert row["ensemble_nll"] == pytest.approx(ensemble.nll(together, part.labels))
    assert len(result.shifts) == 4 * 4
    rows = result.shifts.set_index("group").loc["default"]
    table = row_of(result.table, group="default")
    assert table["ensemble_shifted_nll"] == pytest.approx(rows["ensemble_nll"].mean())
    assert table["member_shifted_accuracy"] == pytest.approx(rows["member_accuracy"].mean())
    quantities = set(result.differences["quantity"])
    assert {"ensemble_shifted_accuracy", "member_shifted_nll"} <= quantities


def test_other_data_are_distinguished_from_the_probe(trial, result):
    row = row_of(result.foreign, group="repulsion.strength_0.1", data="digits")
    who = members_of(trial, "repulsion.strength_0.1")
    inside = ensemble.uncertainty(trial.logits[who])
    outside = ensemble.uncertainty(trial.slices["foreign-digits"].logits[who])
    truth = np.repeat([0, 1], [IMAGES, SHIFTED])
    for score, part in [("entropy", "total"), ("mutual_information", "mutual_information")]:
        both = np.concatenate([getattr(inside, part), getattr(outside, part)])
        assert row[f"auroc_{score}"] == pytest.approx(roc_auc_score(truth, both))
    assert row["entropy"] == pytest.approx(outside.means["total"])
    assert 0.5 < row["auroc_max_probability"] <= 1
    assert "auroc_entropy_noise" in set(result.differences["quantity"])


def test_directions_are_those_of_the_paired_members(trial, result):
    suffix = "repulsion.strength_1"
    squared = geometry.distance_matrix(trial.logits, "hellinger")
    new = geometry.new_directions(squared, members_of(trial, suffix), members_of(trial, "default"))
    row = row_of(result.directions, group=suffix)
    assert row["outside"] == pytest.approx(new.outside)
    assert row["outside_by_chance"] == pytest.approx(new.outside_by_chance)
    paired = row_of(result.differences, group=suffix, quantity="outside_alone")
    assert paired["value"] == pytest.approx((new.alone - new.alone_by_chance).mean())
    assert "default" not in set(result.directions["group"])


def test_the_baseline_can_be_named(trial):
    result = compare(trial, baseline="model.widths_32")
    assert result.baseline == "model.widths_32"
    assert "model.widths_32" not in set(result.differences["group"])
    with pytest.raises(UserError, match=r"baseline=plain: expected a configuration among default,"):
        compare(trial, baseline="plain")
    with pytest.raises(UserError, match="baseline=plain"):
        compare(make_population(4), baseline="plain")


def test_too_few_seeds_give_reasons_instead_of_numbers():
    result = compare(make_trial(seeds=2))
    for part in ("intervals", "differences", "directions"):
        assert isinstance(getattr(result, part), NotComputed), part
    reasons = result.left_out.set_index(["group", "what"])["reason"]
    assert "shares 2 seeds with default" in reasons["repulsion.strength_1", "differences"]
    assert "at least 3 members" in reasons["default", "intervals"]
    three = compare(make_trial(seeds=3))
    assert "found 3" in row_of(three.left_out, group="model.widths_32", what="outside")["reason"]
    assert three.directions["outside"].isna().all()
    assert three.directions["outside_alone"].notna().all()


def test_one_member_is_not_an_ensemble(trial):
    keep = [*range(5), 5]  # the baseline's members and one other
    one = dataclasses.replace(
        trial,
        logits=trial.logits[keep],
        records=[trial.records[m] for m in keep],
        slices={
            name: dataclasses.replace(part, logits=part.logits[keep])
            for name, part in trial.slices.items()
        },
    )
    result = compare(one)
    row = row_of(result.table, group="repulsion.strength_0.1")
    assert np.isfinite(row["member_accuracy"])
    assert np.isnan(row["ensemble_accuracy"])
    assert np.isnan(row["auroc_entropy_digits"])
    assert isinstance(result.differences, NotComputed)
    assert set(result.left_out["what"]) == {"ensemble, intervals and differences"}
    with pytest.raises(UserError, match=r"baseline=repulsion\.strength_0\.1 has one member"):
        compare(one, baseline="repulsion.strength_0.1")


def test_one_image_is_too_few():
    population = make_population(4, images=1, configs=[{"lr": k // 2} for k in range(4)])
    assert "one image" in compare(population).reason


def test_without_slices_the_rest_is_there():
    result = compare(make_trial(slices=False))
    assert "probe.shifted=" in result.shifts.reason
    assert "probe.foreign=" in result.foreign.reason
    assert "ensemble_nll" in set(result.differences["quantity"])


def test_a_section_that_does_not_apply_has_a_reason():
    assert "share one configuration" in compare(make_population(4)).reason
    lone = make_population(3, configs=[{"lr": k} for k in range(3)])
    assert "no configuration has two members" in compare(lone).reason


def test_one_configuration_costs_nothing():
    population = make_population(12, images=2000)
    members = score_members(population)
    started = time.perf_counter()
    for _ in range(20):
        compare_groups(population, members)
    assert time.perf_counter() - started < 0.5


def test_names_that_do_not_distinguish_configurations_are_made_of_keys():
    population = make_population(4, configs=[{"lr": k // 2, "a": 1} for k in range(4)])
    assert group_members(population) == {"lr=0": [0, 1], "lr=1": [2, 3]}


@pytest.mark.parametrize(
    ("configs", "expected"),
    [
        ([{"repulsion": {"strength": 1}}, {"repulsion": {"strength": 0}}], 1),
        ([{"repulsion": {"strength": 2}}, {"repulsion": {"strength": 1}}], 0),
        ([{"lr": 1}, {"lr": 2}], 0),
        ([{"lr": 1}, {"lr": 1, "repulsion": {"strength": 1}}, {"repulsion": None}], 0),
        ([{"lr": 1, "width": 2}, {"lr": 2, "width": 1}, {"lr": 1, "width": 1}], 2),
    ],
)
def test_the_plainest(configs, expected):
    population = make_population(2 * len(configs), configs=[c for c in configs for _ in range(2)])
    who = group_members(population)
    assert plainest(population, who) == list(who)[expected]


def test_it_is_a_section_of_the_analysis_and_is_kept(trial, tmp_path):
    options = {**QUICK, "maps": ["hellinger"], "distances": ["hellinger"]}
    first = analysis.analyse(trial, cache=tmp_path, **options).groups
    again = analysis.analyse(trial, cache=tmp_path, **options).groups
    for name in TABLES:
        assert getattr(first, name).equals(getattr(again, name)), name
    computed_sections = []
    other = dataclasses.replace(trial, slices={})
    analysis.analyse(other, cache=tmp_path, progress=computed_sections.append, **options)
    assert "groups" in computed_sections  # slices count
