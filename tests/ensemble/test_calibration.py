import numpy as np
import pytest

from chromatic_descent.ensemble import (
    METRICS,
    calibrated_scores,
    cross_calibrated,
    fit_temperature,
    log_softmax,
    mean_probability,
    probe_halves,
)
from chromatic_descent.errors import UserError


def population(seed=0, lead=(4,), items=300, classes=5, scale=2.0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(classes, size=items)
    logits = rng.normal(size=(*lead, items, classes)) + np.eye(classes)[labels]
    return scale * logits, labels


def test_halves():
    for items in (2, 3, 10, 11):
        first = probe_halves(items, seed=1)
        assert first.shape == (items,)
        assert first.sum() == items // 2
        np.testing.assert_array_equal(first, probe_halves(items, seed=1))
    assert (probe_halves(100, 0) != probe_halves(100, 1)).any()
    with pytest.raises(UserError, match="at least 2 items; found 1"):
        probe_halves(1)


@pytest.mark.parametrize("lead", [(), (2, 3)])
def test_cross_calibration_by_hand(lead):
    logits, labels = population(lead=lead, items=101)
    result = cross_calibrated(logits, labels, seed=5)
    first = probe_halves(101, 5)
    np.testing.assert_array_equal(result.first_half, first)
    assert result.temperatures.shape == (*lead, 2)
    for fitted_on, t in ((first, 0), (~first, 1)):
        temperature = fit_temperature(logits[..., fitted_on, :], labels[fitted_on])
        np.testing.assert_allclose(result.temperatures[..., t], temperature)
        scale = np.asarray(temperature)[..., None, None]
        expected = log_softmax(logits[..., ~fitted_on, :] / scale)
        np.testing.assert_allclose(result.log_probs[..., ~fitted_on, :], expected)
    scores = calibrated_scores(logits, labels, seed=5)
    assert list(scores) == list(METRICS)
    for name, metric in METRICS.items():
        np.testing.assert_allclose(scores[name], metric(result.log_probs, labels))
        assert np.shape(scores[name]) == lead


def test_calibration_keeps_answers_and_ignores_how_sure_a_member_was():
    logits, labels = population(lead=())
    before = {name: metric(log_softmax(logits), labels) for name, metric in METRICS.items()}
    after = calibrated_scores(logits, labels)
    overconfident = calibrated_scores(7 * logits, labels)
    assert after["accuracy"] == before["accuracy"]
    assert after["nll"] < before["nll"]
    for name in METRICS:
        assert overconfident[name] == pytest.approx(after[name], abs=1e-7)


def test_an_ensemble_is_calibrated_after_combining():
    logits, labels = population()
    combined = mean_probability(logits)
    result = cross_calibrated(combined, labels)
    temperature = fit_temperature(combined[result.first_half], labels[result.first_half])
    assert result.temperatures[0] == pytest.approx(temperature)


def test_calibration_of_certain_members():
    """Right everywhere is as sure as it gets; two items are one a half."""
    right = 1e4 * np.eye(2)[[0, 1]]
    assert float(calibrated_scores(right, [0, 1])["nll"]) == 0
    assert cross_calibrated(-right, [0, 1]).temperatures.tolist() == [100, 100]
    with pytest.raises(UserError, match="at least 2 items"):
        cross_calibrated(right[:1], [0])
    with pytest.raises(UserError, match="finite"):
        calibrated_scores(right * np.nan, [0, 1])
