import itertools

import numpy as np
import pytest

from chromatic_descent.ensemble import (
    COMBINERS,
    METRICS,
    calibrated_scores,
    oracle_accuracy,
    size_curves,
    subsets,
)
from chromatic_descent.ensemble.curves import default_sizes
from chromatic_descent.errors import UserError

NUMBERS = ["mean", "low", "high", "item_low", "item_high"]


def population(members=5, items=120, classes=4, scale=2.0, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(classes, size=items)
    return scale * (rng.normal(size=(members, items, classes)) + np.eye(classes)[labels]), labels


def own(logits):
    """A combiner of the caller's own: smoothed shares of the members' votes."""
    votes = np.eye(logits.shape[-1])[logits.argmax(-1)].mean(0)
    return np.log((votes + 0.01) / (votes + 0.01).sum(-1, keepdims=True))


def impossible(logits):
    """A combiner that gives probabilities of zero."""
    with np.errstate(divide="ignore"):
        return np.log(np.eye(logits.shape[-1])[logits.argmax(-1)].mean(0))


@pytest.mark.parametrize("scale", [2.0, 1e4])
@pytest.mark.parametrize("name", [*COMBINERS, "own"])
def test_matches_scoring_each_subset_by_hand(name, scale):
    """At 1e4 most labels have probability 0 in float64, yet a finite log-probability."""
    logits, labels = population(scale=scale)
    combiners = {**COMBINERS, "own": own}
    table = size_curves(logits, labels, combiners={name: combiners[name]}, resamples=0, seed=3)
    table = table.set_index(["combiner", "stage", "size", "metric"]).sort_index()
    assert len(table) == 5 * (2 * 5 + 1)
    for size in range(1, 6):
        chosen = list(itertools.combinations(range(5), size))
        combined = [combiners[name](logits[list(subset)]) for subset in chosen]
        tempered = [calibrated_scores(log_p, labels, seed=3) for log_p in combined]
        for metric, function in METRICS.items():
            scores = {
                "raw": [function(log_p, labels) for log_p in combined],
                "calibrated": [t[metric] for t in tempered],
            }
            for stage, expected in scores.items():
                row = table.loc[(name, stage, size, metric)]
                assert row["subsets"] == len(chosen)
                band = np.quantile(expected, [0.025, 0.975])
                np.testing.assert_allclose(
                    row[["mean", "low", "high"]].astype(float),
                    [np.mean(expected), *band],
                    rtol=1e-7 if stage == "calibrated" else 1e-9,
                    atol=1e-7 if stage == "calibrated" else 1e-12,
                )
        oracle = [oracle_accuracy(logits[list(subset)], labels) for subset in chosen]
        row = table.loc[("oracle", "raw", size, "accuracy")]
        assert row["mean"] == pytest.approx(np.mean(oracle))


def test_columns_and_order():
    logits, labels = population()
    table = size_curves(logits, labels)
    columns = "combiner stage size metric mean low high item_low item_high subsets"
    assert list(table.columns) == columns.split()
    assert list(table["combiner"].unique()) == [*COMBINERS, "oracle"]
    assert list(table["stage"].unique()) == ["raw", "calibrated"]
    assert list(table["metric"].unique()) == list(METRICS)
    assert not table.duplicated(["combiner", "stage", "size", "metric"]).any()
    one = table[table["combiner"] == "mean_logit"].reset_index(drop=True)
    same = table[table["combiner"] == "geometric_mean"].reset_index(drop=True)
    np.testing.assert_array_equal(one[NUMBERS], same[NUMBERS])
    raw = size_curves(logits, labels, calibrate=False)
    expected = table[table["stage"] == "raw"].reset_index(drop=True)
    np.testing.assert_allclose(raw[NUMBERS], expected[NUMBERS], rtol=1e-9)


def test_intervals_over_items():
    """Against the normal interval of the mean; none for calibration errors."""
    logits, labels = population(items=2000)
    table = size_curves(logits, labels, combiners=["mean_probability"], resamples=2000)
    table = table.set_index(["combiner", "stage", "metric", "size"]).sort_index()
    log_p = COMBINERS["mean_probability"](logits)
    right = log_p.argmax(-1) == labels
    of_item = {
        "accuracy": right,
        "nll": -log_p[np.arange(2000), labels],
        "brier": np.square(np.exp(log_p) - np.eye(4)[labels]).sum(-1),
    }
    for metric, values in of_item.items():
        row = table.loc[("mean_probability", "raw", metric, 5)]
        error = 1.96 * values.std() / np.sqrt(2000)
        expected = [values.mean() - error, values.mean() + error]
        np.testing.assert_allclose([row["item_low"], row["item_high"]], expected, atol=0.15 * error)
    for metric in ("ece", "classwise_ece"):
        rows = table.loc[("mean_probability", "raw", metric)]
        assert rows[["item_low", "item_high"]].isna().all(axis=None)
    none = size_curves(logits, labels, resamples=0)
    assert none[["item_low", "item_high"]].isna().all(axis=None)


@pytest.mark.parametrize("name", ["mean_probability", "mean_logit", "majority_vote"])
def test_blocks_agree_with_the_whole(name, monkeypatch):
    logits, labels = population()
    whole = size_curves(logits, labels, combiners=[name])
    for held in (2**24, 0):
        monkeypatch.setattr(subsets, "_HELD", held)
        monkeypatch.setattr(subsets, "_BLOCK", 5 * 4 * 7)  # 5 members, 4 classes: 7 items at a time
        monkeypatch.setattr(subsets, "_SMALL_CHUNK", 120 * 4 * 2)  # 2 subsets at a time
        monkeypatch.setattr(subsets, "_CHUNK", 120 * 4 * 3)
        again = size_curves(logits, labels, combiners=[name])
        np.testing.assert_allclose(again[NUMBERS], whole[NUMBERS], rtol=1e-8, atol=1e-12)


def test_sizes():
    logits, labels = population(members=8)
    whole = size_curves(logits, labels, subsets=10)
    part = size_curves(logits, labels, subsets=10, sizes=[4, 8])
    expected = whole[whole["size"].isin([4, 8])].reset_index(drop=True)
    np.testing.assert_allclose(part[NUMBERS], expected[NUMBERS], rtol=1e-7)
    assert set(part.loc[part["size"] == 4, "subsets"]) == {10}
    full = part[part["size"] == 8]
    assert (full["subsets"] == 1).all()
    assert (full["low"] == full["high"]).all()
    assert default_sizes(1) == [1]
    assert default_sizes(16) == list(range(1, 17))
    assert default_sizes(17) == [1, 2, 4, 8, 16, 17]
    assert default_sizes(1000)[-2:] == [512, 1000]
    assert default_sizes(1024)[-2:] == [512, 1024]


def test_identical_members_gain_nothing():
    logits, labels = population(members=1)
    table = size_curves(np.repeat(logits, 3, axis=0), labels, combiners=["mean_probability"])
    for _, rows in table.groupby(["combiner", "stage", "metric"]):
        assert np.ptp(rows["mean"]) == pytest.approx(0, abs=1e-9)


def test_one_member_one_item():
    arguments = {"combiners": ["mean_logit"], "calibrate": False}
    table = size_curves([[[2.0, 0.0]]], [0], **arguments)
    wrong = 1 / (1 + np.exp(2))
    expected = [1, np.log1p(np.exp(-2)), 2 * wrong**2, wrong, wrong, 1]
    assert table["mean"].tolist() == pytest.approx(expected)
    with pytest.raises(UserError, match="at least 2 items"):
        size_curves([[[2.0, 0.0]]], [0])


def test_constant_logits_and_certain_members():
    labels = np.arange(40) % 4
    table = size_curves(np.zeros((3, 40, 4)), labels)
    rows = table[(table["metric"] == "nll") & (table["combiner"] != "majority_vote")]
    np.testing.assert_allclose(rows["mean"], np.log(4))
    sure = np.log(np.where(np.eye(4)[labels] > 0, 1 - 1e-12, 1e-12 / 3))
    table = size_curves(np.stack([sure] * 3), labels)
    assert (table.loc[table["metric"] == "accuracy", "mean"] == 1).all()
    rows = table[(table["metric"] == "nll") & (table["combiner"] == "mean_probability")]
    np.testing.assert_allclose(rows["mean"], 0, atol=1e-11)


def test_impossible_labels_have_infinite_nll_and_no_calibration():
    logits, labels = population()
    arguments = {"combiners": {"share": impossible}, "sizes": [1, 5]}
    with np.errstate(all="raise"):
        table = size_curves(logits, labels, calibrate=False, **arguments)
    nll = table[table["metric"] == "nll"]
    assert np.isinf(nll["mean"]).all()
    assert nll[["item_low", "item_high"]].isna().all(axis=None)
    assert table.loc[table["metric"] == "brier", NUMBERS].notna().all(axis=None)
    with pytest.raises(UserError, match="calibrate=False"):
        size_curves(logits, labels, **arguments)


def test_mistakes_are_named():
    logits, labels = population()
    for sizes in ([0], [6], []):
        with pytest.raises(UserError, match="sizes must be from 1 to the 5 members"):
            size_curves(logits, labels, sizes=sizes)
    with pytest.raises(UserError, match="subsets must be at least 1"):
        size_curves(logits, labels, subsets=0)
    with pytest.raises(UserError, match="resamples must be at least 0; found -1"):
        size_curves(logits, labels, resamples=-1)
    with pytest.raises(UserError, match=r"combiners=\['median'\]: expected names from"):
        size_curves(logits, labels, combiners=["median"])
    with pytest.raises(UserError, match="labels must be from 0 to 3"):
        size_curves(logits, labels + 1)
    with pytest.raises(UserError, match=r"\[S, N, C\]"):
        size_curves(logits[0], labels)
    with pytest.raises(UserError, match="finite"):
        size_curves(logits * np.nan, labels)
