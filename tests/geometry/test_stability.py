import numpy as np
import pytest

from chromatic_descent.errors import UserError
from chromatic_descent.geometry import (
    bootstrap_layouts,
    classical_mds,
    distance_matrix,
    procrustes,
)


def population(members=6, items=150, classes=4, seed=0):
    return np.random.default_rng(seed).normal(size=(members, items, classes))


@pytest.mark.parametrize("name", ["logit_mse", "logit_mse_matched", "hellinger"])
def test_matches_resampling_by_hand(name):
    logits, temperature = population(), np.linspace(0.5, 2, 6)
    got = bootstrap_layouts(logits, name, resamples=7, seed=3, temperature=temperature)
    rng = np.random.default_rng(3)
    reference = classical_mds(distance_matrix(logits, name, temperature=temperature)).coordinates
    np.testing.assert_array_equal(got.reference, reference)
    for b in range(7):
        drawn = logits[:, rng.integers(150, size=150)]
        squared = distance_matrix(drawn, name, temperature=temperature)
        fit = procrustes(reference, classical_mds(squared).coordinates)
        np.testing.assert_allclose(got.layouts[b], fit.layout, atol=1e-9)
        assert got.correlations[b] == pytest.approx(fit.correlation)


def test_a_planted_plane_is_stable_and_noise_is_not():
    rng = np.random.default_rng(0)
    plane, directions = rng.normal(size=(8, 2)), rng.normal(size=(2, 300, 5))
    planted = np.tensordot(plane, directions, 1) + 0.1 * population(8, 300, 5)
    stable = bootstrap_layouts(planted, "logit_mse", resamples=50)
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


def test_identical_members_have_no_stability():
    twins = np.repeat(population(members=1), 4, axis=0)
    got = bootstrap_layouts(twins, "hellinger", resamples=3)
    assert not got.layouts.any()
    assert np.isnan(got.correlations).all()


def test_mistakes_are_named():
    with pytest.raises(UserError, match="resamples must be at least 1"):
        bootstrap_layouts(population(), "logit_mse", resamples=0)
    with pytest.raises(UserError, match="found 'euclid'"):
        bootstrap_layouts(population(), "euclid")
