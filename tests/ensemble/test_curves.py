import itertools
import math

import numpy as np
import pytest

from chromatic_descent.ensemble import (
    accuracy,
    brier,
    curves,
    ece,
    mean_logit,
    mean_probability,
    nll,
    size_curve,
)
from chromatic_descent.errors import UserError

METRICS = {"accuracy": accuracy, "nll": nll, "brier": brier, "ece": ece}


def population(members=5, items=120, classes=4, scale=2.0, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(classes, size=items)
    return scale * (rng.normal(size=(members, items, classes)) + np.eye(classes)[labels]), labels


def vote(logits):
    """A combiner of the caller's own: smoothed shares of the members' votes."""
    votes = np.eye(logits.shape[-1])[logits.argmax(-1)].mean(0)
    return np.log((votes + 0.01) / (votes + 0.01).sum(-1, keepdims=True))


@pytest.mark.parametrize("scale", [2.0, 1e4])
@pytest.mark.parametrize("combiner", [mean_probability, mean_logit, vote])
def test_matches_scoring_each_subset_by_hand(combiner, scale):
    """At 1e4 most labels have probability 0 in float64, yet a finite log-probability."""
    logits, labels = population(scale=scale)
    curve = size_curve(logits, labels, combiner=combiner)
    assert list(curve.columns) == ["size", "metric", "mean", "low", "high", "subsets"]
    assert len(curve) == 5 * 4
    for size in range(1, 6):
        subsets = list(itertools.combinations(range(5), size))
        for name, metric in METRICS.items():
            scores = [metric(combiner(logits[list(subset)]), labels) for subset in subsets]
            row = curve[(curve["size"] == size) & (curve["metric"] == name)].iloc[0]
            assert row["subsets"] == len(subsets)
            assert row["mean"] == pytest.approx(np.mean(scores), rel=1e-9, abs=1e-12)
            expected = np.quantile(scores, [0.025, 0.975])
            np.testing.assert_allclose([row["low"], row["high"]], expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("combiner", [mean_probability, mean_logit, vote])
def test_blocks_agree_with_the_whole(combiner, monkeypatch):
    logits, labels = population()
    whole = size_curve(logits, labels, combiner=combiner)
    monkeypatch.setattr(curves, "_BLOCK", 31 * 4 * 7)  # 31 subsets, 4 classes: 7 items at a time
    again = size_curve(logits, labels, combiner=combiner)
    numbers = ["mean", "low", "high"]
    np.testing.assert_allclose(again[numbers], whole[numbers], rtol=1e-9, atol=1e-12)


def test_subsets_are_all_or_random_and_never_twice():
    assert curves.draw_subsets(4, 2, 6, seed=0) == list(itertools.combinations(range(4), 2))
    drawn = curves.draw_subsets(9, 4, 50, seed=0)
    assert len(set(drawn)) == 50
    assert all(len(set(subset)) == 4 and max(subset) < 9 for subset in drawn)
    assert drawn == curves.draw_subsets(9, 4, 50, seed=0)
    assert drawn != curves.draw_subsets(9, 4, 50, seed=1)
    all_but_one = math.comb(6, 3) - 1
    assert len(set(curves.draw_subsets(6, 3, all_but_one, seed=0))) == all_but_one


def test_sizes_do_not_depend_on_each_other():
    logits, labels = population(members=8)
    whole = size_curve(logits, labels, subsets=10)
    part = size_curve(logits, labels, subsets=10, sizes=[4, 8])
    expected = whole[whole["size"].isin([4, 8])].reset_index(drop=True)
    np.testing.assert_allclose(part[["mean", "low"]], expected[["mean", "low"]], rtol=1e-12)
    assert part["subsets"].tolist() == [10] * 4 + [1] * 4
    full = part[part["size"] == 8]
    assert (full["low"] == full["high"]).all()


def test_one_member_one_item():
    curve = size_curve([[[2.0, 0.0]]], [0])
    assert curve["mean"].tolist() == pytest.approx(
        [1, np.log1p(np.exp(-2)), 2 / (1 + np.exp(2)) ** 2, 1 / (1 + np.exp(2))]
    )


def test_mistakes_are_named():
    logits, labels = population()
    for sizes in ([0], [6], []):
        with pytest.raises(UserError, match="sizes must be from 1 to the 5 members"):
            size_curve(logits, labels, sizes=sizes)
    with pytest.raises(UserError, match="subsets must be at least 1"):
        size_curve(logits, labels, subsets=0)
    with pytest.raises(UserError, match="labels must be from 0 to 3"):
        size_curve(logits, labels + 1)
    with pytest.raises(UserError, match=r"\[S, N, C\]"):
        size_curve(logits[0], labels)
    with pytest.raises(UserError, match="finite"):
        size_curve(logits * np.nan, labels)
