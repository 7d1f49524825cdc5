import numpy as np
import pytest

from chromatic_descent.ensemble import fit_temperature
from chromatic_descent.errors import UserError
from chromatic_descent.geometry import (
    INTERVENTIONS,
    classical_mds,
    distance_matrix,
    intervene,
    interventions,
)


def population(members=8, items=300, classes=4, seed=0, noise=1.0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(classes, size=items)
    shared = 2 * np.eye(classes)[labels] + rng.normal(size=(items, classes))
    return shared + noise * rng.normal(size=(members, items, classes)), labels


def centred(logits):
    return logits - logits.mean(-1, keepdims=True)


def test_temperature_leaves_all_equally_sure():
    logits, labels = population()
    logits = logits * np.linspace(0.4, 3, 8)[:, None, None]
    temperature = fit_temperature(logits, labels)
    changed = intervene(logits, labels, "temperature", temperature=temperature)
    common = np.exp(np.log(temperature).mean())
    np.testing.assert_allclose(fit_temperature(changed, labels), common, rtol=1e-6)


def test_class_bias_is_that_of_the_mean():
    logits, labels = population()
    logits[:, :, 2] += np.arange(8)[:, None]
    changed = intervene(logits, labels, "class_bias")
    bias = centred(changed).mean(axis=1)
    np.testing.assert_allclose(bias, np.tile(centred(logits).mean(axis=(0, 1)), (8, 1)), atol=1e-12)
    np.testing.assert_allclose(changed.mean(-1), logits.mean(-1))  # shifts stay


def test_confusion_is_the_leading_class_pattern():
    """Against the definition: the mean over items of functions that depend on the label alone."""
    logits, labels = population(items=101)
    changed = intervene(logits, labels, "confusion")
    deviation = centred(logits) - centred(logits).mean(axis=0)
    by_label = np.zeros_like(deviation)  # the projection on functions of the label
    for c in range(4):
        by_label[:, labels == c] = deviation[:, labels == c].mean(axis=1, keepdims=True)
    u, s, vt = np.linalg.svd(by_label.reshape(8, -1), full_matrices=False)
    expected = logits - (u[:, :1] * s[0] @ vt[:1]).reshape(logits.shape)
    np.testing.assert_allclose(changed, expected, atol=1e-10)


def test_a_planted_confusion_goes():
    logits, labels = population(noise=0.05)
    score = np.random.default_rng(3).normal(size=8)
    score -= score.mean()
    pattern = np.zeros((4, 4))
    pattern[1, 2], pattern[1, 1] = 1, -1  # class 1 taken for class 2
    confused = logits + score[:, None, None] * pattern[labels]
    table = interventions(confused, labels, "logit_mse_centred", resamples=50)
    removed = table.set_index("intervention").removed
    assert removed["confusion"] > 0.9
    assert removed["class_bias"] < 0.5


@pytest.mark.parametrize("kind", ["class_bias", "confusion"])
def test_projections_are_orthogonal(kind):
    """The removed part and the rest add up, and removing twice is removing once."""
    logits, labels = population()
    changed = intervene(logits, labels, kind)
    before = distance_matrix(logits, "logit_mse_centred")
    left = distance_matrix(changed, "logit_mse_centred")
    gone = distance_matrix(logits - changed, "logit_mse_centred")
    np.testing.assert_allclose(left + gone, before, rtol=1e-9)
    again = intervene(changed, labels, "class_bias")
    if kind == "class_bias":
        np.testing.assert_allclose(again, changed, atol=1e-12)


def test_all_is_the_three_in_order():
    logits, labels = population()
    temperature = fit_temperature(logits, labels)
    step = intervene(logits, labels, "temperature", temperature=temperature)
    step = intervene(step, labels, "class_bias")
    step = intervene(step, labels, "confusion")
    whole = intervene(logits, labels, "all", temperature=temperature)
    np.testing.assert_allclose(whole, step, atol=1e-12)


@pytest.mark.parametrize("name", ["logit_mse", "logit_mse_centred", "hellinger"])
def test_members_that_differ_in_temperature_alone(name):
    logits, labels = population(1)
    temperature = np.linspace(0.5, 2, 6)
    logits = logits * temperature[:, None, None]
    table = interventions(logits, labels, name, temperature=temperature, resamples=20)
    row = table.set_index("intervention").loc["temperature"]
    assert row[["removed", "low", "high", "removed_total"]].tolist() == pytest.approx([1] * 4)
    assert row.after == 0
    assert np.isnan(row.correlation)


def test_the_matched_distance_stays_matched():
    logits, labels = population()
    logits = logits * np.linspace(0.4, 3, 8)[:, None, None]
    temperature = fit_temperature(logits, labels)
    table = interventions(
        logits, labels, "logit_mse_matched", temperature=temperature, resamples=20
    ).set_index("intervention")
    assert table.removed["temperature"] == pytest.approx(0, abs=1e-9)
    assert table.correlation["temperature"] == pytest.approx(1)


def test_the_table():
    logits, labels = population()
    temperature = fit_temperature(logits, labels)
    table = interventions(logits, labels, "hellinger", temperature=temperature, resamples=40)
    assert table.intervention.tolist() == list(INTERVENTIONS)
    spectrum = classical_mds(distance_matrix(logits, "hellinger")).eigenvalues
    np.testing.assert_allclose(table.before, spectrum[:2].sum())
    changed = intervene(logits, labels, "class_bias")
    after = classical_mds(distance_matrix(changed, "hellinger"))
    row = table.set_index("intervention").loc["class_bias"]
    assert row.after == pytest.approx(after.eigenvalues[:2].sum())
    assert row.removed == pytest.approx(1 - row.after / row.before)
    assert row.top_2_share == pytest.approx(after.explained[1])
    assert (table.low <= table.removed).all()
    assert (table.removed <= table.high).all()
    assert interventions(logits, labels, "hellinger", resamples=2).intervention.tolist() == [
        "class_bias",
        "confusion",
    ]


def test_little_is_removed_from_noise():
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(size=(10, 2000, 5)), rng.integers(5, size=2000)
    table = interventions(logits, labels, "logit_mse_centred", resamples=20)
    assert table.removed_total.between(0, 5 / 2000).all()


def test_small_populations_and_absent_classes():
    logits, labels = population(2, 20)
    labels = np.where(labels == 3, 0, labels)
    table = interventions(logits, labels, "logit_mse", resamples=5)
    assert table[["removed", "low", "high"]].notna().all(axis=None)
    one = interventions(logits[:, :1], labels[:1], "logit_mse_centred", resamples=5)
    assert one.removed.tolist() == pytest.approx([1, 1])  # one item: bias is everything


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"kinds": ["scale"]}, "one of temperature, class_bias, confusion, all; found 'scale'"),
        ({"kinds": ["all"]}, "'all' needs `temperature`"),
        ({"resamples": 0}, "resamples must be at least 1"),
        ({"temperature": [1.0]}, "8 positive finite numbers"),
    ],
)
def test_mistakes_are_named(arguments, message):
    with pytest.raises(UserError, match=message):
        interventions(*population(), "logit_mse", **arguments)


def test_identical_members_are_named():
    logits, labels = population(1)
    with pytest.raises(UserError, match="identical"):
        interventions(np.repeat(logits, 3, axis=0), labels, "hellinger")
