import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chromatic_descent.ensemble import (
    METRICS,
    farthest_point,
    greedy_forward,
    k_medoids,
    mean_probability,
    nll,
    probe_halves,
    selection_curves,
)
from chromatic_descent.errors import UserError


def population(members=6, items=200, classes=3, seed=0, skill=None):
    rng = np.random.default_rng(seed)
    labels = rng.integers(classes, size=items)
    skill = np.ones(members) if skill is None else np.asarray(skill)
    signal = skill[:, None, None] * np.eye(classes)[labels]
    return rng.normal(size=(members, items, classes)) + signal, labels


def cloud(seed, members=9):
    x = np.random.default_rng(seed).normal(size=(members, 2))
    return ((x[:, None] - x) ** 2).sum(-1)


@given(st.integers(0, 99), st.integers(1, 6))
def test_greedy_by_trying_every_member(seed, size):
    logits, labels = population(seed=seed, items=30)
    picked = []
    for _ in range(size):
        rest = [i for i in range(6) if i not in picked]
        scores = [nll(mean_probability(logits[[*picked, i]]), labels) for i in rest]
        picked.append(rest[int(np.argmin(scores))])
    assert greedy_forward(logits, labels, size) == picked


def test_greedy_with_certain_members():
    """Sure and wrong costs 2e4 nats, which no float64 probability holds."""
    labels = np.array([0, 1, 0, 1])
    right = 1e4 * (2 * np.eye(2)[labels] - 1)
    wrong_once = right.copy()
    wrong_once[0] *= -1
    assert greedy_forward([-right, wrong_once, right], labels, 3) == [2, 1, 0]


@given(st.integers(0, 99), st.integers(1, 8))
def test_no_swap_improves_the_medoids(seed, size):
    d = cloud(seed)
    medoids = k_medoids(d, size)
    assert len(set(medoids)) == size
    cost = d[medoids].min(0).sum()
    for out, into in itertools.product(medoids, set(range(9)) - set(medoids)):
        assert d[[into, *(m for m in medoids if m != out)]].min(0).sum() >= cost - 1e-9


def test_medoids_are_mostly_the_best():
    """A local optimum is what is promised; it is the best of all in most small clouds."""
    hits = 0
    for seed in range(100):
        d = cloud(seed)
        best = min(d[list(m)].min(0).sum() for m in itertools.combinations(range(9), 3))
        hits += d[k_medoids(d, 3)].min(0).sum() <= best + 1e-9
    assert hits >= 80


