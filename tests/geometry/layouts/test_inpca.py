import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import pdist, squareform

from chromatic_descent.errors import UserError
from chromatic_descent.geometry import classical_mds, explained_stress, inpca


def bhattacharyya(members=9, items=40, classes=4, seed=0, sharpness=3.0):
    """−mean log Σ√(pq), pair by pair: far from squared Euclidean when members are confident."""
    logits = sharpness * np.random.default_rng(seed).normal(size=(members, items, classes))
    p = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    affinity = np.sqrt(p[:, None] * p[None]).sum(-1)
    divergence = -np.log(affinity).mean(-1)
    np.fill_diagonal(divergence, 0.0)
    return (divergence + divergence.T) / 2


def signed_distances(layout):
    """Σ_k sign(λ_k) (x_ik − x_jk)²"""
    difference = layout.coordinates[:, None] - layout.coordinates[None]
    return (difference**2 * layout.signs).sum(-1)


def broken_triangle():
    return np.array([[0.0, 1.0, 9.0], [1.0, 0.0, 1.0], [9.0, 1.0, 0.0]])


@given(st.integers(0, 1000), st.integers(2, 8))
def test_all_axes_keep_any_divergence(seed, members):
    entries = np.random.default_rng(seed).exponential(size=members * (members - 1) // 2)
    divergence = squareform(entries)
    layout = inpca(divergence, members)
    np.testing.assert_allclose(signed_distances(layout), divergence, atol=1e-9)
    np.testing.assert_allclose(layout.coordinates.mean(0), 0, atol=1e-9)
    np.testing.assert_allclose(layout.project(divergence), layout.coordinates, atol=1e-6)


@pytest.mark.parametrize("seed", range(3))
def test_matches_the_definition_by_eigen_decomposition(seed):
    divergence = bhattacharyya(seed=seed)
    centring = np.eye(9) - 1 / 9
    values, vectors = np.linalg.eig(-0.5 * centring @ divergence @ centring)  # not eigh, not sorted
    order = np.argsort(-np.abs(values))
    values, vectors = values[order].real, vectors[:, order].real
    layout = inpca(divergence, 4)
    np.testing.assert_allclose(layout.eigenvalues, values, atol=1e-12)
    np.testing.assert_array_equal(layout.signs, np.sign(values[:4]))
    expected = np.abs(vectors * np.sqrt(np.abs(values)))[:, :4]
    np.testing.assert_allclose(np.abs(layout.coordinates), expected, atol=1e-9)
    for k in range(1, 5):
        stress = 1 - np.sqrt((values[k:] ** 2).sum() / (values**2).sum())
        assert layout.explained_stress[k - 1] == pytest.approx(stress)
    negative = -values[values < -1e-12].sum() / np.abs(values).sum()
    assert layout.negative_mass == pytest.approx(negative)


def test_explained_stress_is_the_error_of_the_low_rank_matrix():
    divergence = bhattacharyya(sharpness=6.0)
    layout = inpca(divergence, 3)
    centring = np.eye(9) - 1 / 9
    whole = -0.5 * centring @ divergence @ centring
    kept = (layout.coordinates * layout.signs) @ layout.coordinates.T
    missed = np.linalg.norm(whole - kept) / np.linalg.norm(whole)
    assert layout.explained_stress[-1] == pytest.approx(1 - missed)


def test_gaussians_of_one_width_lie_on_a_line_with_their_means():
    """Closed form: the Bhattacharyya divergence of N(a, σ²) and N(b, σ²) is (a − b)²/8σ²."""
    mean, sigma = np.array([-3.0, -1.0, 0.5, 2.0, 7.0]), 1.7
    x = np.linspace(-40, 40, 80001)
    density = np.exp(-0.5 * ((x - mean[:, None]) / sigma) ** 2) / np.sqrt(2 * np.pi) / sigma
    affinity = np.sqrt(density[:, None] * density[None]).sum(-1) * (x[1] - x[0])
    divergence = np.maximum(-np.log(affinity), 0.0)
    np.fill_diagonal(divergence, 0.0)
    layout = inpca(divergence, 1)
    line = (mean - mean.mean()) / (np.sqrt(8) * sigma)
    np.testing.assert_allclose(layout.coordinates[:, 0], line, atol=1e-9)
    assert layout.explained_stress[0] == pytest.approx(1)
    # a sixth Gaussian, out of sample
    new = (mean - 4.0) ** 2 / (8 * sigma**2)
    placed = layout.project(new[None])
    assert placed[0, 0] == pytest.approx((4.0 - mean.mean()) / (np.sqrt(8) * sigma))


def test_is_classical_mds_of_euclidean_distances():
    squared = squareform(pdist(np.random.default_rng(0).normal(size=(8, 3)))) ** 2
    layout, classical = inpca(squared, 3), classical_mds(squared, 3)
    np.testing.assert_allclose(layout.coordinates, classical.coordinates, atol=1e-9)
    np.testing.assert_array_equal(layout.signs, 1)
    assert layout.negative_mass == 0
    assert layout.explained_stress[2] == pytest.approx(1)


@pytest.mark.parametrize("sharpness", [0.1, 3.0, 30.0])
def test_members_projected_lie_on_themselves(sharpness):
    divergence = bhattacharyya(12, sharpness=sharpness)
    layout = inpca(divergence, 11)
    placed = layout.project(divergence[::-1])
    np.testing.assert_allclose(placed, layout.coordinates[::-1], atol=1e-6)


def test_out_of_sample_is_linear_in_the_divergence_and_keeps_distances():
    """A new point of a Euclidean cloud lands where classical MDS of all would have it."""
    points = np.random.default_rng(1).normal(size=(10, 3))
    squared = squareform(pdist(points)) ** 2
    layout = inpca(squared[:8, :8], 3)
    placed = layout.project(squared[8:, :8])
    to_members = ((placed[:, None] - layout.coordinates) ** 2).sum(-1)
    np.testing.assert_allclose(to_members, squared[8:, :8], atol=1e-9)


def test_imaginary_axes():
    layout = inpca(broken_triangle(), 3)
    np.testing.assert_array_equal(layout.signs, [1, -1, 0])
    assert not layout.coordinates[:, 2].any()
    assert not layout.project(broken_triangle())[:, 2].any()
    np.testing.assert_allclose(signed_distances(layout), broken_triangle(), atol=1e-12)


def test_two_members_and_identical_members():
    two = inpca([[0.0, 4.0], [4.0, 0.0]])
    np.testing.assert_allclose(two.coordinates, [[1, 0], [-1, 0]], atol=1e-12)
    same = inpca(np.zeros((4, 4)))
    assert not same.coordinates.any()
    assert not same.project(np.ones((2, 4))).any()
    assert np.isnan(same.explained_stress).all()
    assert same.negative_mass == 0


@given(st.lists(st.floats(-1e100, 1e100), min_size=1, max_size=12))
def test_explained_stress_rises_to_one(values):
    stress = explained_stress(values)
    if not np.any(values):
        assert np.isnan(stress).all()
        return
    assert stress[-1] == 1
    assert (np.diff(stress) >= 0).all()
    assert (stress >= 0).all()


def test_explained_stress_counts_negative_eigenvalues():
    np.testing.assert_allclose(explained_stress([3.0, -4.0]), explained_stress([4.0, 3.0]))
    np.testing.assert_allclose(explained_stress([1.0, 1.0, 1.0, -1.0])[1], 1 - np.sqrt(0.5))
    for bad in (np.ones((2, 2)), [], [np.nan]):
        with pytest.raises(UserError, match="eigenvalues must be finite"):
            explained_stress(bad)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: inpca(np.triu(np.ones((3, 3)), 1)), "symmetric"),
        (lambda: inpca(np.full((3, 3), np.inf)), "finite"),
        (lambda: inpca(1 - np.eye(3), 4), "from 1 to 3"),
        (lambda: inpca(1 - np.eye(3)).project(np.ones((2, 4))), r"\[Q, 3\]"),
        (lambda: inpca(1 - np.eye(3)).project(np.ones(3)), r"\[Q, 3\]"),
        (lambda: inpca(1 - np.eye(3)).project([[1.0, np.inf, 1.0]]), "finite"),
        (lambda: inpca(1 - np.eye(3)).project([[1.0, -1.0, 1.0]]), "non-negative"),
    ],
)
def test_mistakes_are_named(call, message):
    with pytest.raises(UserError, match=message):
        call()
