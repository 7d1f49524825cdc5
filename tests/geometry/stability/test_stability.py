import math

import numpy as np
import pytest

from chromatic_descent.errors import UserError
from chromatic_descent.geometry import (
    DISTANCES,
    Bootstrap,
    bootstrap_layouts,
    classical_mds,
    confidence_ellipses,
    distance,
    distance_matrix,
    procrustes,
    split_half,
)
from chromatic_descent.geometry.stability import bootstrap

OVER_ITEMS = tuple(name for name in DISTANCES if name != "cka")


def population(members=6, items=150, classes=4, seed=0):
    return np.random.default_rng(seed).normal(size=(members, items, classes))


def planted(members=8, items=300, classes=5, noise=0.1):
    rng = np.random.default_rng(0)
    plane, directions = rng.normal(size=(members, 2)), rng.normal(size=(2, items, classes))
    return np.tensordot(plane * [2, 1], directions, 1) + noise * population(members, items, classes)


@pytest.mark.parametrize("many", [False, True])
@pytest.mark.parametrize("name", OVER_ITEMS)
def test_matches_resampling_by_hand(name, many, monkeypatch):
    if many:  # the path for a hundred members or more
        monkeypatch.setattr(bootstrap, "MANY", 2)
    logits, temperature = planted(6, 150, 4, noise=1), np.linspace(0.5, 2, 6)
    labels = np.random.default_rng(5).integers(4, size=150)
    fractions = []
    got = bootstrap_layouts(
        logits,
        distance(name, labels=labels, temperature=temperature),
        resamples=7,
        seed=3,
        on_progress=fractions.append,
    )
    rng = np.random.default_rng(3)
    whole = distance_matrix(logits, distance(name, labels=labels, temperature=temperature))
    reference = classical_mds(whole).coordinates
    np.testing.assert_array_equal(got.reference, reference)
    for b in range(7):
        drawn = rng.integers(150, size=150)
        squared = distance_matrix(
            logits[:, drawn], distance(name, labels=labels[drawn], temperature=temperature)
        )
        fit = procrustes(reference, classical_mds(squared).coordinates)
        tolerance = 1e-4 if many else 1e-9
        np.testing.assert_allclose(
            got.layouts[b], fit.layout, atol=tolerance * abs(reference).max()
        )
        assert got.correlations[b] == pytest.approx(fit.correlation, abs=tolerance)
    assert got.correlations.shape == (len(got.layouts),)
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1


def test_a_planted_plane_is_stable_and_noise_is_not():
    stable = bootstrap_layouts(planted(), "logit_mse", resamples=50)
    assert stable.correlations.min() > 0.99
    noise = bootstrap_layouts(population(8, 300, 5), "logit_mse", resamples=50)
    assert noise.correlations.mean() < 0.9


def test_seed_and_dimensions():
    logits = population()
    one, two = (bootstrap_layouts(logits, "hellinger", resamples=5, dimensions=3) for _ in "12")
    np.testing.assert_array_equal(one.layouts, two.layouts)
    assert one.layouts.shape == (5, 6, 3)
    other = bootstrap_layouts(logits, "hellinger", resamples=5, seed=1, dimensions=3)
    assert not np.allclose(one.layouts, other.layouts)


def test_one_item_and_two_members():
    one_item = bootstrap_layouts(population(items=1), "logit_mse", resamples=4)
    np.testing.assert_allclose(one_item.correlations, 1)
    np.testing.assert_allclose(one_item.layouts, np.tile(one_item.reference, (4, 1, 1)), atol=1e-9)
    two_members = bootstrap_layouts(population(members=2), "logit_mse", resamples=4)
    np.testing.assert_allclose(two_members.correlations, 1)


@pytest.mark.parametrize("many", [False, True])
def test_identical_members_have_no_stability(many, monkeypatch):
    if many:
        monkeypatch.setattr(bootstrap, "MANY", 2)
    twins = np.repeat(population(members=1), 4, axis=0)
    got = bootstrap_layouts(twins, "hellinger", resamples=3)
    assert not got.layouts.any()
    assert np.isnan(got.correlations).all()
    halves = split_half(twins, "hellinger", splits=2)
    assert np.isnan(halves.correlations).all()
    assert np.isnan(halves.axes).all()


