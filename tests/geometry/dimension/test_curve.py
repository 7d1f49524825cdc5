import numpy as np
import pytest

from chromatic_descent.errors import UserError
from chromatic_descent.geometry import (
    classical_mds,
    dimension_curve,
    dimension_estimates,
    distance,
    distance_matrix,
    participation_ratio,
    two_nn,
)

QUANTITIES = [
    "participation_ratio",
    "top_1_share",
    "top_2_share",
    "top_2_stress",
    "axes_isotropic",
    "axes_independent_errors",
]


def planted(members=12, items=400, classes=4, dimensions=2, noise=0.1, seed=0):
    rng = np.random.default_rng(seed)
    places, directions = (
        rng.normal(size=(members, dimensions)),
        rng.normal(size=(dimensions, items, classes)),
    )
    return np.tensordot(places, directions, 1) + noise * rng.normal(size=(members, items, classes))


def test_a_planted_plane():
    logits = planted()
    table = dimension_estimates(logits, "logit_mse").set_index("quantity")
    assert table.index.tolist() == QUANTITIES
    spectrum = classical_mds(distance_matrix(logits, "logit_mse")).eigenvalues
    assert table.value["participation_ratio"] == pytest.approx(participation_ratio(spectrum))
    assert table.value["top_2_share"] == pytest.approx(spectrum[:2].sum() / spectrum.sum())
    missed = np.sqrt((spectrum[2:] ** 2).sum() / (spectrum**2).sum())
    assert table.value["top_2_stress"] == pytest.approx(1 - missed)
    for quantity in ("axes_isotropic", "axes_independent_errors"):
        assert table.loc[quantity].tolist() == [2, 2, 2]
    assert (table.low <= table.value).all()
    assert (table.value <= table.high).all()


def test_independent_members_have_no_axes():
    """Not above null 3; the interval does not take the bootstrap's own noise for an axis."""
    logits = np.random.default_rng(3).normal(size=(10, 1500, 4))
    table = dimension_estimates(logits, "logit_mse", resamples=100).set_index("quantity")
    assert table.loc["axes_independent_errors"].tolist() == [0, 0, 0]
    assert table.high["participation_ratio"] > 8.9


def test_the_interval_covers_the_value_of_infinitely_many_items():
    """Members that are linear maps of a Gaussian item: D and all that follows in closed form."""
    rng = np.random.default_rng(0)
    # Half of each map is shared by a few axes, so that the spectrum is neither flat nor a line.
    maps = np.tensordot(rng.normal(size=(8, 3)), rng.normal(size=(3, 3, 6)), 1)
    maps += rng.normal(size=(8, 3, 6))
    squared = np.square(maps[:, None] - maps).sum((-2, -1)) / 3
    mds = classical_mds(squared)
    truth = {
        "participation_ratio": participation_ratio(mds.eigenvalues),
        "top_2_share": mds.explained[1],
    }
    covered = dict.fromkeys(truth, 0)
    studies = 200
    for _ in range(studies):
        logits = np.einsum("scq,nq->snc", maps, rng.normal(size=(150, 6)))
        table = dimension_estimates(
            logits, "logit_mse", resamples=100, draws=1, seed=int(rng.integers(1000))
        ).set_index("quantity")
        for quantity, value in truth.items():
            covered[quantity] += table.low[quantity] <= value <= table.high[quantity]
    for count in covered.values():
        assert 0.9 <= count / studies <= 0.99


def test_two_nn_joins_with_fifty_members():
    logits = planted(60, 50)
    table = dimension_estimates(logits, "logit_mse", resamples=5, draws=5).set_index("quantity")
    found = two_nn(distance_matrix(logits, "logit_mse"))
    assert table.loc["two_nn"].tolist() == [found.dimension, found.low, found.high]
    curve = dimension_curve(logits, "logit_mse", members=[49, 50], images=[50], subsets=2, draws=5)
    sizes = curve[curve.quantity == "two_nn"]
    assert sizes["size"].tolist() == [50, 50]
    assert sizes.over.tolist() == ["members", "images"]
    logits[30:] = logits[:30]  # too few that differ
    table = dimension_estimates(logits, "logit_mse", resamples=5, draws=5).set_index("quantity")
    assert np.isnan(table.value["two_nn"])


def test_curve_ends_at_the_whole():
    logits = planted(seed=1)
    curve = dimension_curve(logits, "logit_mse", members=[4, 12], images=[100, 400])
    whole = dimension_estimates(logits, "logit_mse").set_index("quantity").value
    assert curve.columns.tolist() == ["over", "size", "quantity", "mean", "low", "high", "subsets"]
    assert len(curve) == 4 * len(QUANTITIES)
    for over, size in (("members", 12), ("images", 400)):
        full = curve[(curve.over == over) & (curve["size"] == size)].set_index("quantity")
        assert (full.subsets == 1).all()
        np.testing.assert_allclose(full["mean"], whole[full.index])
        np.testing.assert_allclose(full.low, full.high)
    part = curve[(curve.over == "members") & (curve["size"] == 4)]
    assert (part.subsets == 20).all()
    assert (part.low <= part["mean"]).all()
    assert (part["mean"] <= part.high).all()


