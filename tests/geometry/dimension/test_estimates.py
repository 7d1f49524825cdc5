import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial.distance import pdist, squareform

from chromatic_descent.errors import UserError
from chromatic_descent.geometry import (
    classical_mds,
    isotropic_spectra,
    parallel_analysis,
    participation_ratio,
    two_nn,
)


def squared_distances(points):
    return squareform(pdist(points, "sqeuclidean"))


def torus(members, dimensions, seed=0):
    """Squared distances of uniform points on a flat torus: constant density and no border."""
    x = np.random.default_rng(seed).uniform(size=(members, dimensions))
    gap = np.abs(x[:, None] - x)
    return np.square(np.minimum(gap, 1 - gap)).sum(-1)


@pytest.mark.parametrize("members", [2, 3, 12])
def test_participation_ratio_of_equidistant_members(members):
    spectrum = classical_mds(1 - np.eye(members)).eigenvalues
    assert participation_ratio(spectrum) == pytest.approx(members - 1)


@pytest.mark.parametrize(("members", "dimensions"), [(200, 5), (30, 30), (12, 2000)])
def test_participation_ratio_of_isotropic_gaussians(members, dimensions):
    """E (tr W)² / E tr W² of a Wishart matrix, in closed form."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, members, dimensions))
    x -= x.mean(axis=1, keepdims=True)
    values = np.linalg.svd(x, compute_uv=False) ** 2
    n, d = members - 1, dimensions
    expected = (n * d + 2) / (n + d + 1)
    assert participation_ratio(values).mean() == pytest.approx(expected, rel=0.02)
    assert expected == pytest.approx(1 / (1 / n + 1 / d), rel=0.05)


def test_participation_ratio_of_batches_and_edges():
    spectra = np.array([[3.0, 3.0, -1.0], [5.0, 0.0, 0.0], [0.0, 0.0, 0.0], [-1.0, -2.0, -3.0]])
    np.testing.assert_allclose(participation_ratio(spectra), [2, 1, np.nan, np.nan])
    assert participation_ratio([1e-200, 1e-200]) == 2  # squares that would underflow
    assert isinstance(participation_ratio([1.0, 2.0]), float)
    for bad in ([], [np.nan], 3.0):
        with pytest.raises(UserError, match="finite numbers, at least one"):
            participation_ratio(bad)


@settings(max_examples=60, deadline=None)
@given(arrays(np.float64, 6, elements=st.floats(0.01, 100)), st.floats(1e-6, 1e6))
def test_participation_ratio_has_no_unit_and_no_order(values, scale):
    ratio = participation_ratio(values)
    assert 1 - 1e-12 <= ratio <= 6 + 1e-9
    assert participation_ratio(values[::-1] * scale) == pytest.approx(ratio)


def test_parallel_analysis_counts_until_the_first_that_fails():
    null = np.tile([3.0, 2.0, 1.0, 0.0], (10, 1))
    assert parallel_analysis([4, 2.5, 1.5, 0], null) == 3
    assert parallel_analysis([4, 1.5, 1.4, 0], null) == 1
    assert parallel_analysis([0, 2.5, 1.5, 2.6], null) == 0
    assert parallel_analysis([0, 9, 0, 9], null[:, ::-1]) == 2  # any order
    assert parallel_analysis([3, 2, 1, 0], null) == 0  # ties are not above
    assert parallel_analysis(np.array([3, 2, 1, 1e-17]) * (1 + 1e-13), null) == 0  # nor round-off


def test_parallel_analysis_finds_planted_axes():
    rng = np.random.default_rng(0)
    axes = np.pad(rng.normal(size=(20, 3)), ((0, 0), (0, 497)))
    squared = squared_distances(40 * axes + rng.normal(size=(20, 500)))
    spectrum = classical_mds(squared).eigenvalues
    null = isotropic_spectra(20, 500, scale=squared.sum() / 380)
    assert parallel_analysis(spectrum, null) == 3


def test_parallel_analysis_is_of_its_size_under_the_null():
    studies = isotropic_spectra(12, 300, draws=1000, seed=1)
    null = isotropic_spectra(12, 300, draws=999, seed=2)
    found = np.mean([parallel_analysis(study, null) > 0 for study in studies])
    assert 0.03 <= found <= 0.07


@pytest.mark.parametrize(
    ("values", "null", "quantile", "message"),
    [
        ([1, 0], [[1, 0, 0]], 0.95, r"found \[2\] and \[1, 3\]"),
        ([1, 0], [1, 0], 0.95, r"found \[2\] and \[2\]"),
        ([1, 0], [[1, 0]], 1.0, "quantile must be between 0 and 1"),
        ([1, np.nan], [[1, 0]], 0.5, "finite"),
    ],
)
def test_parallel_analysis_names_mistakes(values, null, quantile, message):
    with pytest.raises(UserError, match=message):
        parallel_analysis(values, null, quantile)


@pytest.mark.parametrize("dimensions", [1, 2, 5])
def test_two_nn_of_a_torus(dimensions):
    found = two_nn(torus(1000, dimensions))
    assert found.members == 1000
    assert found.low < found.dimension < found.high
    assert found.dimension == pytest.approx(dimensions, rel=0.12)
    assert found.fit == pytest.approx(dimensions, rel=0.12)


def test_two_nn_by_hand():
    squared = torus(60, 3)
    distances = np.sort(np.sqrt(squared), axis=1)
    mu = distances[:, 2] / distances[:, 1]
    found = two_nn(squared)
    assert found.dimension == pytest.approx(59 / np.log(mu).sum())
    rng = np.random.default_rng(0)
    draws = 1.6 * rng.gamma(60 / 1.6, size=200_000) / np.log(mu).sum()
    np.testing.assert_allclose([found.low, found.high], np.quantile(draws, [0.025, 0.975]), 1e-2)


@pytest.mark.parametrize("seed", range(3))
def test_two_nn_matches_scikit_dimension(seed):
    skdim = pytest.importorskip("skdim.id", reason="scikit-dimension is not installed")
    points = np.random.default_rng(seed).normal(size=(333, 4))
    found = two_nn(squared_distances(points))
    assert found.fit == pytest.approx(skdim.TwoNN().fit(points).dimension_)
    with np.errstate(divide="ignore"):  # it draws its line, too, and has log 0 for the last point
        all_of_them = skdim.TwoNN(discard_fraction=0.0, method="mle").fit(points)
    assert found.dimension == pytest.approx(all_of_them.dimension_)


@pytest.mark.parametrize("dimensions", [1, 3])
def test_two_nn_interval_covers(dimensions):
    covered = []
    for seed in range(300):
        found = two_nn(torus(80, dimensions, seed))
        covered.append(found.low < dimensions < found.high)
    assert 0.92 <= np.mean(covered) <= 0.98


def test_two_nn_counts_duplicates_once():
    squared = torus(80, 2)
    twice = np.tile(squared, (2, 2))
    assert two_nn(twice) == two_nn(squared)
    with pytest.raises(UserError, match="at least 50 members that differ; found 40"):
        two_nn(np.tile(torus(40, 2), (2, 2)))


def test_two_nn_does_not_depend_on_the_unit():
    squared = torus(70, 2)
    one, other = two_nn(squared), two_nn(1e-8 * squared)
    assert other.dimension == pytest.approx(one.dimension)
    assert other.fit == pytest.approx(one.fit)


def test_two_nn_names_mistakes():
    with pytest.raises(UserError, match="corners of a simplex"):
        two_nn(1 - np.eye(60))
    with pytest.raises(UserError, match="confidence must be between 0 and 1"):
        two_nn(torus(60, 1), confidence=95)
    with pytest.raises(UserError, match="found 12"):
        two_nn(torus(12, 1))
