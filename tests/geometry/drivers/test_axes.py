import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from chromatic_descent.ensemble import fit_temperature
from chromatic_descent.errors import UserError
from chromatic_descent.geometry import drive_axes, holm


def independent(members=12, items=300, classes=3, seed=0):
    """Members that share the truth about an item, and err independently."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(classes, size=items)
    shared = 2 * np.eye(classes)[labels] + rng.normal(size=(items, classes))
    return shared + rng.normal(size=(members, items, classes)), labels


def test_temperature_drives_the_raw_map_and_not_the_matched():
    logits, labels = independent()
    logits = logits * np.linspace(0.5, 2, 12)[:, None, None]
    temperature = fit_temperature(logits, labels)
    raw = drive_axes(logits, labels, "logit_mse", temperature=temperature)
    found = raw.drivers[raw.drivers.driver == "temperature"].set_index("axis")
    assert abs(found.r[1]) > 0.9
    assert found.p_holm[1] <= 0.01
    assert found.low[1] < found.r[1] < found.high[1]
    groups = raw.groups.set_index(["axis", "group"])
    assert groups.p_holm[1, "sureness"] <= 0.01
    assert groups.drivers[1, "sureness"] == 3
    matched = drive_axes(logits, labels, "logit_mse_matched", temperature=temperature)
    assert matched.drivers.p_holm.min() > 0.01


def test_class_bias_is_found_under_its_name():
    logits, labels = independent(items=600)
    bias = np.random.default_rng(7).permutation(12) - 5.5
    logits[:, :, 1] += bias[:, None]
    found = drive_axes(logits, labels, "logit_mse_centred", seed=1)
    best = found.drivers.loc[found.drivers.p.idxmin()]
    first = found.drivers[(found.drivers.axis == 1)].set_index("driver")
    assert best.axis == 1
    assert abs(first.r["class bias: 1"]) > 0.98
    assert first.p_holm["class bias: 1"] <= 0.01


def test_recipe_factors_are_drivers():
    logits, labels = independent()
    wide = np.array(["wide"] * 6 + ["thin"] * 6)
    logits[:6] += np.random.default_rng(5).normal(size=logits.shape[1:])
    found = drive_axes(logits, labels, "hellinger", recipe={"net": wide, "same": ["x"] * 12})
    first = found.drivers[found.drivers.axis == 1].set_index("driver")
    assert abs(first.r["net: wide"]) > 0.9
    assert first.r["net: thin"] == pytest.approx(-first.r["net: wide"])
    assert found.left_out == ("same: x",)


def test_size_under_the_null():
    """Members that err independently: 5% of the drivers reach p <= 0.05, before correction."""
    rejected, any_corrected = [], []
    for seed in range(150):
        logits, labels = independent(8, 60, 3, seed)
        found = drive_axes(
            logits, labels, "logit_mse", splits=2, permutations=199, seed=seed, confusion_modes=1
        )
        rejected.append(np.mean(found.drivers.p <= 0.05))
        any_corrected.append((found.groups.p <= 0.05).mean())
    assert 0.03 <= np.mean(rejected) <= 0.07
    assert 0.03 <= np.mean(any_corrected) <= 0.07


def test_tables():
    logits, labels = independent(6, 50)
    found = drive_axes(logits, labels, "hellinger", dimensions=3, permutations=99)
    assert found.drivers.columns.tolist() == [
        "axis",
        "group",
        "driver",
        "r",
        "low",
        "high",
        "p",
        "p_holm",
    ]
    assert found.groups.columns.tolist() == ["axis", "group", "drivers", "r2", "p", "p_holm"]
    assert sorted(found.drivers.axis.unique()) == [1, 2, 3]
    np.testing.assert_allclose(found.drivers.p_holm, holm(found.drivers.p))
    again = drive_axes(logits, labels, "hellinger", dimensions=3, permutations=99)
    assert found.drivers.equals(again.drivers)
    r2 = (found.drivers.r**2).groupby([found.drivers.axis, found.drivers.group]).mean()
    for row in found.groups.itertuples():
        assert row.r2 == pytest.approx(r2[row.axis, row.group])


def test_enough_permutations_to_reject_after_correction():
    logits, labels = independent(6, 60)
    found = drive_axes(logits, labels, "hellinger", dimensions=5, splits=1)
    assert found.permutations == max(9999, 100 * len(found.drivers))


def test_batches_agree_with_the_whole(monkeypatch):
    from chromatic_descent.geometry.drivers import axes

    logits, labels = independent(7, 40)
    whole = drive_axes(logits, labels, "logit_mse", permutations=50)
    monkeypatch.setattr(axes, "_BATCH", 7 * 2 * 50)
    assert drive_axes(logits, labels, "logit_mse", permutations=50).drivers.equals(whole.drivers)


def test_two_items_and_axes_without_extent():
    logits, labels = independent(6, 2)
    found = drive_axes(logits, labels, "logit_mse", dimensions=5, permutations=20)
    assert found.drivers[["r", "p", "p_holm"]].notna().all(axis=None)
    on_a_line = np.linspace(0, 1, 6)[:, None, None] * logits[:1]
    flat = drive_axes(on_a_line, labels, "logit_mse", permutations=20).drivers
    assert (flat[flat.axis == 2].p == 1).all()


@pytest.mark.parametrize(
    ("members", "arguments", "message"),
    [
        (5, {}, "at least 6 members; found 5"),
        (6, {"dimensions": 6}, "from 1 to 5; found 6"),
        (6, {"splits": 0}, "0 splits"),
        (6, {"permutations": 0}, "0 permutations"),
    ],
)
def test_mistakes_are_named(members, arguments, message):
    logits, labels = independent(members, 20)
    with pytest.raises(UserError, match=message):
        drive_axes(logits, labels, "logit_mse", **arguments)


def test_identical_members_are_named():
    logits, labels = independent(1, 20)
    with pytest.raises(UserError, match="identical"):
        drive_axes(np.repeat(logits, 6, axis=0), labels, "hellinger")


def test_holm_by_hand():
    np.testing.assert_allclose(holm([0.01, 0.02, 0.9, 0.005]), [0.03, 0.04, 0.9, 0.02])
    np.testing.assert_allclose(holm([0.6, 0.7]), [1, 1])
    assert holm([0.03]).tolist() == [0.03]
    assert holm([]).tolist() == []
    with pytest.raises(UserError, match="from 0 to 1"):
        holm([0.1, 1.2])


@settings(max_examples=60, deadline=None)
@given(arrays(np.float64, 7, elements=st.floats(0, 1)))
def test_holm_lies_between_none_and_bonferroni(p):
    corrected = holm(p)
    assert (p <= corrected + 1e-15).all()
    assert (corrected <= np.minimum(1, 7 * p) + 1e-15).all() or corrected.max() <= 1
    assert corrected[p.argmin()] == pytest.approx(min(1, 7 * p.min()))
    order = np.argsort(p, kind="stable")
    assert (np.diff(corrected[order]) >= 0).all()