def test_curve_tells_a_plane_from_noise():
    """Two dimensions stay two; members that share nothing fill as many as there are members."""
    for logits, growth in ((planted(noise=0.01), 1.0), (planted(noise=100), 4.0)):
        curve = dimension_curve(logits, "logit_mse", members=[5, 12], images=[400])
        ratio = curve[curve.quantity == "participation_ratio"]["mean"].to_numpy()
        assert ratio[1] - ratio[0] == pytest.approx(growth, abs=1) or ratio[1] / ratio[0] > 2


def test_curve_of_a_size_does_not_depend_on_other_sizes():
    logits = planted()
    alone = dimension_curve(logits, "hellinger", members=[6], images=[50], seed=3)
    among = dimension_curve(logits, "hellinger", members=[5, 6], images=[50, 60], seed=3)
    kept = among[among["size"].isin([6, 50])].reset_index(drop=True)
    assert alone.equals(kept)


def test_smallest_populations_and_duplicates():
    for members in (2, 3):
        logits = planted(members, 30)
        table = dimension_estimates(logits, "hellinger", resamples=5, draws=5)
        assert table[["value", "low", "high"]].notna().all(axis=None)
        curve = dimension_curve(logits, "hellinger", subsets=2, draws=5)
        assert curve["mean"].notna().all()
    one_item = dimension_estimates(planted(4, 1), "logit_mse", resamples=3, draws=3)
    assert one_item.value.notna().all()
    twins = np.repeat(planted(2, 30), 3, axis=0)
    curve = dimension_curve(twins, "logit_mse", members=[2], images=[30], subsets=20, draws=5)
    ratio = curve[(curve.quantity == "participation_ratio") & (curve.over == "members")]["mean"]
    assert ratio.isna().all()  # some pairs are twins
    assert dimension_estimates(twins, "logit_mse", draws=5).value[0] == pytest.approx(1)


def test_temperature_goes_with_its_members():
    logits, temperature = planted(8), np.linspace(0.5, 2, 8)
    arguments = {"members": [4], "images": [400], "draws": 9}
    matched = dimension_curve(
        logits, distance("logit_mse_matched", temperature=temperature), **arguments
    )
    by_hand = dimension_curve(logits / temperature[:, None, None], "logit_mse_centred", **arguments)
    np.testing.assert_allclose(matched["mean"], by_hand["mean"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"members": [1]}, r"sizes of members must be from 2 to 12; found \[1\]"),
        ({"members": []}, r"found \[\]"),
        ({"images": [401]}, "sizes of images must be from 1 to 400"),
        ({"subsets": 0}, "subsets must be at least 1"),
        ({"draws": 0}, "0 draws"),
    ],
)
def test_mistakes_are_named(arguments, message):
    with pytest.raises(UserError, match=message):
        dimension_curve(planted(), "logit_mse", **arguments)


def test_mistakes_in_estimates_are_named():
    with pytest.raises(UserError, match="resamples must be at least 1"):
        dimension_estimates(planted(), "logit_mse", resamples=0)
    for function in (dimension_estimates, dimension_curve):
        with pytest.raises(UserError, match="identical, so they have no dimension"):
            function(np.zeros((4, 10, 3)), "logit_mse")


@pytest.mark.parametrize("name", ["bhattacharyya", "jensen_shannon", "error_disagreement"])
def test_distances_without_features_have_no_null_3(name):
    logits, labels = planted(noise=1), np.zeros(400, dtype=int)
    bound = distance(name, labels=labels)
    table = dimension_estimates(logits, bound, resamples=5, draws=9)
    assert table.quantity.tolist() == QUANTITIES[:-1]
    curve = dimension_curve(logits, bound, members=[6], images=[200], subsets=2, draws=9)
    assert curve.quantity.unique().tolist() == QUANTITIES[:-1]
    with pytest.raises(UserError, match="cka compares whole members and is not a mean over items"):
        dimension_estimates(logits, "cka")


def test_many_members_take_the_fast_way():
    """From 100 members on distances are float32: as good as the interval they are for."""
    logits = planted(101, 60, noise=1)
    fast = dimension_estimates(logits, "hellinger", resamples=20, draws=5).set_index("quantity")
    few = [
        participation_ratio(
            classical_mds(
                distance_matrix(
                    logits[:, np.random.default_rng(s).integers(60, size=60)], "hellinger"
                )
            ).eigenvalues
        )
        for s in range(20)
    ]
    low, value, high = (fast.loc["participation_ratio", k] for k in ("low", "value", "high"))
    assert 2 * value - max(few) - 1 < low < high < 2 * value - min(few) + 1
