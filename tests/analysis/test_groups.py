import dataclasses
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score

from chromatic_descent import analysis, ensemble, geometry
from chromatic_descent.analysis.groups import group_members, groups, plainest
from chromatic_descent.analysis.results import computed
from chromatic_descent.errors import UserError
from chromatic_descent.probe_logits import Population, ProbeSliceLogits
from tests.makers import QUICK, make_population

CLASSES, IMAGES, SHIFTED = 4, 200, 50
RECIPES = {  # suffix: (config, how far members are spread)
    "": ({"repulsion": {"strength": 0.0}, "model": {"widths": [16]}}, 1.0),
    "repulsion.strength_0.1": ({"repulsion": {"strength": 0.1}, "model": {"widths": [16]}}, 1.5),
    "repulsion.strength_1": ({"repulsion": {"strength": 1.0}, "model": {"widths": [16]}}, 3.0),
    "model.widths_32": ({"repulsion": {"strength": 0.0}, "model": {"widths": [32]}}, 0.5),
}
TABLES = ("table", "intervals", "differences", "directions", "shifts", "foreign")


def make_trial(seeds=5, recipes=RECIPES, slices=True):
    """Members of several recipes: those of one seed share half of what sets them apart."""
    rng = np.random.default_rng(0)
    labels = rng.integers(CLASSES, size=IMAGES)
    own = {seed: rng.normal(size=(IMAGES, CLASSES)) for seed in range(seeds)}
    names = [f"shift-{kind}-{k}" for kind in ("contrast", "gaussian_blur") for k in (1, 2)]
    logits, records = [], []
    parts = {name: [] for name in [*names, "foreign-digits", "foreign-noise"]}
    for suffix, (config, spread) in recipes.items():
        for seed in range(seeds):
            apart = (own[seed] + rng.normal(size=(IMAGES, CLASSES))) * spread
            logits.append(2 * np.eye(CLASSES)[labels] + apart)
            for name, found in parts.items():
                severity = 0.3 * int(name[-1]) if name in names else 0.0
                signal = (2 - severity) * np.eye(CLASSES)[labels[:SHIFTED]] if severity else 0
                found.append(signal + spread * rng.normal(size=(SHIFTED, CLASSES)))
            name = f"SEED_{seed:04d}" + (f"-{suffix}" if suffix else "")
            records.append(
                {
                    "member": name,
                    "seed": seed,
                    "config": config,
                    "probe_hash": "p" * 64,
                    "wall_time": {"train": 10.0 + seed + spread},
                    "dataset": {"name": "toy", "classes": list("abcd")},
                }
            )
    return Population(
        logits=np.array(logits, dtype=np.float32),
        labels=labels,
        indices=np.arange(IMAGES),
        records=records,
        slices={
            name: ProbeSliceLogits(
                np.array(found, dtype=np.float32),
                labels[:SHIFTED] if name in names else np.zeros(SHIFTED, dtype=np.int64),
                np.arange(SHIFTED),
            )
            for name, found in parts.items()
        }
        if slices
        else {},
    )


def compare(population, **options):
    from chromatic_descent.analysis.ensembles import members

    return groups(population, members(population), **{"bootstrap": 20, **options})


@pytest.fixture(scope="module")
def trial():
    return make_trial()


@pytest.fixture(scope="module")
def found(trial):
    return compare(trial)


def places(population, suffix):
    return group_members(population)[suffix]


def row_of(table, **keys):
    for key, value in keys.items():
        table = table[table[key] == value]
    assert len(table) == 1, keys
    return table.iloc[0]


def test_every_key_and_column_is_documented(found):
    text = (Path(__file__).parents[2] / "docs" / "results.md").read_text(encoding="utf-8")
    for key, value in found.items():
        assert f"`groups.{key}`" in text or f"`{key}`" in text, key
        for column in value.columns if isinstance(value, pd.DataFrame) else ():
            known = "auroc_<score>_<data>" if column.endswith(("digits", "noise")) else column
            assert f"`{known}`" in text, f"{key}.{column}"


def test_groups_are_the_configs_and_the_plainest_is_the_baseline(trial, found):
    assert list(group_members(trial)) == ["default", *list(RECIPES)[1:]]
    assert found["baseline"] == "default"  # not the wider one, which differs from all the others
    configs = found["configs"]
    assert set(configs["key"]) == {"repulsion.strength", "model.widths"}
    assert row_of(configs, group="model.widths_32", key="model.widths")["value"] == "[32]"


