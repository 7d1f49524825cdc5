import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score

from chromatic_descent.ensemble import diversity, oracle_accuracy
from chromatic_descent.errors import UserError


def as_logits(predicted, classes):
    return np.eye(classes)[np.asarray(predicted)]


def independent(members=6, items=400, classes=4, error=0.3, seed=0):
    """Answers that are wrong at random, each wrong class as likely as another."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(classes, size=items)
    shift = rng.integers(1, classes, size=(members, items))
    wrong = rng.random((members, items)) < error
    return np.where(wrong, (labels + shift) % classes, labels), labels


@given(st.integers(0, 99), st.integers(2, 5), st.integers(2, 5), st.floats(0.05, 0.9))
def test_matches_scikit_learn_and_brute_force(seed, members, classes, error):
    predicted, labels = independent(members, 37, classes, error, seed)
    measured = diversity(as_logits(predicted, classes), labels)
    wrong = predicted != labels
    for i, j in itertools.product(range(members), repeat=2):
        d = (predicted[i] != predicted[j]).mean()
        at = {name: matrix[i, j] for name, matrix in measured.pairs.items()}
        assert at["disagreement"] == pytest.approx(d)
        mean_error = (wrong[i].mean() + wrong[j].mean()) / 2
        expected = d / mean_error if mean_error else np.nan
        assert at["normalised_disagreement"] == pytest.approx(expected, nan_ok=True)
        kappa = cohen_kappa_score(predicted[i], predicted[j])
        assert at["cohen_kappa"] == pytest.approx(kappa, nan_ok=True, abs=1e-12)
        constant = any(wrong[k].all() or not wrong[k].any() for k in (i, j))
        expected = np.nan if constant else np.corrcoef(wrong[i], wrong[j])[0, 1]
        assert at["error_correlation"] == pytest.approx(expected, nan_ok=True, abs=1e-12)
    upper = np.triu_indices(members, k=1)
    for name, matrix in measured.pairs.items():
        known = matrix[upper][~np.isnan(matrix[upper])]
        expected = known.mean() if len(known) else np.nan
        assert measured.means[name] == pytest.approx(expected, nan_ok=True)


def test_fleiss_kappa_of_its_paper_and_in_closed_form():
    """The table of 10 subjects, 14 raters and 5 categories that Fleiss' kappa is taught with."""
    table = """0 0 0 0 14 / 0 2 6 4 2 / 0 0 3 5 6 / 0 3 9 2 0 / 2 2 8 1 1 / 7 7 0 0 0 / 3 2 6 3 0
        / 2 5 3 2 2 / 6 5 2 1 0 / 0 2 2 3 7"""
    counts = np.array([row.split() for row in table.split("/")], dtype=int)
    predicted = np.array([np.repeat(np.arange(5), row) for row in counts]).T  # [14, 10]
    measured = diversity(as_logits(predicted, 5), np.zeros(10, dtype=int))
    assert measured.means["fleiss_kappa"] == pytest.approx(0.210, abs=5e-4)
    agreement = ((counts**2).sum(1) - 14) / (14 * 13)
    share = counts.sum(0) / 140
    chance = (share**2).sum()
    expected = (agreement.mean() - chance) / (1 - chance)
    assert measured.means["fleiss_kappa"] == pytest.approx(expected)


@pytest.mark.parametrize(("error", "classes"), [(0.1, 10), (0.3, 4), (0.5, 2)])
def test_independent_members_meet_their_reference(error, classes):
    predicted, labels = independent(4, 20_000, classes, error)
    measured = diversity(as_logits(predicted, classes), labels)
    expected = 2 * error * (1 - error) + error**2 * (classes - 2) / (classes - 1)
    assert measured.means["independent_disagreement"] == pytest.approx(expected, rel=0.02)
    for name, value in (("disagreement", expected), ("error_correlation", 0)):
        within = 4 * measured.standard_errors[name] + 1e-3
        assert measured.means[name] == pytest.approx(value, abs=within)


def test_standard_errors_are_those_of_new_items():
    """The jackknife's error against the spread over 200 fresh probes."""
    fresh = [diversity(as_logits(a, 4), y) for a, y in map(draw, range(200))]
    for name in fresh[0].means:
        spread = np.std([measured.means[name] for measured in fresh])
        error = np.mean([measured.standard_errors[name] for measured in fresh])
        assert error == pytest.approx(spread, rel=0.2)


def draw(seed):
    """Members who err together: each item has a difficulty of its own."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(4, size=400)
    wrong = rng.random((4, 400)) < rng.beta(0.5, 1, size=400)
    shift = rng.integers(1, 4, size=(4, 400))
    return np.where(wrong, (labels + shift) % 4, labels), labels


def test_identical_members():
    predicted, labels = independent(1)
    measured = diversity(as_logits(np.repeat(predicted, 3, axis=0), 4), labels)
    expected = {"disagreement": 0, "normalised_disagreement": 0, "cohen_kappa": 1}
    for name, value in {**expected, "error_correlation": 1, "fleiss_kappa": 1}.items():
        assert measured.means[name] == pytest.approx(value, abs=1e-12)


def test_undefined_is_nan_and_silent():
    labels = np.arange(20) % 4
    perfect = diversity(as_logits([labels, labels], 4), labels)
    assert np.isnan(perfect.means["normalised_disagreement"])
    assert np.isnan(perfect.means["error_correlation"])
    assert perfect.means["disagreement"] == 0
    assert perfect.means["cohen_kappa"] == 1
    constant = diversity(np.zeros((3, 20, 4)), labels)  # all answer class 0
    assert np.isnan(constant.means["cohen_kappa"])
    assert np.isnan(constant.means["fleiss_kappa"])
    # One perfect member: its pairs are left out of the mean of what they do not define.
    predicted, labels = independent(3)
    predicted[0] = labels
    some = diversity(as_logits(predicted, 4), labels)
    assert some.means["error_correlation"] == some.pairs["error_correlation"][1, 2]


@pytest.mark.parametrize("items", [1, 2, 7])
def test_few_items(items):
    predicted, labels = independent(2, items)
    measured = diversity(as_logits(predicted, 4), labels)
    assert measured.means["disagreement"] == (predicted[0] != predicted[1]).mean()
    assert np.isnan(measured.standard_errors["disagreement"]) == (items == 1)


def test_counts_beyond_a_byte():
    predicted, labels = independent(3, 300 * 20)
    measured = diversity(as_logits(predicted, 4), labels)
    expected = (predicted[0] != predicted[1]).mean()
    assert measured.pairs["disagreement"][0, 1] == pytest.approx(expected, rel=1e-12)
    np.testing.assert_array_equal(measured.pairs["disagreement"].diagonal(), 0)


def test_oracle():
    predicted, labels = independent()
    expected = (predicted == labels).any(0).mean()
    assert oracle_accuracy(as_logits(predicted, 4), labels) == expected
    assert oracle_accuracy([[[0.0, 1.0]]], [0]) == 0


def test_mistakes_are_named():
    predicted, labels = independent()
    logits = as_logits(predicted, 4)
    with pytest.raises(UserError, match="at least 2 members; found 1"):
        diversity(logits[:1], labels)
    with pytest.raises(UserError, match="labels must be from 0 to 3"):
        diversity(logits, labels + 1)
    with pytest.raises(UserError, match="finite"):
        diversity(logits * np.nan, labels)
    with pytest.raises(UserError, match=r"labels must be .* whole numbers"):
        oracle_accuracy(logits, labels[1:])
