import numpy as np
import pytest
from scipy.stats import ks_2samp, kstest

from chromatic_descent.errors import UserError
from chromatic_descent.geometry import (
    EUCLIDEAN,
    classical_mds,
    distance,
    distance_matrix,
    independent_errors_spectra,
    isotropic_spectra,
)
from chromatic_descent.geometry.nulls import spectra


def heavy_tailed(members=7, items=900, classes=4, seed=0):
    """Independent logits around item means, with very different spreads, like real ones."""
    rng = np.random.default_rng(seed)
    spread = rng.gamma(0.5, size=(items, 1))
    return rng.normal(size=(items, classes)) + spread * rng.normal(size=(members, items, classes))


@pytest.mark.parametrize(("members", "degrees"), [(6, 300), (6, 5), (6, 3), (2, 1), (3, 2)])
def test_isotropic_spectra_are_those_of_gaussian_points(members, degrees):
    got = isotropic_spectra(members, degrees, draws=2000, seed=1, scale=3.0)
    x = np.random.default_rng(0).normal(size=(2000, members, degrees)) * np.sqrt(3 / 2 / degrees)
    x -= x.mean(axis=1, keepdims=True)
    by_hand = np.linalg.eigvalsh(x @ x.transpose(0, 2, 1))[:, ::-1]
    for k in range(min(members - 1, degrees)):
        assert ks_2samp(got[:, k], by_hand[:, k]).pvalue > 1e-3
    np.testing.assert_allclose(got[:, -1], 0)
    assert got.sum(axis=1).mean() == pytest.approx(3 / 2 * (members - 1), rel=0.1)
    assert (np.diff(got, axis=1) <= 0).all()


def test_isotropic_spectra_of_many_dimensions_are_flat():
    spectra = isotropic_spectra(12, 10**7)
    np.testing.assert_allclose(spectra[:, :-1], 0.5, rtol=0.01)


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_spectra_in_any_unit(scale):
    logits = heavy_tailed(items=300)
    one = independent_errors_spectra(logits, "logit_mse", draws=3)
    other = independent_errors_spectra(logits * scale, "logit_mse", draws=3)
    np.testing.assert_allclose(other / scale**2, one, rtol=1e-5, atol=1e-6)


def test_batches_agree_with_the_whole(monkeypatch):
    logits = heavy_tailed(items=500)
    whole = independent_errors_spectra(logits, "hellinger", draws=7)
    monkeypatch.setattr(spectra, "_BATCH", 100)
    np.testing.assert_allclose(independent_errors_spectra(logits, "hellinger", draws=7), whole)


@pytest.mark.parametrize("members", [2, 3, 4, 7])
@pytest.mark.parametrize("dealt", [1, 300])
def test_the_limit_is_that_of_dealing_out_everything(members, dealt, monkeypatch):
    logits = heavy_tailed(members)
    exact = independent_errors_spectra(logits, "hellinger", draws=1500, seed=1)
    monkeypatch.setattr(spectra, "_DEALT", dealt)
    limit = independent_errors_spectra(logits, "hellinger", draws=1500, seed=2)
    trace = classical_mds(distance_matrix(logits, "hellinger")).eigenvalues.sum()
    np.testing.assert_allclose(exact.sum(axis=1), trace, rtol=1e-6)  # dealing out keeps it
    np.testing.assert_allclose(limit.sum(axis=1), trace, rtol=1e-6)
    for k in range(members - 1):
        assert limit[:, k].mean() == pytest.approx(exact[:, k].mean(), rel=6e-3)
        if members > 2 and dealt > 1:
            assert limit[:, k].std() == pytest.approx(exact[:, k].std(), rel=0.1)
    np.testing.assert_allclose(limit[:, -1], 0, atol=1e-7)


def test_moments_of_wide_and_narrow_items_are_those_of_the_definition():
    for members, classes in ((3, 6), (9, 4)):
        logits = heavy_tailed(members, 5, classes)
        phi = logits / np.sqrt(classes)
        phi = phi - phi.mean(axis=0)
        moments = spectra._moments(logits, distance("logit_mse"))
        centre = np.eye(members) - 1 / members
        for n in range(5):
            gram = phi[:, n] @ phi[:, n].T
            trace = np.trace(gram)
            u = gram.diagonal() - trace / members
            rest = gram - trace / (members - 1) * centre - spectra._with_diagonal(u[None])[0]
            np.testing.assert_allclose(rest.sum(axis=0), 0, atol=1e-12)
            np.testing.assert_allclose(rest.diagonal(), 0, atol=1e-12)
            expected = [trace, (u**2).sum(), (rest**2).sum()]
            np.testing.assert_allclose(moments[n], expected, atol=1e-9 * trace**2)


