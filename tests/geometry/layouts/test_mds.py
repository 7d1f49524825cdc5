import numpy as np
import pytest
from scipy.spatial.distance import pdist, squareform
from sklearn.manifold import ClassicalMDS as SklearnClassicalMDS
from sklearn.manifold import smacof as sklearn_smacof

from chromatic_descent.errors import UserError
from chromatic_descent.geometry import (
    classical_mds,
    distance_matrix,
    equidistant_share,
    procrustes,
    smacof,
)


def squared_distances(points):
    return squareform(pdist(points)) ** 2


def points(members=12, dimensions=5, seed=0):
    return np.random.default_rng(seed).normal(size=(members, dimensions))


def planted(members=12, items=200, classes=10, noise=0.02, seed=0):
    """Members on a plane in function space, with a little noise: coordinates and logits."""
    rng = np.random.default_rng(seed)
    plane = rng.normal(size=(members, 2)) * [2.0, 1.0]
    directions, _ = np.linalg.qr(rng.normal(size=(items * classes, 2)))
    logits = (plane @ directions.T * np.sqrt(items)).reshape(members, items, classes)
    return plane, logits + noise * rng.normal(size=logits.shape) + rng.normal(size=logits.shape[1:])


def test_matches_scikit_learn():
    squared = squared_distances(points())
    ours = classical_mds(squared, 3)
    theirs = SklearnClassicalMDS(n_components=3, metric="precomputed").fit(np.sqrt(squared))
    np.testing.assert_allclose(np.abs(ours.coordinates), np.abs(theirs.embedding_), atol=1e-9)
    np.testing.assert_allclose(ours.eigenvalues[:3], theirs.eigenvalues_, rtol=1e-9)


def test_is_the_principal_component_analysis_of_euclidean_points():
    x = points()
    layout = classical_mds(squared_distances(x), 4)
    spectrum = np.linalg.svd(x - x.mean(0), compute_uv=False) ** 2
    np.testing.assert_allclose(layout.eigenvalues[:5], spectrum, rtol=1e-9)
    assert not layout.eigenvalues[5:].any()
    np.testing.assert_allclose(layout.explained, np.cumsum(spectrum)[:4] / spectrum.sum())
    assert layout.negative_mass == 0
    np.testing.assert_allclose(layout.coordinates.mean(0), 0, atol=1e-12)


def test_keeps_all_distances_given_enough_axes():
    squared = squared_distances(points(7, 3))
    layout = classical_mds(squared, 7)
    np.testing.assert_allclose(squared_distances(layout.coordinates), squared, atol=1e-9)


def test_two_and_three_members():
    two = classical_mds([[0.0, 9.0], [9.0, 0.0]])
    np.testing.assert_allclose(two.coordinates, [[1.5, 0], [-1.5, 0]], atol=1e-12)
    np.testing.assert_allclose(two.explained, 1)
    triangle = np.array([[0.0, 9.0, 25.0], [9.0, 0.0, 16.0], [25.0, 16.0, 0.0]])
    three = classical_mds(triangle)
    np.testing.assert_allclose(squared_distances(three.coordinates), triangle, atol=1e-12)


def test_equidistant_members():
    layout = classical_mds(1 - np.eye(12), 3)
    np.testing.assert_allclose(layout.explained, [equidistant_share(12, k) for k in (1, 2, 3)])


def test_identical_members_have_no_explained_share():
    layout = classical_mds(np.zeros((5, 5)))
    assert not layout.coordinates.any()
    assert not layout.eigenvalues.any()
    assert np.isnan(layout.explained).all()
    assert layout.negative_mass == 0


def test_negative_mass_of_a_broken_triangle():
    squared = np.array([[0.0, 1.0, 9.0], [1.0, 0.0, 1.0], [9.0, 1.0, 0.0]])  # 1 + 1 < 3
    layout = classical_mds(squared, 3)
    spectrum = np.linalg.eigvalsh(-0.5 * (centring := np.eye(3) - 1 / 3) @ squared @ centring)
    expected = -spectrum[spectrum < 0].sum() / np.abs(spectrum).sum()
    assert layout.negative_mass == pytest.approx(expected)
    assert layout.negative_mass > 0.1
    assert not layout.coordinates[:, 1:].any()
    np.testing.assert_allclose(layout.explained, 1)


@pytest.mark.parametrize("seed", range(5))
def test_signs_are_fixed(seed):
    layout = classical_mds(squared_distances(points(9, 4, seed)), 3).coordinates
    leaders = np.abs(layout).argmax(axis=0)
    assert (layout[leaders, range(3)] > 0).all()