def test_ellipses_of_a_known_cloud():
    """Axes 3 and 1, turned by 30 degrees: a normal cloud is 95% inside its 95% ellipse."""
    rng, turn = np.random.default_rng(0), math.radians(30)
    rotation = np.array([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]])
    cloud = rng.normal(size=(20_000, 4, 2)) * [3, 1] @ rotation.T + [5, -2]
    cloud[:, 2] = [1.0, 1.0]  # a member that does not move
    cloud[:, 3, 0] = 0.0  # one that moves along the second axis alone
    got = confidence_ellipses(Bootstrap(cloud, np.ones(20_000), cloud[0]))
    radius = math.sqrt(-2 * math.log(0.05))
    np.testing.assert_allclose(got.centres[:2], [[5, -2]] * 2, atol=0.1)
    np.testing.assert_allclose(got.half_axes[:2], [[3 * radius, radius]] * 2, rtol=0.03)
    np.testing.assert_allclose(got.angles[:2], turn, atol=0.02)
    assert got.half_axes[2].tolist() == [0, 0]
    assert (got.half_axes[:, 0] >= got.half_axes[:, 1]).all()
    assert got.angles[2] == 0
    assert got.half_axes[3, 1] == pytest.approx(0)
    assert abs(got.angles[3]) == pytest.approx(math.pi / 2)
    along = (cloud[:, 0] - got.centres[0]) @ rotation / got.half_axes[0]
    assert np.mean((along**2).sum(-1) <= 1) == pytest.approx(0.95, abs=0.01)
    smaller = confidence_ellipses(Bootstrap(cloud, np.ones(20_000), cloud[0]), level=0.5)
    assert (smaller.half_axes[:2] < got.half_axes[:2]).all()


@pytest.mark.parametrize("many", [False, True])
def test_halves_match_halves_by_hand(many, monkeypatch):
    if many:
        monkeypatch.setattr(bootstrap, "MANY", 2)
    logits = planted(noise=1)
    got = split_half(logits, "hellinger", splits=3, seed=7)
    rng = np.random.default_rng(7)
    orders = [rng.permutation(300) for _ in range(3)]
    for k, order in enumerate(orders):
        one, other = (
            classical_mds(distance_matrix(logits[:, half], "hellinger")).coordinates
            for half in (order[:150], order[150:])
        )
        assert got.correlations[k] == pytest.approx(procrustes(one, other).correlation, abs=1e-5)
        by_axis = [abs(np.corrcoef(one[:, a], other[:, a])[0, 1]) for a in (0, 1)]
        np.testing.assert_allclose(got.axes[k], by_axis, atol=1e-4)


def test_halves_agree_on_a_plane_and_not_on_noise():
    plane = split_half(planted(), "logit_mse")
    assert plane.correlations.min() > 0.99
    assert plane.axes.min() > 0.9
    assert plane.chance.mean() < 0.7
    noise = split_half(population(12, 300, 5), "logit_mse")
    assert noise.correlations.mean() == pytest.approx(noise.chance.mean(), abs=0.1)
    assert noise.axes.mean() == pytest.approx(noise.axes_chance.mean(), abs=0.15)


def test_equal_axes_turn_but_the_map_stays():
    """A circle has no first axis: the map is reproduced, its axes are not."""
    turn = np.arange(12) * np.pi / 6
    circle = np.stack([np.cos(turn), np.sin(turn)], axis=1)
    directions = np.random.default_rng(0).normal(size=(2, 400, 5))
    halves = split_half(np.tensordot(circle, directions, 1), "logit_mse")
    assert halves.correlations.min() > 0.98
    assert halves.axes.min() < 0.7


def test_odd_items_and_few_members():
    halves = split_half(population(members=3, items=5), "logit_mse", splits=4, dimensions=2)
    assert halves.axes.shape == (4, 2)
    assert (halves.correlations <= 1).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: bootstrap_layouts(population(), "logit_mse", resamples=0), "resamples must be"),
        (lambda: bootstrap_layouts(population(), "euclid"), "found 'euclid'"),
        (
            lambda: bootstrap_layouts(population(), "cka"),
            "cka compares whole members and is not a mean over items",
        ),
        (lambda: bootstrap_layouts(population(), "error_disagreement"), "needs `labels`"),
        (lambda: split_half(population(members=2), "logit_mse"), "at least 3 members and 2 items"),
        (lambda: split_half(population(items=1), "logit_mse"), "found 6 members and 1 items"),
        (lambda: split_half(population(), "logit_mse", splits=0), "splits must be at least 1"),
        (lambda: split_half(population(), "logit_mse", dimensions=6), "from 1 to 5; found 6"),
        (lambda: confidence_ellipses(few(resamples=2)), "found 2 dimensions and 2 resamples"),
        (lambda: confidence_ellipses(few(dimensions=1)), "found 1 dimensions and 3 resamples"),
        (lambda: confidence_ellipses(few(), level=1), "level must be between 0 and 1; found 1"),
    ],
)
def test_mistakes_are_named(call, message):
    with pytest.raises(UserError, match=message):
        call()


def few(resamples=3, dimensions=2):
    return bootstrap_layouts(population(), "logit_mse", resamples=resamples, dimensions=dimensions)