def test_second_moments_of_the_limit(monkeypatch):
    """Entry by entry the limit has the mean and the covariance of dealing out, at any N."""
    monkeypatch.setattr(spectra, "_DEALT", 0)
    items = [np.random.default_rng(k).normal(size=(5, 3)) for k in range(3)]
    grams = [(x - x.mean(0)) @ (x - x.mean(0)).T for x in items]
    logits = np.stack(items, axis=1) * np.sqrt(3)  # features divide by √C
    moments = spectra._moments(logits, distance("logit_mse")).sum(axis=0)
    drawn = spectra._limit(5, moments, 100_000, np.random.default_rng(0))
    rng = np.random.default_rng(1)
    dealt = np.zeros((100_000, 5, 5))
    for gram in grams:
        order = rng.permuted(np.tile(np.arange(5), (100_000, 1)), axis=1)
        dealt += gram[order[:, :, None], order[:, None, :]]
    scale = dealt.std(axis=0).max()
    for function in (np.mean, np.std):
        np.testing.assert_allclose(function(drawn, 0), function(dealt, 0), atol=0.02 * scale)
    for a, b in (((0, 0), (1, 1)), ((0, 1), (2, 3)), ((0, 1), (0, 2)), ((0, 0), (0, 1))):
        one = np.cov(drawn[:, *a], drawn[:, *b])[0, 1]
        other = np.cov(dealt[:, *a], dealt[:, *b])[0, 1]
        assert one == pytest.approx(other, abs=0.02 * scale**2)


@pytest.mark.parametrize("items", [200, 1500])
def test_independent_members_look_like_the_null(items):
    """Under the null, the rank of the observed top eigenvalue among the null's is uniform."""
    ranks = []
    for seed in range(40):
        logits = heavy_tailed(6, items, 3, seed)
        top = classical_mds(distance_matrix(logits, "logit_mse")).eigenvalues[0]
        null = independent_errors_spectra(logits, "logit_mse", draws=99, seed=seed)[:, 0]
        ranks.append((np.sum(null >= top) + np.random.default_rng(seed).uniform()) / 100)
    assert kstest(ranks, "uniform").pvalue > 0.01


@pytest.mark.parametrize("name", EUCLIDEAN)
def test_a_planted_axis_is_not_of_the_null(name):
    logits = heavy_tailed(10, 1200)
    logits = logits + 0.5 * np.linspace(-1, 1, 10)[:, None, None] * np.array([1, -1, 1, -1])
    temperature = np.ones(10)
    null = independent_errors_spectra(logits, distance(name, temperature=temperature))
    spectrum = classical_mds(
        distance_matrix(logits, distance(name, temperature=temperature))
    ).eigenvalues
    assert spectrum[0] > null[:, 0].max()


def test_seeds_and_identical_members():
    logits = heavy_tailed(5, 60)
    one, two = (independent_errors_spectra(logits, "logit_mse", draws=5) for _ in "12")
    np.testing.assert_array_equal(one, two)
    assert not np.allclose(one, independent_errors_spectra(logits, "logit_mse", draws=5, seed=1))
    for items in (3, 1200):
        twins = np.repeat(heavy_tailed(1, items), 4, axis=0)
        np.testing.assert_allclose(independent_errors_spectra(twins, "hellinger", draws=3), 0)


def test_mistakes_are_named():
    with pytest.raises(UserError, match="found 1 members"):
        isotropic_spectra(1, 10)
    with pytest.raises(UserError, match="scale of 0"):
        isotropic_spectra(4, 10, scale=0)
    with pytest.raises(UserError, match="draws must be at least 1"):
        independent_errors_spectra(heavy_tailed(), "hellinger", draws=0)
    with pytest.raises(UserError, match="found 'euclid'"):
        independent_errors_spectra(heavy_tailed(), "euclid")
    with pytest.raises(
        UserError, match="bhattacharyya is not a distance between per-item features"
    ):
        independent_errors_spectra(heavy_tailed(), "bhattacharyya")
