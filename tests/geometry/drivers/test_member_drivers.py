import numpy as np
import pandas as pd
import pytest
from scipy.special import softmax
from scipy.stats import entropy

from chromatic_descent.ensemble import accuracy, fit_temperature, log_softmax
from chromatic_descent.errors import UserError
from chromatic_descent.geometry import member_drivers
from chromatic_descent.geometry.drivers.member_drivers import group_of, subset_drivers


def population(members=6, items=400, classes=4, seed=0):
    """Members that differ in sureness and bias, and are right more often than not."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(classes, size=items)
    logits = 1.5 * np.eye(classes)[labels] + rng.normal(size=(members, items, classes))
    logits += 0.3 * rng.normal(size=(members, 1, classes))
    return logits / rng.uniform(0.5, 2, size=(members, 1, 1)), labels


def test_matches_the_definitions():
    logits, labels = population()
    temperature = fit_temperature(logits, labels)
    table = member_drivers(logits, labels, temperature=temperature)
    p = softmax(logits, axis=-1)
    np.testing.assert_array_equal(table.temperature, temperature)
    np.testing.assert_allclose(table.confidence, p.max(-1).mean(-1))
    np.testing.assert_allclose(table.entropy, entropy(p, axis=-1).mean(-1))
    np.testing.assert_allclose(table.accuracy, accuracy(log_softmax(logits), labels))
    centred = logits - logits.mean(-1, keepdims=True)
    right = p.argmax(-1) == labels
    for c in range(4):
        np.testing.assert_allclose(table[f"class bias: {c}"], centred[:, :, c].mean(1), atol=1e-12)
        np.testing.assert_allclose(table[f"class accuracy: {c}"], right[:, labels == c].mean(1))
    confusion = np.array(
        [
            [[np.mean(p[i, labels == c].argmax(-1) == d) for d in range(4)] for c in range(4)]
            for i in range(6)
        ]
    ).reshape(6, 16)
    u, s, _ = np.linalg.svd(confusion - confusion.mean(0))
    for k in range(2):
        scores = table[f"confusion: {k + 1}"]
        np.testing.assert_allclose(np.abs(scores), np.abs(u[:, k] * s[k]), atol=1e-12)
    assert len(table.columns) == 4 + 4 + 4 + 2


def test_no_recipe_factor_has_the_name_of_a_driver():
    logits, labels = population()
    table = member_drivers(logits, labels, temperature=np.ones(6))
    for name in {column.partition(":")[0] for column in table}:
        with pytest.raises(UserError, match=f"'{name}' has the name of a driver"):
            member_drivers(logits, labels, recipe={name: np.arange(6)})


def test_more_members_than_cells():
    """The other of the two Gram matrices gives the same scores."""
    logits, labels = population(members=20, classes=2)
    table = member_drivers(logits, labels)
    rates = 1 - table[["class accuracy: 0", "class accuracy: 1"]].to_numpy()
    confusion = np.stack([1 - rates[:, 0], rates[:, 0], rates[:, 1], 1 - rates[:, 1]], axis=1)
    u, s, _ = np.linalg.svd(confusion - confusion.mean(0), full_matrices=False)
    np.testing.assert_allclose(np.abs(table["confusion: 1"]), np.abs(u[:, 0] * s[0]), atol=1e-12)


def test_a_newton_step_is_a_fit():
    logits, labels = population(items=4000)
    whole = fit_temperature(logits, labels)
    masks = np.random.default_rng(1).random((3, 4000)) < 0.5
    got = subset_drivers(logits, labels, masks, temperature=whole, confusion_modes=1)
    for h, mask in enumerate(masks):
        fitted = fit_temperature(logits[:, mask], labels[mask])
        moved = np.abs(fitted / whole - 1)
        assert moved.max() > 1e-3
        np.testing.assert_allclose(got["temperature"][h], fitted, rtol=3 * moved.max() ** 2)
        part = member_drivers(logits[:, mask], labels[mask])
        for name in ("confidence", "class accuracy: 2", "class bias: 1", "confusion: 1"):
            np.testing.assert_allclose(got[name][h], part[name], atol=1e-12)


def test_temperatures_at_their_bounds_stay_finite():
    logits, labels = 5.0 * np.eye(3)[np.arange(9) % 3] * np.ones((4, 1, 1)), np.arange(9) % 3
    logits[1] = 0
    table = subset_drivers(
        logits,
        labels,
        np.ones((1, 9), dtype=bool),
        temperature=np.array([0.01, 1, 100, 1]),
        confusion_modes=2,
    )
    assert np.isfinite(table["temperature"]).all()
    assert table["temperature"][0, 1] == 1  # constant logits: every temperature is the same


def test_recipe_factors():
    logits, labels = population(members=3)
    recipe = {
        "width": [16, 32, 16],
        "optimiser": ["muon", "sgd", "muon"],
        "flip": [True, False, True],
    }
    for given in (recipe, pd.DataFrame(recipe)):
        table = member_drivers(logits, labels, recipe=given)
        assert table.width.tolist() == [16, 32, 16]
        assert table["optimiser: sgd"].tolist() == [0, 1, 0]
        assert table["optimiser: muon"].tolist() == [1, 0, 1]
        assert table.flip.tolist() == [1, 0, 1]
    assert [group_of(name) for name in ("entropy", "class bias: 3", "optimiser: sgd", "width")] == [
        "sureness",
        "class bias",
        "optimiser",
        "width",
    ]


def test_a_class_without_items_is_left_out():
    logits, labels = population()
    labels = np.where(labels == 2, 0, labels)
    table = member_drivers(logits, labels)
    assert "class accuracy: 2" not in table
    assert "class bias: 2" in table  # it has logits, though no items
    assert table.notna().all(axis=None)
    one_class = member_drivers(logits, np.zeros(400, dtype=int))
    assert one_class.notna().all(axis=None)


def test_small_and_constant():
    table = member_drivers(np.zeros((2, 1, 3)), [0])
    np.testing.assert_allclose(table.confidence, 1 / 3)
    np.testing.assert_allclose(table.entropy, np.log(3))
    assert not table["confusion: 1"].any()
    assert "confusion: 2" not in table  # two members differ in one way
    sure = member_drivers([[[1e4, -1e4]], [[-1e4, 1e4]]], [0])
    np.testing.assert_allclose(sure.entropy, 0, atol=1e-12)
    np.testing.assert_allclose(sure.confidence, 1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"labels": [0, 1]}, r"labels must be 400 whole numbers.*found shape \[2\]"),
        ({"labels": np.full(400, 4)}, "from 0 to 3.*found 4 to 4"),
        ({"labels": np.zeros(400)}, "dtype float64"),
        ({"temperature": [1, 2]}, "6 positive finite numbers"),
        ({"temperature": [1, 1, 1, 1, 1, -1]}, "positive"),
        ({"recipe": {"width": [1, 2]}}, "recipe factor 'width' must have 6 values"),
        ({"recipe": {"width": [1, 2, 3, 4, 5, np.nan]}}, "'width' must be finite"),
        ({"recipe": {"temperature": [1] * 6}}, "has the name of a driver"),
    ],
)
def test_mistakes_are_named(arguments, message):
    logits, labels = population()
    with pytest.raises(UserError, match=message):
        member_drivers(logits, **{"labels": labels, **arguments})
