import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import log_softmax as scipy_log_softmax
from scipy.special import logsumexp

from chromatic_descent.ensemble import (
    COMBINERS,
    Combiner,
    geometric_mean,
    log_softmax,
    majority_vote,
    mean_logit,
    mean_probability,
    nll,
    size_curves,
)
from chromatic_descent.errors import UserError

ALL = list(COMBINERS.values())


def population(seed=0, scale=3.0, dtype=np.float64):
    return (scale * np.random.default_rng(seed).normal(size=(5, 30, 4))).astype(dtype)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("scale", [1.0, 1e4])
def test_matches_scipy_in_log_space(scale, dtype):
    logits = population(scale=scale, dtype=dtype)
    wide = logits.astype(np.float64)
    log_p = scipy_log_softmax(wide, axis=-1)
    np.testing.assert_allclose(log_softmax(logits), log_p, rtol=1e-12)
    expected = logsumexp(log_p, axis=0) - np.log(5)
    np.testing.assert_allclose(mean_probability(logits), expected, rtol=1e-12)
    geometric = scipy_log_softmax(log_p.mean(0), axis=-1)
    np.testing.assert_allclose(mean_logit(logits), geometric, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("combine", ALL)
def test_is_a_distribution_whatever_the_order_of_members(combine):
    logits = population()
    combined = combine(logits)
    np.testing.assert_allclose(np.exp(combined).sum(-1), 1)
    np.testing.assert_allclose(combine(logits[::-1]), combined)


@pytest.mark.parametrize("combine", [mean_probability, mean_logit, geometric_mean])
def test_one_member_is_itself(combine):
    logits = population()
    np.testing.assert_allclose(combine(logits[:1]), log_softmax(logits[0]))


@given(st.integers(0, 99), st.integers(1, 6), st.sampled_from([1e-3, 1.0, 30.0, 1e4]))
def test_geometric_mean_is_mean_logit(seed, members, scale):
    """Also with a shift of its own for every member and item, which no probability sees."""
    rng = np.random.default_rng(seed)
    logits = scale * rng.normal(size=(members, 7, 3))
    shifted = logits + 100 * rng.normal(size=(members, 7, 1))
    tolerance = {"rtol": 1e-12, "atol": 1e-12 * (100 + scale)}
    np.testing.assert_allclose(geometric_mean(shifted), mean_logit(logits), **tolerance)
    np.testing.assert_allclose(mean_logit(shifted), mean_logit(logits), **tolerance)


def test_geometric_mean_by_its_definition():
    p = np.exp(log_softmax(population()))
    product = p.prod(axis=0) ** (1 / len(p))
    expected = product / product.sum(-1, keepdims=True)
    np.testing.assert_allclose(np.exp(geometric_mean(population())), expected)


@given(st.integers(0, 200), st.integers(1, 7), st.integers(2, 4))
def test_majority_vote_by_counting(seed, members, classes):
    logits = np.random.default_rng(seed).normal(size=(members, 20, classes))
    p = np.exp(majority_vote(logits))
    share = np.exp(mean_probability(logits))
    for n in range(20):
        counts = np.bincount(logits[:, n].argmax(-1), minlength=classes)
        np.testing.assert_allclose(p[n], (counts + 1 / classes) / (members + 1), atol=2e-6)
        tied = np.flatnonzero(counts == counts.max())
        assert p[n].argmax() == tied[share[n, tied].argmax()]


def test_a_vote_is_never_overturned_and_never_impossible():
    """499 members who are hardly sure against 498 who are certain."""
    logits = np.zeros((997, 1, 3))
    logits[:499, 0, 2] = 1e-3
    logits[499:, 0, 0] = 1e4
    log_p = majority_vote(logits)
    assert log_p.argmax() == 2
    assert log_p[0, 1] == pytest.approx(-np.log(3 * 998), rel=1e-3)


def test_sure_and_wrong_stays_finite():
    logits = np.full((3, 1, 2), -1e4)
    logits[..., 0] = 1e4
    np.testing.assert_allclose(mean_probability(logits), [[0, -2e4]], atol=1e-12)
    np.testing.assert_allclose(mean_logit(logits), [[0, -2e4]])
    np.testing.assert_allclose(geometric_mean(logits), [[0, -2e4]])


def test_leaves_its_input_alone():
    logits = population()
    before = logits.copy()
    log_softmax(logits)
    for combine in ALL:
        combine(logits)
    np.testing.assert_array_equal(logits, before)


@pytest.mark.parametrize("combine", ALL)
@pytest.mark.parametrize(
    ("logits", "message"),
    [
        (population()[0], r"\[S, N, C\] .* found shape \[30, 4\]"),
        (population()[..., :1], "and 2 classes"),
        (population()[:0], r"at least 1 member, .* found shape \[0, 30, 4\]"),
        (population() * np.nan, "120 of 120 values of member 0"),
        (population() > 0, "dtype bool"),
    ],
)
def test_mistakes_are_named(combine, logits, message):
    with pytest.raises(UserError, match=message):
        combine(logits)


def test_a_new_combiner_is_one_entry(monkeypatch):
    def median(logits):
        return log_softmax(np.median(logits, axis=0))

    monkeypatch.setitem(COMBINERS, "median", Combiner(median))
    labels = np.arange(30) % 4
    curves = size_curves(population(), labels, combiners=["median"], calibrate=False)
    row = curves.query("combiner == 'median' and size == 5 and metric == 'nll'").iloc[0]
    assert row["mean"] == pytest.approx(nll(median(population()), labels))


def test_a_function_of_the_table_is_combined_like_its_entry():
    labels = np.arange(30) % 4
    by_name = size_curves(population(), labels, combiners=["mean_logit"])
    by_function = size_curves(population(), labels, combiners={"mean_logit": mean_logit})
    assert by_name.equals(by_function)
