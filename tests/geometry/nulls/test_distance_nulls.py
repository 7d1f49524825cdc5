import numpy as np
import pytest
from scipy.spatial.distance import pdist, squareform
from scipy.stats import ks_2samp, kstest

from chromatic_descent.errors import UserError
from chromatic_descent.geometry import (
    NullTest,
    classical_mds,
    equidistant_share,
    isotropic,
    permuted_distances,
)
from chromatic_descent.geometry.nulls import distance_nulls


def squared_distances(points):
    return squareform(pdist(points)) ** 2


def test_matches_shuffling_by_hand():
    squared = squared_distances(np.random.default_rng(0).normal(size=(7, 4)))
    test = permuted_distances(squared, permutations=9, seed=5, dimensions=2)
    assert test.observed == pytest.approx(classical_mds(squared).explained[1])
    upper = np.triu_indices(7, 1)
    shuffles = np.random.default_rng(5).permuted(np.tile(squared[upper], (9, 1)), axis=1)
    by_hand = [classical_mds(squareform(entries)).explained[1] for entries in shuffles]
    np.testing.assert_allclose(test.null, by_hand)
    assert test.p_value == (1 + np.sum(test.null >= test.observed)) / 10


@pytest.mark.parametrize("seed", range(3))
def test_finds_a_planted_plane(seed):
    rng = np.random.default_rng(seed)
    x = np.pad(rng.normal(size=(12, 2)), ((0, 0), (0, 30))) + 0.1 * rng.normal(size=(12, 32))
    test = permuted_distances(squared_distances(x), seed=seed)
    assert test.p_value <= 0.05
    assert test.null.shape == (200,)
    assert test.observed > test.null.max()


def test_rejects_more_than_planes():
    """The docstring warns of this: 12 members without any structure in two dimensions."""
    rng = np.random.default_rng(0)
    five_dimensional = rng.normal(size=(12, 5))
    one_far_away = rng.normal(size=(12, 500))
    one_far_away[0] *= 10
    for x in (five_dimensional, one_far_away):
        assert permuted_distances(squared_distances(x)).p_value <= 0.05
    independent = squared_distances(rng.normal(size=(12, 500)))
    assert permuted_distances(independent).p_value > 0.05


def test_p_values_are_uniform_under_the_null():
    rng = np.random.default_rng(0)
    p_values = np.array(
        [
            permuted_distances(
                squareform(rng.uniform(1, 3, size=15)), permutations=39, seed=study
            ).p_value
            for study in range(1000)
        ]
    )
    assert 0.03 <= np.mean(p_values <= 0.05) <= 0.07
    spread = p_values - rng.uniform(0, 1 / 40, size=1000)  # they come in steps of 1/40
    assert kstest(spread, "uniform").pvalue > 0.01


def test_ties_count():
    assert permuted_distances(1 - np.eye(6), permutations=20).p_value == 1
    for far in np.linspace(0.1, 3, 20):  # one pair differs: every shuffle only renames the members
        squared = squareform([far] + [1.0] * 20)
        assert permuted_distances(squared, permutations=20).p_value == 1


def test_batches_agree_with_the_whole(monkeypatch):
    squared = squared_distances(np.random.default_rng(0).normal(size=(6, 3)))
    whole = permuted_distances(squared, permutations=25)
    monkeypatch.setattr(distance_nulls, "_BATCH", 4 * 36)
    np.testing.assert_array_equal(permuted_distances(squared, permutations=25).null, whole.null)


@pytest.mark.parametrize(
    ("squared", "arguments", "message"),
    [
        (1 - np.eye(3), {}, "distances of 3 members only renames"),
        (1 - np.eye(5), {"dimensions": 4}, "from 1 to 3"),
        (1 - np.eye(5), {"dimensions": 0}, "from 1 to 3"),
        (1 - np.eye(5), {"permutations": 0}, "at least 1"),
        (np.zeros((5, 5)), {}, "identical"),
        (np.ones((5, 5)), {}, "diagonal"),
    ],
)
def test_mistakes_are_named(squared, arguments, message):
    with pytest.raises(UserError, match=message):
        permuted_distances(squared, **arguments)


def test_equidistant_share():
    assert equidistant_share(12) == pytest.approx(2 / 11)
    assert equidistant_share(2) == equidistant_share(3) == 1
    with pytest.raises(UserError, match="found 1 members"):
        equidistant_share(1)


def test_effect_is_in_standard_deviations_of_the_null():
    null = np.array([1.0, 2.0, 3.0, 6.0])
    assert NullTest(9.0, null, 0.2).effect == pytest.approx((9 - 3) / np.std(null, ddof=1))
    assert np.isnan(NullTest(9.0, np.full(5, 0.1) * 3, 0.2).effect)  # equal but for round-off
    assert np.isnan(NullTest(9.0, null[:1], 0.5).effect)
    assert np.isnan(NullTest(np.inf, null, 0.2).effect)


def shares_of_gaussians(members, degrees, dimensions, draws, seed=0):
    """By drawing the members and taking singular values: slow."""
    rng = np.random.default_rng(seed)
    shares = []
    for _ in range(draws):
        x = rng.normal(size=(members, degrees))
        spectrum = np.linalg.svd(x - x.mean(0), compute_uv=False) ** 2
        shares.append(spectrum[:dimensions].sum() / spectrum.sum())
    return np.array(shares)


@pytest.mark.parametrize(
    ("members", "degrees", "dimensions"),
    [(6, 40, 2), (12, 300, 1), (9, 5, 2), (5, 4, 3), (4, 3, 2)],
)
def test_isotropic_draws_are_those_of_gaussian_members(members, degrees, dimensions):
    """As many directions as members, more and fewer."""
    squared = squared_distances(np.random.default_rng(0).normal(size=(members, 7)))
    test = isotropic(squared, degrees=degrees, draws=2000, dimensions=dimensions)
    slow = shares_of_gaussians(members, degrees, dimensions, 2000)
    assert ks_2samp(test.null, slow).pvalue > 0.01
    assert test.observed == pytest.approx(classical_mds(squared, dimensions).explained[-1])
    assert test.p_value == (1 + np.sum(test.null >= test.observed)) / 2001


def test_isotropic_share_tends_to_that_of_equidistant_members():
    test = isotropic(1 - np.eye(12), degrees=10**9, draws=50)
    np.testing.assert_allclose(test.null, equidistant_share(12), rtol=1e-3)
    assert (test.null >= equidistant_share(12)).all()


def test_isotropic_needs_no_time_for_many_members():
    x = np.random.default_rng(0).normal(size=(300, 2000))
    gram = x @ x.T
    norms = gram.diagonal()
    squared = np.maximum(norms[:, None] + norms - 2 * gram, 0)
    np.fill_diagonal(squared, 0)
    test = isotropic((squared + squared.T) / 2, degrees=2000)
    assert abs(test.effect) < 4


@pytest.mark.parametrize(
    ("squared", "arguments", "message"),
    [
        (1 - np.eye(3), {}, "at least 4 members; found 3"),
        (1 - np.eye(5), {"dimensions": 4}, "from 1 to 3"),
        (1 - np.eye(5), {"draws": 0}, "draws must be at least 1"),
        (1 - np.eye(5), {"degrees": 2}, "above the 2 dimensions of the layout; found 2"),
        (np.zeros((5, 5)), {}, "identical"),
        (np.full((5, 5), np.nan), {}, "finite"),
    ],
)
def test_isotropic_mistakes_are_named(squared, arguments, message):
    with pytest.raises(UserError, match=message):
        isotropic(squared, **{"degrees": 100, **arguments})
