import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chromatic_descent.ensemble import (
    farthest_point,
    greedy_forward,
    k_medoids,
    mean_probability,
    nll,
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


def test_mistakes_are_named():
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
