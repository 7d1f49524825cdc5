import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import entropy
from sklearn.metrics import roc_auc_score

from chromatic_descent.ensemble import auroc, log_probabilities, log_softmax, uncertainty
from chromatic_descent.errors import UserError


def population(seed=0, members=6, items=40, classes=5, scale=2.0):
    return scale * np.random.default_rng(seed).normal(size=(members, items, classes))


@given(st.integers(0, 99), st.integers(1, 7), st.sampled_from([1e-6, 1.0, 50.0, 1e4]))
def test_matches_scipy_and_adds_up(seed, members, scale):
    logits = population(seed, members, scale=scale)
    p = np.exp(log_softmax(logits))
    split = uncertainty(logits)
    np.testing.assert_allclose(split.total, entropy(p.mean(0), axis=-1), atol=1e-12)
    np.testing.assert_allclose(split.expected, entropy(p, axis=-1).mean(0), atol=1e-12)
    mutual = entropy(p, p.mean(0), axis=-1).mean(0)  # mean KL
    np.testing.assert_allclose(split.mutual_information, mutual, atol=1e-12)
    together = split.expected + split.mutual_information
    np.testing.assert_allclose(split.total, together, atol=1e-12)
    assert (split.mutual_information >= 0).all()
    assert (split.mutual_information <= np.log(members) + 1e-12).all()
    assert (split.total <= np.log(5) + 1e-12).all()


def test_extremes():
    same = uncertainty(np.repeat(population(members=1), 4, axis=0))
    np.testing.assert_allclose(same.mutual_information, 0, atol=1e-15)
    opposed = uncertainty([[[1e4, -1e4]], [[-1e4, 1e4]]])
    assert opposed.total == pytest.approx(np.log(2))
    assert opposed.expected == 0
    constant = uncertainty(np.zeros((3, 2, 4)))
    np.testing.assert_allclose(constant.total, np.log(4))
    # Two members at p = 1 − 1e-12 of one class: a mutual information no difference would show.
    sure = np.log([[[1 - 1e-12, 1e-12]], [[1 - 3e-12, 3e-12]]])
    mean = 2e-12
    expected = (1e-12 * np.log(1e-12 / mean) + 3e-12 * np.log(3e-12 / mean)) / 2
    assert uncertainty(sure).mutual_information == pytest.approx(expected, rel=1e-2)


def test_means_and_their_errors():
    split = uncertainty(population(items=500))
    assert list(split.means) == ["total", "expected", "mutual_information"]
    assert split.means["total"] == pytest.approx(split.total.mean())
    error = split.total.std(ddof=1) / np.sqrt(500)
    assert split.standard_errors["total"] == pytest.approx(error)
    assert np.isnan(uncertainty(population(items=1)).standard_errors["total"])


def test_blocks_agree_with_the_whole(monkeypatch):
    whole = uncertainty(population())
    monkeypatch.setattr(log_probabilities, "_BLOCK", 6 * 5 * 7)  # 7 items at a time
    parts = uncertainty(population())
    for name, values in vars(whole).items():
        np.testing.assert_allclose(getattr(parts, name), values, rtol=1e-12)


def test_mistakes_are_named():
    with pytest.raises(UserError, match="finite"):
        uncertainty(population() * np.inf)
    with pytest.raises(UserError, match=r"\[S, N, C\]"):
        uncertainty(population()[0])


def test_auroc_is_scikit_learns_and_the_count_of_pairs():
    rng = np.random.default_rng(0)
    inside, outside = rng.integers(6, size=40), rng.integers(2, 9, size=30)  # with many ties
    scores = np.concatenate([inside, outside])
    truth = np.repeat([0, 1], [40, 30])
    assert auroc(inside, outside) == pytest.approx(roc_auc_score(truth, scores))
    pairs = [(o > i) + 0.5 * (o == i) for i, o in itertools.product(inside, outside)]
    assert auroc(inside, outside) == pytest.approx(np.mean(pairs))
    with pytest.raises(UserError, match="found 0 and 1"):
        auroc([], [1.0])
