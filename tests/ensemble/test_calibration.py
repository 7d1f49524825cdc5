import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar

from chromatic_descent.ensemble import (
    METRICS,
    calibrated_scores,
    cross_calibrated,
    ece,
    fit_temperature,
    log_softmax,
    mean_probability,
    nll,
    probe_halves,
    reliability,
)
from chromatic_descent.ensemble.calibration import best_beta
from chromatic_descent.errors import UserError


def population(seed=0, lead=(4,), items=300, classes=5, scale=2.0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(classes, size=items)
    logits = rng.normal(size=(*lead, items, classes)) + np.eye(classes)[labels]
    return scale * logits, labels


def by_scipy(logits, labels):
    return minimize_scalar(
        lambda log_t: nll(log_softmax(logits / np.exp(log_t)), labels),
        bounds=(np.log(1e-2), np.log(1e2)),
        method="bounded",
        options={"xatol": 1e-10},
    )


@pytest.mark.parametrize("scale", [0.05, 1.0, 40.0])
def test_matches_scipy(scale):
    logits, labels = population(scale=scale)
    fitted = fit_temperature(logits, labels)
    assert fitted.shape == (4,)
    for member, temperature in zip(logits, fitted, strict=True):
        best = by_scipy(member, labels)
        assert temperature == pytest.approx(np.exp(best.x), rel=1e-5)
        assert nll(log_softmax(member / temperature), labels) <= best.fun + 1e-14


def test_the_slope_is_zero_at_the_optimum():
    logits, labels = population()
    temperature = fit_temperature(logits, labels)[:, None, None]
    p = np.exp(log_softmax(logits / temperature))
    chosen = logits[:, np.arange(len(labels)), labels]
    slope = ((p * logits).sum(-1) - chosen).mean(-1)
    np.testing.assert_allclose(slope, 0, atol=1e-10)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 50), st.floats(0.1, 10), st.floats(-1e3, 1e3))
def test_scales_with_the_logits_and_ignores_shifts(seed, scale, shift):
    logits, labels = population(seed, lead=(), items=80)
    before = fit_temperature(logits, labels)
    after = fit_temperature(scale * logits + shift, labels)
    assert after == pytest.approx(scale * before, rel=1e-7)


def test_recovers_a_planted_temperature():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(20_000, 4))
    gumbel = rng.gumbel(size=logits.shape)  # argmax(f + g) is a draw from softmax(f)
    labels = (logits + gumbel).argmax(-1)
    assert fit_temperature(3 * logits, labels) == pytest.approx(3, rel=0.05)


def test_temperatures_have_bounds():
    logits, labels = population(lead=())
    right = 5 * np.eye(5)[labels]
    assert fit_temperature(right, labels) == 0.01
    assert fit_temperature(1e4 * right, labels) == 0.01  # where every slope rounds to zero
    assert fit_temperature(-right, labels) == 100
    assert fit_temperature(-1e4 * right, labels) == 100
    assert fit_temperature(np.full_like(logits, 7.0), labels) == 1
    nearly = 1e-6 * logits  # its optimum, about 1e-6, is below the bound
    assert fit_temperature(nearly, labels) == 0.01
    assert fit_temperature(1e6 * logits, labels) == 100


def test_confident_members_with_one_mistake():
    """n items of margin m, one of them wrong: p = (n − 1)/n, so T = m / log(n − 1)."""
    for items, margin in ((10, 2e2), (1000, 0.5), (3, 20.0)):
        logits = np.zeros((items, 2))
        logits[:, 0] = margin
        labels = np.zeros(items, dtype=int)
        labels[0] = 1
        assert fit_temperature(logits, labels) == pytest.approx(margin / np.log(items - 1))


def test_temperatures_have_the_leading_shape():
    logits, labels = population(lead=(2, 3), items=40)
    fitted = fit_temperature(logits.astype(np.float32), labels)
    assert fitted.shape == (2, 3)
    assert fitted.dtype == np.float64
    one = fit_temperature(logits[1, 2], labels)
    assert isinstance(one, float)
    assert one == pytest.approx(fitted[1, 2], rel=1e-5)
    assert fit_temperature([[1.0, 0.0]], [0]) == 0.01  # a single item, and right


def test_mistakes_are_named():
    logits, labels = population()
    with pytest.raises(UserError, match="labels must be from 0 to 4"):
        fit_temperature(logits, labels + 1)
    with pytest.raises(UserError, match="labels must be 300 whole numbers"):
        fit_temperature(logits, labels[1:])
    with pytest.raises(UserError, match="finite"):
        fit_temperature(logits * np.inf, labels)
    with pytest.raises(UserError, match=r"\[..., N, C\]; found \[5\]"):
        fit_temperature(logits[0, 0], labels)


@settings(max_examples=40)
@given(st.integers(0, 50), st.floats(0.011, 99), st.floats(0.1, 10))
def test_any_start_finds_the_same_temperature(seed, start, scale):
    logits, labels = population(seed, lead=(), items=60, scale=scale)
    z = (logits - logits.max(-1, keepdims=True)).T
    expected = 1 / fit_temperature(logits, labels)
    assert best_beta(z, labels, start) == pytest.approx(expected, rel=1e-8)
    # A loose step still ends close: the error after Newton's step is about its square.
    assert best_beta(z, labels, start, 1e-4) == pytest.approx(expected, rel=1e-6)


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


def test_calibration_keeps_predicted_classes_and_ignores_the_scale_of_logits():
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
    """A member right on every item gets the coldest temperature; two items, one in each half."""
    right = 1e4 * np.eye(2)[[0, 1]]
    assert float(calibrated_scores(right, [0, 1])["nll"]) == 0
    assert cross_calibrated(-right, [0, 1]).temperatures.tolist() == [100, 100]
    with pytest.raises(UserError, match="at least 2 items"):
        cross_calibrated(right[:1], [0])
    with pytest.raises(UserError, match="finite"):
        calibrated_scores(right * np.nan, [0, 1])


@pytest.mark.parametrize("lead", [(), (3,)])
def test_reliability(lead):
    logits, labels = population(lead=lead)
    log_p = log_softmax(logits)
    diagram = reliability(log_p, labels, bins=10)
    assert diagram.counts.shape == (*lead, 10)
    assert (diagram.counts.sum(-1) == len(labels)).all()
    np.testing.assert_allclose(diagram.edges, np.arange(11) / 10)
    empty = diagram.counts == 0
    assert empty.any()  # no top class of five is below 0.2
    np.testing.assert_array_equal(np.isnan(diagram.accuracy), empty)
    np.testing.assert_array_equal(np.isnan(diagram.confidence), empty)
    gaps = np.abs(diagram.accuracy - diagram.confidence) * diagram.counts / len(labels)
    np.testing.assert_allclose(np.nansum(gaps, axis=-1), ece(log_p, labels, bins=10))

    top, right = np.exp(log_p.max(-1)), log_p.argmax(-1) == labels
    member = (0,) * len(lead)
    inside = (top[member] > 0.5) & (top[member] <= 0.6)
    assert diagram.counts[(*member, 5)] == inside.sum()
    assert diagram.accuracy[(*member, 5)] == pytest.approx(right[member][inside].mean())
    assert diagram.confidence[(*member, 5)] == pytest.approx(top[member][inside].mean())
    with pytest.raises(UserError, match="bins must be at least 1"):
        reliability(log_p, labels, bins=0)
