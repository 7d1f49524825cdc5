import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.optimize import minimize_scalar
from scipy.special import softmax

from chromatic_descent.errors import UserError
from chromatic_descent.geometry import (
    distance_matrix,
    explained_stress,
    inpca,
    progress,
    trajectories,
)
from chromatic_descent.geometry.layouts import trajectories as paths_module


def training(members=4, epochs=6, items=80, classes=3, seed=0, parts=3):
    """All go towards the truth together; from epoch `parts` on each also goes its own way."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(classes, size=items)
    own = rng.normal(size=(members, 1, items, classes))
    time = np.arange(epochs)[:, None, None]
    jitter = 0.01 * rng.normal(size=(members, epochs, items, classes))
    return 0.5 * time * np.eye(classes)[labels] + 0.4 * np.maximum(
        time - parts, 0
    ) * own + jitter, labels


def geodesic(at, labels, classes):
    """Probabilities [N, C] at a place on the shortest path from ignorance to truth."""
    theta = np.arccos(1 / np.sqrt(classes))
    root = (
        np.sin((1 - at) * theta) / np.sqrt(classes) + np.sin(at * theta) * np.eye(classes)[labels]
    )
    return (root / np.sin(theta)) ** 2


@pytest.mark.parametrize("classes", [2, 3, 10])
@pytest.mark.parametrize("at", [0.0, 1e-3, 0.3, 0.9, 1.0])
def test_progress_on_the_path_itself(at, classes):
    labels = np.arange(7) % classes
    p = geodesic(at, labels, classes)
    np.testing.assert_allclose(p.sum(-1), 1)
    assert progress(np.log(np.maximum(p, 1e-300)), labels) == pytest.approx(at, abs=1e-6)


@pytest.mark.parametrize("seed", range(5))
def test_progress_matches_minimising_the_definition(seed):
    rng = np.random.default_rng(seed)
    labels = rng.integers(4, size=50)
    logits = rng.normal(size=(50, 4)) * 3 + seed * np.eye(4)[labels]
    p = softmax(logits, axis=-1)

    def distance(at):
        cosine = np.sqrt(p * geodesic(at, labels, 4)).sum(-1)
        return np.arccos(np.minimum(cosine, 1)).mean()

    best = minimize_scalar(distance, bounds=(0, 1), method="bounded", options={"xatol": 1e-10})
    found = float(progress(logits, labels))
    assert distance(found) <= best.fun + 1e-12
    assert found == pytest.approx(best.x, abs=1e-4)


def test_progress_at_its_limits():
    labels = np.array([0, 1, 2])
    assert progress(np.zeros((3, 3)), labels) == 0
    assert progress(1e4 * np.eye(3), labels) == pytest.approx(1)
    assert progress(1e4 * np.eye(3)[[1, 2, 0]], labels) == 0  # sure and wrong
    sure = np.log([[1 - 1e-12, 1e-12]])
    assert progress(sure, [0]) == pytest.approx(1, abs=1e-5)
    shape = progress(np.zeros((2, 5, 3, 3)), labels)
    assert shape.shape == (2, 5)
    assert isinstance(progress(np.zeros((3, 3)), labels), float)


@settings(max_examples=40, deadline=None)
@given(arrays(np.float64, (5, 3), elements=st.floats(-20, 20)), st.floats(0.01, 3))
def test_progress_grows_with_the_logit_of_the_label(logits, more):
    labels = np.array([0, 1, 2, 0, 1])
    before = progress(logits, labels)
    after = progress(logits + more * np.eye(3)[labels], labels)
    assert 0 <= before <= after + 1e-8 <= 1 + 1e-8


def test_layout_is_the_inpca_of_all_points():
    logits, labels = training()
    paths = trajectories(logits, labels)
    divergence = distance_matrix(logits.reshape(24, 80, 3), "bhattacharyya")
    layout = inpca(divergence, 3)
    np.testing.assert_allclose(paths.coordinates.reshape(24, 3), layout.coordinates)
    expected = explained_stress(layout.eigenvalues)[:3]
    np.testing.assert_allclose(paths.embedding.explained_stress, expected)
    p = softmax(logits, axis=-1).reshape(24, 80, 3)
    truth = -0.5 * np.log(p[:, np.arange(80), labels]).mean(-1)
    ignorance = -np.log(np.sqrt(p / 3).sum(-1)).mean(-1)
    np.testing.assert_allclose(paths.landmarks, layout.project([ignorance, truth]))
    np.testing.assert_allclose(paths.progress, progress(logits, labels))


def test_lengths_and_ratios_match_the_distances():
    logits, labels = training()
    paths = trajectories(logits, labels)
    squared = distance_matrix(logits.reshape(24, 80, 3), "hellinger").reshape(4, 6, 4, 6)
    steps = np.array([[squared[i, t, i, t + 1] for t in range(5)] for i in range(4)])
    np.testing.assert_allclose(paths.path_length, np.sqrt(steps).sum(1))
    ends = np.sqrt([squared[i, 0, i, 5] for i in range(4)])
    np.testing.assert_allclose(paths.straightness, ends / np.sqrt(steps).sum(1))
    pairs = np.triu_indices(4, 1)
    between = [np.sqrt(squared[:, t, :, t][pairs].mean()) for t in range(6)]
    np.testing.assert_allclose(paths.between, between)
    np.testing.assert_allclose(paths.step[1:], np.sqrt(steps.mean(0)))
    np.testing.assert_allclose(paths.ratio[1:], between[1:] / paths.step[1:])
    assert np.isnan(paths.ratio[0])
    assert np.isnan(paths.step[0])


def test_separation_is_found_where_it_was_planted():
    logits, labels = training(epochs=10, items=400, parts=4)
    paths = trajectories(logits, labels)
    assert 5 <= paths.separation <= 8
    assert paths.separation_low <= paths.separation <= paths.separation_high
    assert (paths.ratio[int(paths.separation) :] > 1).all()
    assert paths.ratio[int(paths.separation) - 1] <= 1
    assert (paths.ratio_low[1:] <= paths.ratio[1:]).all()
    assert (paths.ratio[1:] <= paths.ratio_high[1:]).all()
    assert (paths.path_low <= paths.path_length).all()
    assert (paths.path_length <= paths.path_high).all()
    together, labels = training(epochs=5, parts=5)
    assert trajectories(together, labels).separation == np.inf


def test_members_apart_from_the_start_separate_at_once():
    logits, labels = training(parts=-20)
    assert trajectories(logits, labels).separation == 1


def test_members_at_rest():
    logits, labels = training(epochs=2)
    logits[:, 1] = logits[:, 0]
    paths = trajectories(logits, labels)
    assert not paths.path_length.any()
    assert np.isnan(paths.straightness).all()
    assert paths.ratio[1] == np.inf
    assert paths.separation == 1
    twins = np.repeat(logits[:1], 3, axis=0)
    same = trajectories(twins, labels)
    assert same.separation == np.inf  # never apart
    assert not same.coordinates.any()


def test_identical_members_that_move():
    logits, labels = training(members=1)
    paths = trajectories(np.repeat(logits, 3, axis=0), labels)
    np.testing.assert_allclose(paths.ratio[1:], 0, atol=1e-7)
    assert paths.separation == np.inf


def test_sure_members_and_one_item():
    logits = np.array([[[[0.0, 0.0]], [[2e3, 0.0]]], [[[0.0, 0.0]], [[0.0, 2e3]]]])
    paths = trajectories(logits, [0], dimensions=2, resamples=5)
    assert np.isfinite(paths.coordinates).all()
    assert np.isfinite(paths.landmarks).all()
    np.testing.assert_allclose(paths.progress, [[0, 1], [0, 0]], atol=1e-8)


def test_blocks_and_seeds(monkeypatch):
    logits, labels = training()
    one, two = (trajectories(logits, labels, resamples=20) for _ in "12")
    np.testing.assert_array_equal(one.ratio_low, two.ratio_low)
    monkeypatch.setattr(paths_module, "_BLOCK", 500)
    again = trajectories(logits, labels, resamples=20)
    np.testing.assert_allclose(again.path_length, one.path_length)
    np.testing.assert_allclose(again.progress, one.progress)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f, y: (f[0], y), r"\[S, T, N, C\].*found shape \[6, 80, 3\]"),
        (lambda f, y: (f[:1], y), "at least 2 members and 2 epochs"),
        (lambda f, y: (f[:, :1], y), "at least 2 members and 2 epochs"),
        (lambda f, y: (f * np.nan, y), "finite"),
        (lambda f, y: (f, y[:-1]), "80 whole numbers"),
    ],
)
def test_mistakes_are_named(change, message):
    with pytest.raises(UserError, match=message):
        trajectories(*change(*training()))


def test_other_mistakes_are_named():
    with pytest.raises(UserError, match="resamples must be at least 1"):
        trajectories(*training(), resamples=0)
    with pytest.raises(UserError, match=r"found shape \[3\]"):
        progress([0.0, 1.0, 2.0], [0])