def test_medoids_of_clusters_are_one_of_each():
    x = np.concatenate([c + 0.1 * np.random.default_rng(0).normal(size=(7, 2)) for c in (0, 5, 9)])
    medoids = k_medoids(((x[:, None] - x) ** 2).sum(-1), 3)
    assert [m // 7 for m in medoids] == [0, 1, 2]


@given(st.integers(0, 99), st.integers(1, 9))
def test_farthest_point_by_hand(seed, size):
    d = cloud(seed)
    picked = [int(d.sum(1).argmin())]
    for _ in range(size - 1):
        rest = [i for i in range(9) if i not in picked]
        picked.append(max(rest, key=lambda i: min(d[i, j] for j in picked)))
    assert farthest_point(d, size) == picked
    # Gonzalez: no more than twice (here squared) the best covering radius.
    best = min(d[list(m)].min(0).max() for m in itertools.combinations(range(9), size))
    assert d[picked].min(0).max() <= 4 * best + 1e-12


def test_identical_members_are_still_picked_once_each():
    d = np.zeros((5, 5))
    assert k_medoids(d, 3) == [0, 1, 2]
    assert farthest_point(d, 5) == [0, 1, 2, 3, 4]


def test_mistakes_of_rules_are_named():
    logits, labels = population()
    for rule in (k_medoids, farthest_point):
        with pytest.raises(UserError, match="size must be from 1 to the 9 members; found 10"):
            rule(cloud(0), 10)
        with pytest.raises(UserError, match=r"shape \[S, S\] .* found shape \[9\]"):
            rule(cloud(0)[0], 2)
        with pytest.raises(UserError, match="finite"):
            rule(cloud(0) * np.nan, 2)
        with pytest.raises(UserError, match="zeros on the diagonal"):
            rule(cloud(0) + 1, 2)
    with pytest.raises(UserError, match="size must be from 1 to the 6 members; found 0"):
        greedy_forward(logits, labels, 0)


def mean_squared(logits):
    return ((logits[:, None] - logits) ** 2).mean(axis=(2, 3))


def test_curves_by_hand():
    """Both ways round, each pick made on one half and scored on the other."""
    logits, labels = population(items=101)
    table = selection_curves(logits, labels, mean_squared, sizes=[2, 3], seed=4, draws=15)
    columns = "size method metric mean item_low item_high low high p_value draws"
    assert list(table.columns) == columns.split()
    assert len(table) == 2 * 4 * len(METRICS)
    table = table.set_index(["size", "method", "metric"])
    first = probe_halves(101, 4)
    rules = {
        "greedy_forward": lambda half, y, k: greedy_forward(half, y, k),
        "k_medoids": lambda half, y, k: k_medoids(mean_squared(half), k),
        "farthest_point": lambda half, y, k: farthest_point(mean_squared(half), k),
    }

    def score(subset, there, metric):
        return metric(mean_probability(logits[list(subset)][:, there]), labels[there])

    for (name, rule), (metric_name, metric) in itertools.product(rules.items(), METRICS.items()):
        value = 0.0
        for here in (first, ~first):
            picked = rule(logits[:, here], labels[here], 2)
            value += score(picked, ~here, metric) * (~here).mean()
        row = table.loc[(2, name, metric_name)]
        assert row["mean"] == pytest.approx(value)
        drawn = [  # all 15 pairs
            sum(score(pair, there, metric) * there.mean() for there in (first, ~first))
            for pair in itertools.combinations(range(6), 2)
        ]
        control = table.loc[(2, "random", metric_name)]
        assert control["mean"] == pytest.approx(np.mean(drawn))
        np.testing.assert_allclose(
            [control["low"], control["high"]], np.quantile(drawn, [0.025, 0.975])
        )
        sign = 1 if metric_name == "accuracy" else -1
        as_good = np.sum(sign * np.array(drawn) >= sign * value - 1e-9)
        assert row["p_value"] == pytest.approx((1 + as_good) / 16)
        assert row["draws"] == control["draws"] == 15
        assert np.isnan(control["p_value"])


def test_greedy_finds_the_good_members_and_random_does_not():
    logits, labels = population(12, 600, skill=[3] * 3 + [0] * 9)
    table = selection_curves(logits, labels, mean_squared, sizes=[3])
    table = table[table["metric"] == "nll"].set_index("method")
    assert table.loc["greedy_forward", "p_value"] <= 2 / 101  # a draw may be the same three
    assert table.loc["greedy_forward", "item_high"] < table.loc["random", "low"]


def test_p_values_of_rules_that_know_nothing_are_uniform():
    """Alike members: farthest-point has nothing to find, so a small p is as rare as it should be."""
    p = []
    for seed in range(60):
        logits, labels = population(6, 80, seed=seed)
        table = selection_curves(
            logits, labels, mean_squared, sizes=[2], seed=seed, resamples=0
        ).set_index(["method", "metric"])
        p.append(table.loc[("farthest_point", "nll"), "p_value"])
    assert np.mean(np.array(p) <= 0.2) < 0.4
    assert np.mean(p) > 0.35


@pytest.mark.parametrize("same", [np.zeros((4, 30, 3)), np.repeat(population(1, 30)[0], 4, axis=0)])
def test_identical_members_all_do_equally_well(same):
    """Constant logits, and one member four times: every pick ties with every draw."""
    labels = np.arange(30) % 3
    table = selection_curves(same, labels, lambda half: np.zeros((4, 4)))
    assert (table.loc[table["method"] != "random", "p_value"] == 1).all()
    spread = table.groupby("metric")["mean"].agg(np.ptp)
    np.testing.assert_allclose(spread, 0, atol=1e-12)


def test_default_sizes():
    logits, labels = population(18, 20)
    table = selection_curves(logits, labels, mean_squared, draws=3)
    assert sorted(set(table["size"])) == [1, 2, 4, 8, 16]
    logits, labels = population(2, 2)
    assert set(selection_curves(logits, labels, mean_squared)["size"]) == {1}


def test_mistakes_are_named():
    logits, labels = population()
    with pytest.raises(UserError, match="at least 2 members"):
        selection_curves(logits[:1], labels, mean_squared)
    with pytest.raises(UserError, match="at least 2 items"):
        selection_curves(logits[:, :1], labels[:1], mean_squared)
    with pytest.raises(UserError, match="sizes must be from 1 to 5"):
        selection_curves(logits, labels, mean_squared, sizes=[6])
    with pytest.raises(UserError, match="draws must be at least 1"):
        selection_curves(logits, labels, mean_squared, draws=0)
    with pytest.raises(UserError, match="for the 6 members; found one for 5"):
        selection_curves(logits, labels, lambda half: mean_squared(half[:5]))
    with pytest.raises(UserError, match="must be non-negative"):
        selection_curves(logits, labels, lambda half: -mean_squared(half))
    with pytest.raises(UserError, match="must be symmetric"):
        selection_curves(logits, labels, lambda half: np.triu(mean_squared(half)))
