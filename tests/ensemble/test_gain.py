import itertools

import numpy as np
import pytest

from chromatic_descent.ensemble import (
    accuracy,
    distance_predicts_gain,
    log_softmax,
    mean_probability,
    nll,
)
from chromatic_descent.errors import UserError

TARGETS = ["accuracy_gain", "nll_gain", "accuracy", "nll_reduction"]


def population(members=7, items=200, classes=3, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(classes, size=items)
    return 1.5 * rng.normal(size=(members, items, classes)) + np.eye(classes)[labels], labels


def cloud(seed, members=7):
    x = np.random.default_rng(1000 + seed).normal(size=(members, 3))
    return ((x[:, None] - x) ** 2).sum(-1)


def test_by_hand():
    logits, labels = population()
    d = cloud(0)
    result = distance_predicts_gain(d, logits, labels, size=3)
    chosen = list(itertools.combinations(range(7), 3))
    assert list(result.subsets.columns) == ["spread", *TARGETS]
    assert len(result.subsets) == 35
    member_accuracy = accuracy(log_softmax(logits), labels)
    member_nll = nll(log_softmax(logits), labels)
    for subset, (_, row) in zip(chosen, result.subsets.iterrows(), strict=True):
        pairs = [d[i, j] for i, j in itertools.combinations(subset, 2)]
        assert row["spread"] == pytest.approx(np.mean(pairs))
        log_p = mean_probability(logits[list(subset)])
        right, loss = accuracy(log_p, labels), nll(log_p, labels)
        assert row["accuracy"] == pytest.approx(right)
        assert row["nll_reduction"] == pytest.approx(-loss)
        assert row["accuracy_gain"] == pytest.approx(right - member_accuracy[list(subset)].mean())
        assert row["nll_gain"] == pytest.approx(member_nll[list(subset)].mean() - loss)
    table = result.table.set_index("target")
    for target in TARGETS:
        expected = np.corrcoef(result.subsets["spread"], result.subsets[target])[0, 1]
        assert table.loc[target, "correlation"] == pytest.approx(expected)
        assert table.loc[target, "low"] < expected < table.loc[target, "high"]
    assert (table["size"] == 3).all()
    assert (table["subsets"] == 35).all()


def test_p_value_against_all_relabellings():
    """With 5 members there are 120; drawn at random, p must come close to the exact share."""
    logits, labels = population(5)
    d = cloud(1, 5)
    result = distance_predicts_gain(d, logits, labels, size=2, permutations=4000)
    chosen = list(itertools.combinations(range(5), 2))
    gain = result.subsets["nll_gain"].to_numpy()
    null = []
    for order in itertools.permutations(range(5)):
        renamed = d[np.ix_(order, order)]
        null.append(np.corrcoef([renamed[pair] for pair in chosen], gain)[0, 1])
    observed = result.table.set_index("target").loc["nll_gain"]
    exact = np.mean(np.abs(null) >= abs(observed["correlation"]) - 1e-12)
    assert observed["p_value"] == pytest.approx(exact, abs=0.025)


def test_jackknife_by_hand():
    logits, labels = population(6)
    result = distance_predicts_gain(cloud(2, 6), logits, labels, size=3)
    chosen = list(itertools.combinations(range(6), 3))
    spread, gain = result.subsets["spread"].to_numpy(), result.subsets["nll_gain"].to_numpy()
    without = []
    for member in range(6):
        rest = [m for m, subset in enumerate(chosen) if member not in subset]
        without.append(np.arctanh(np.corrcoef(spread[rest], gain[rest])[0, 1]))
    error = np.sqrt(5 / 6 * np.square(without - np.mean(without)).sum())
    row = result.table.set_index("target").loc["nll_gain"]
    reach = 2.5705818 * error  # Student's t at 97.5% with 5 degrees of freedom
    expected = np.tanh(np.arctanh(row["correlation"]) + np.array([-reach, reach]))
    np.testing.assert_allclose([row["low"], row["high"]], expected, rtol=1e-6)


def test_finds_what_is_planted():
    """Members near each other err alike, so that the far ones gain."""
    rng = np.random.default_rng(0)
    labels = rng.integers(3, size=500)
    place = rng.normal(size=(9, 2))
    common = rng.normal(size=(2, 500, 3))
    logits = np.tensordot(place, common, 1) + np.eye(3)[labels]  # [9, 500, 3]
    d = ((place[:, None] - place) ** 2).sum(-1)
    table = distance_predicts_gain(d, logits, labels, size=2).table.set_index("target")
    assert table.loc["nll_gain", "correlation"] > 0.8
    assert table.loc["nll_gain", "p_value"] < 0.01
    assert table.loc["nll_gain", "low"] > 0


def test_size_of_the_test():
    """Distances that have nothing to do with the members: p below 0.1 in about a tenth of studies.

    8 to 34 of 200 holds more than 99% of what a rate of 10% gives.
    """
    logits, labels = population(8, 60)
    p = [
        distance_predicts_gain(cloud(seed, 8), logits, labels, size=3, permutations=99, seed=seed)
        .table.set_index("target")
        .loc["nll_gain", "p_value"]
        for seed in range(200)
    ]
    assert 8 <= np.sum(np.array(p) <= 0.1) <= 34


def test_what_does_not_vary_has_no_correlation():
    labels = np.arange(30) % 3
    logits = 5 * np.eye(3)[labels] + 0.1 * np.random.default_rng(0).normal(size=(6, 30, 3))
    table = distance_predicts_gain(cloud(0, 6), logits, labels, size=2).table.set_index("target")
    missing = ["correlation", "low", "high", "p_value"]
    assert table.loc[["accuracy", "accuracy_gain"], missing].isna().all(axis=None)
    assert table.loc[["nll_gain", "nll_reduction"], missing].notna().all(axis=None)


def test_mistakes_are_named():
    logits, labels = population()
    d = cloud(0)

    def run(squared=d, logits=logits, **arguments):
        return distance_predicts_gain(squared, logits, labels, **arguments)

    with pytest.raises(UserError, match="at least 5 members; found 4"):
        run(d[:4, :4], logits[:4])
    with pytest.raises(UserError, match="for 6 members, logits for 7"):
        run(d[:6, :6])
    with pytest.raises(UserError, match="size must be from 2 to 5"):
        run(size=6)
    with pytest.raises(UserError, match="subsets must be at least 3; found 2"):
        run(subsets=2)
    with pytest.raises(UserError, match="permutations must be at least 1; found 0"):
        run(permutations=0)
    with pytest.raises(UserError, match="nothing to correlate"):
        run(np.zeros((7, 7)))
    with pytest.raises(UserError, match="finite"):
        run(logits=logits * np.nan)
