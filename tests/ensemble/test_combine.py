import numpy as np
import pytest
from scipy.special import log_softmax as scipy_log_softmax
from scipy.special import logsumexp

from chromatic_descent.ensemble import log_softmax, mean_logit, mean_probability
from chromatic_descent.errors import UserError


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


@pytest.mark.parametrize("combine", [mean_probability, mean_logit])
def test_is_a_distribution_whatever_the_order_of_members(combine):
    logits = population()
    combined = combine(logits)
    np.testing.assert_allclose(np.exp(combined).sum(-1), 1)
    np.testing.assert_allclose(combine(logits[::-1]), combined)
    np.testing.assert_allclose(combine(logits[:1]), log_softmax(logits[0]))


def test_sure_and_wrong_stays_finite():
    logits = np.full((3, 1, 2), -1e4)
    logits[..., 0] = 1e4
    np.testing.assert_allclose(mean_probability(logits), [[0, -2e4]], atol=1e-12)
    np.testing.assert_allclose(mean_logit(logits), [[0, -2e4]])


def test_leaves_its_input_alone():
    logits = population()
    before = logits.copy()
    log_softmax(logits)
    mean_probability(logits)
    np.testing.assert_array_equal(logits, before)


@pytest.mark.parametrize("combine", [mean_probability, mean_logit])
@pytest.mark.parametrize(
    ("logits", "message"),
    [
        (population()[0], r"\[S, N, C\]; found \[30, 4\]"),
        (population()[..., :1], "at least 2 classes"),
        (population()[:0], r"found \[0, 30, 4\]"),
        (population() * np.nan, "600 of 600"),
        (population() > 0, "dtype bool"),
    ],
)
def test_mistakes_are_named(combine, logits, message):
    with pytest.raises(UserError, match=message):
        combine(logits)