def test_signs_are_fixed_when_members_tie_for_the_largest():
    cross = np.array([[-2.0, 0.0], [2.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    for angle in np.linspace(0, 6, 20):  # equal distances, with different rounding
        turn = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
        layout = classical_mds(squared_distances(cross @ turn)).coordinates
        np.testing.assert_allclose(layout, cross * [-1, 1], atol=1e-9)


@pytest.mark.parametrize("name", ["logit_mse", "logit_mse_centred", "hellinger"])
def test_recovers_a_planted_plane(name):
    plane, logits = planted(noise=0.05)
    layout = classical_mds(distance_matrix(logits, name))
    assert procrustes(plane, layout.coordinates).correlation >= 0.99
    assert layout.explained[1] > 0.9


@pytest.mark.parametrize(
    ("squared", "dimensions", "message"),
    [
        (np.zeros((3, 4)), 2, r"found shape \[3, 4\]"),
        (np.zeros((1, 1)), 1, "at least 2 members"),
        (np.full((3, 3), np.nan), 2, "finite"),
        (np.eye(3), 2, "diagonal of up to 1"),
        (-(1 - np.eye(3)), 2, "entry of -1"),
        (np.triu(np.ones((3, 3)), 1), 2, "symmetric"),
        (1 - np.eye(3), 0, "from 1 to 3; found 0"),
        (1 - np.eye(3), 4, "from 1 to 3; found 4"),
    ],
)
def test_mistakes_are_named(squared, dimensions, message):
    with pytest.raises(UserError, match=message):
        classical_mds(squared, dimensions)


def test_smacof_matches_scikit_learn():
    squared = squared_distances(points())
    ours = smacof(squared, 2, seed=3, starts=5)
    starts = [
        {"init": classical_mds(squared).coordinates, "n_init": 1},
        {"n_init": 5, "random_state": 3},
    ]
    theirs = [sklearn_smacof(np.sqrt(squared), normalized_stress=True, **start) for start in starts]
    layout, stress = min(theirs, key=lambda run: run[1])
    assert ours.stress == pytest.approx(stress, rel=1e-6)
    assert procrustes(layout, ours.coordinates).correlation == pytest.approx(1, abs=1e-9)
    np.testing.assert_allclose(
        squared_distances(ours.coordinates), squared_distances(layout), atol=1e-9
    )
    assert ours.iterations > 1


def test_smacof_lies_closer_to_the_distances_than_classical_mds():
    squared = squared_distances(points(15, 8))
    classical = classical_mds(squared).coordinates
    given, kept = np.sqrt(squared), np.sqrt(squared_distances(classical))
    layout = smacof(squared)
    ours = np.sqrt(squared_distances(layout.coordinates))
    assert ((given - ours) ** 2).sum() < ((given - kept) ** 2).sum()
    np.testing.assert_allclose(layout.coordinates.mean(0), 0, atol=1e-12)
    cross = layout.coordinates.T @ layout.coordinates
    assert cross[0, 0] > cross[1, 1]
    assert abs(cross[0, 1]) < 1e-9 * cross[0, 0]


def test_smacof_repeats_itself_and_uses_its_seed():
    squared = squared_distances(points(9, 6))
    one, again = smacof(squared, seed=1), smacof(squared, seed=1)
    np.testing.assert_array_equal(one.coordinates, again.coordinates)
    classical = smacof(squared, starts=0)
    assert one.stress <= classical.stress + 1e-12


def test_smacof_recovers_a_plane():
    x = points(10, 2)
    layout = smacof(squared_distances(x))
    assert procrustes(x, layout.coordinates).correlation == pytest.approx(1, abs=1e-6)
    assert layout.stress < 1e-3


def test_smacof_of_few_members():
    two = smacof([[0.0, 9.0], [9.0, 0.0]])
    np.testing.assert_allclose(two.coordinates, [[1.5, 0], [-1.5, 0]], atol=1e-3)
    three = smacof(1 - np.eye(3), 3)
    assert three.coordinates.shape == (3, 3)
    assert three.stress < 1e-3
    same = smacof(np.zeros((4, 4)))
    assert not same.coordinates.any()
    assert np.isnan(same.stress)


def test_smacof_mistakes_are_named():
    with pytest.raises(UserError, match="from 1 to 3"):
        smacof(1 - np.eye(3), 4)
    with pytest.raises(UserError, match="starts"):
        smacof(1 - np.eye(3), starts=-1)