def test_the_table_is_what_the_functions_of_ensembles_say(trial, found):
    y = trial.labels
    for suffix in group_members(trial):
        logits = trial.logits[places(trial, suffix)]
        row = row_of(found["table"], group=suffix)
        log_p = ensemble.log_softmax(logits)
        together = ensemble.mean_probability(logits)
        diverse = ensemble.diversity(logits, y)
        temperature = ensemble.fit_temperature(logits, y)
        wanted = {
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
            wanted[name] = squared[upper].mean()
        for name, value in wanted.items():
            assert row[name] == pytest.approx(value), name
        mds = geometry.classical_mds(geometry.distance_matrix(logits, "hellinger"))
        ratio = geometry.participation_ratio(mds.eigenvalues)
        assert row["participation_ratio"] == pytest.approx(ratio)
    assert row_of(found["table"], group="default")["seconds"] == 13.0


def test_members_are_compared_seed_by_seed(trial, found):
    suffix = "repulsion.strength_1"
    accuracy = ensemble.nll(ensemble.log_softmax(trial.logits), trial.labels)
    mine, theirs = accuracy[places(trial, suffix)], accuracy[places(trial, "default")]
    row = row_of(found["differences"], group=suffix, quantity="member_nll")
    wanted = stats.ttest_rel(mine, theirs).confidence_interval(0.95)
    assert row["value"] == pytest.approx((mine - theirs).mean())
    assert (row["low"], row["high"]) == pytest.approx((wanted.low, wanted.high))
    assert row["p_value"] == 2 / 2**5
    assert (row["over"], row["seeds"]) == ("seeds", 5)


def test_ensembles_are_compared_over_images_and_over_seeds(trial, found):
    suffix = "repulsion.strength_1"
    mine, theirs = places(trial, suffix), places(trial, "default")

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
        row = row_of(found["differences"], **keys, over="images")
        assert [row["value"], row["low"], row["high"]] == pytest.approx([value, low, high])
        without = [difference(quantity, [s for s in range(5) if s != k], whole) for k in range(5)]
        wanted = ensemble.jackknife_interval(value, without)
        row = row_of(found["differences"], **keys, over="seeds")
        assert [row["low"], row["high"]] == pytest.approx(list(wanted))
        assert np.isnan(row["p_value"])


def test_resampled_disagreement_is_that_of_the_resampled_images(trial, found):
    suffix = "repulsion.strength_0.1"
    counts = geometry.resampled_counts(IMAGES, 20, seed=0).astype(int)
    values = []
    for row in [np.ones(IMAGES, dtype=int), *counts]:
        images = np.repeat(np.arange(IMAGES), row)
        one, other = (
            ensemble.diversity(trial.logits[places(trial, g)][:, images], trial.labels[images])
            for g in (suffix, "default")
        )
        name = "normalised_disagreement"
        values.append(one.means[name] - other.means[name])
    low, high = geometry.reflected_interval(np.float64(values[0]), np.array(values[1:]))
    keys = {"group": suffix, "quantity": "normalised_disagreement", "over": "images"}
    row = row_of(found["differences"], **keys)
    assert [row["value"], row["low"], row["high"]] == pytest.approx([values[0], low, high])


def test_every_interval_holds_its_value_between_them(found):
    for name in ("intervals", "differences"):
        table = found[name]
        assert np.isfinite(table[["value", "low", "high"]]).all(axis=None)
        seeds = table[table["over"] == "seeds"]
        assert (seeds["low"] <= seeds["value"]).all()
        assert (seeds["value"] <= seeds["high"]).all()


def test_shifted_images(trial, found):
    row = row_of(found["shifts"], group="default", shift="gaussian_blur", severity=2)
    part = trial.slices["shift-gaussian_blur-2"]
    logits = part.logits[places(trial, "default")]
    alone, together = ensemble.log_softmax(logits), ensemble.mean_probability(logits)
    assert row["member_accuracy"] == pytest.approx(ensemble.accuracy(alone, part.labels).mean())
    assert row["ensemble_nll"] == pytest.approx(ensemble.nll(together, part.labels))
    assert len(found["shifts"]) == 4 * 4
    rows = found["shifts"].set_index("group").loc["default"]
    table = row_of(found["table"], group="default")
    assert table["ensemble_shifted_nll"] == pytest.approx(rows["ensemble_nll"].mean())
    assert table["member_shifted_accuracy"] == pytest.approx(rows["member_accuracy"].mean())
    quantities = set(found["differences"]["quantity"])
    assert {"ensemble_shifted_accuracy", "member_shifted_nll"} <= quantities


def test_other_data_is_told_from_the_probe(trial, found):
    row = row_of(found["foreign"], group="repulsion.strength_0.1", data="digits")
    who = places(trial, "repulsion.strength_0.1")
    inside = ensemble.uncertainty(trial.logits[who])
    outside = ensemble.uncertainty(trial.slices["foreign-digits"].logits[who])
    truth = np.repeat([0, 1], [IMAGES, SHIFTED])
    for score, part in [("entropy", "total"), ("mutual_information", "mutual_information")]:
        both = np.concatenate([getattr(inside, part), getattr(outside, part)])
        assert row[f"auroc_{score}"] == pytest.approx(roc_auc_score(truth, both))
    assert row["entropy"] == pytest.approx(outside.means["total"])
    assert 0.5 < row["auroc_max_probability"] <= 1
    assert "auroc_entropy_noise" in set(found["differences"]["quantity"])


def test_directions_are_those_of_the_paired_members(trial, found):
    suffix = "repulsion.strength_1"
    squared = geometry.distance_matrix(trial.logits, "hellinger")
    new = geometry.new_directions(squared, places(trial, suffix), places(trial, "default"))
    row = row_of(found["directions"], group=suffix)
    assert row["outside"] == pytest.approx(new.outside)
    assert row["outside_by_chance"] == pytest.approx(new.outside_by_chance)
    paired = row_of(found["differences"], group=suffix, quantity="outside_alone")
    assert paired["value"] == pytest.approx((new.alone - new.alone_by_chance).mean())
    assert "default" not in set(found["directions"]["group"])


def test_the_baseline_can_be_named(trial):
    found = compare(trial, baseline="model.widths_32")
    assert found["baseline"] == "model.widths_32"
    assert "model.widths_32" not in set(found["differences"]["group"])
    with pytest.raises(UserError, match=r"baseline=plain: expected a configuration among default,"):
        compare(trial, baseline="plain")
    with pytest.raises(UserError, match="baseline=plain"):
        compare(make_population(4), baseline="plain")


def test_too_few_seeds_are_said_and_no_number_is_given():
    found = compare(make_trial(seeds=2))
    for part in ("intervals", "differences", "directions"):
        assert not computed(found[part]), part
    reasons = found["left_out"].set_index(["group", "what"])["reason"]
    assert "shares 2 seeds with default" in reasons["repulsion.strength_1", "differences"]
    assert "at least 3 members" in reasons["default", "intervals"]
    three = compare(make_trial(seeds=3))
    assert "found 3" in row_of(three["left_out"], group="model.widths_32", what="outside")["reason"]
    assert three["directions"]["outside"].isna().all()
    assert three["directions"]["outside_alone"].notna().all()


def test_one_member_is_no_ensemble(trial):
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
    found = compare(one)
    row = row_of(found["table"], group="repulsion.strength_0.1")
    assert np.isfinite(row["member_accuracy"])
    assert np.isnan(row["ensemble_accuracy"])
    assert np.isnan(row["auroc_entropy_digits"])
    assert not computed(found["differences"])
    assert set(found["left_out"]["what"]) == {"ensemble, intervals and differences"}
    with pytest.raises(UserError, match=r"baseline=repulsion\.strength_0\.1 has one member"):
        compare(one, baseline="repulsion.strength_0.1")


def test_one_image_is_too_few():
    population = make_population(4, images=1, configs=[{"lr": k // 2} for k in range(4)])
    assert "one image" in compare(population)["not_computed"]


def test_without_slices_the_rest_is_there():
    found = compare(make_trial(slices=False))
    assert "probe.shifted=" in found["shifts"]["not_computed"]
    assert "probe.foreign=" in found["foreign"]["not_computed"]
    assert "ensemble_nll" in set(found["differences"]["quantity"])


def test_what_does_not_apply_is_said():
    assert "share one configuration" in compare(make_population(4))["not_computed"]
    lone = make_population(3, configs=[{"lr": k} for k in range(3)])
    assert "no configuration has two members" in compare(lone)["not_computed"]


def test_one_configuration_costs_nothing():
    population = make_population(12, images=2000)
    started = time.perf_counter()
    for _ in range(20):
        groups(population, {})
    assert time.perf_counter() - started < 0.5


def test_names_that_do_not_tell_configurations_apart_are_made_of_keys():
    population = make_population(4, configs=[{"lr": k // 2, "a": 1} for k in range(4)])
    assert group_members(population) == {"lr=0": [0, 1], "lr=1": [2, 3]}


@pytest.mark.parametrize(
    ("configs", "wanted"),
    [
        ([{"repulsion": {"strength": 1}}, {"repulsion": {"strength": 0}}], 1),
        ([{"repulsion": {"strength": 2}}, {"repulsion": {"strength": 1}}], 0),
        ([{"lr": 1}, {"lr": 2}], 0),
        ([{"lr": 1}, {"lr": 1, "repulsion": {"strength": 1}}, {"repulsion": None}], 0),
        ([{"lr": 1, "width": 2}, {"lr": 2, "width": 1}, {"lr": 1, "width": 1}], 2),
    ],
)
def test_the_plainest(configs, wanted):
    population = make_population(2 * len(configs), configs=[c for c in configs for _ in range(2)])
    who = group_members(population)
    assert plainest(population, who) == list(who)[wanted]


def test_it_is_a_section_of_the_analysis_and_is_kept(trial, tmp_path):
    options = {**QUICK, "maps": ["hellinger"], "distances": ["hellinger"]}
    first = analysis.analyse(trial, cache=tmp_path, **options).results["groups"]
    again = analysis.analyse(trial, cache=tmp_path, **options).results["groups"]
    for name in TABLES:
        assert first[name].equals(again[name]), name
    told = []
    other = dataclasses.replace(trial, slices={})
    analysis.analyse(other, cache=tmp_path, progress=told.append, **options)
    assert "groups" in told  # slices count
