import importlib.util
import sys

import numpy as np
import pytest
from scipy.spatial.distance import cdist, pdist, squareform
from scipy.stats import rankdata
from sklearn.manifold import TSNE

from chromatic_descent.errors import UserError
from chromatic_descent.geometry import procrustes, seed_spread, trustworthiness, tsne, umap


def squared_distances(points):
    return squareform(pdist(points)) ** 2


def points(members=12, dimensions=5, seed=0):
    return np.random.default_rng(seed).normal(size=(members, dimensions))


def two_clusters(members=12):
    x = 0.1 * points(members)
    x[members // 2 :] += 10
    return squared_distances(x)


def assert_separates(layout, members=12):
    first, second = layout[: members // 2], layout[members // 2 :]
    gap = np.linalg.norm(first[:, None] - second, axis=-1).min()
    assert gap > max(pdist(first).max(), pdist(second).max())


def test_tsne_separates_clusters_and_repeats_itself():
    squared = two_clusters()
    layout = tsne(squared, seed=0)
    assert layout.shape == (12, 2)
    assert layout.dtype == np.float64
    assert_separates(layout)
    np.testing.assert_array_equal(layout, tsne(squared, seed=0))
    assert not np.allclose(layout, tsne(squared, seed=1))


def test_tsne_smallest_population():
    assert np.isfinite(tsne(1 - np.eye(4), seed=0)).all()
    with pytest.raises(UserError, match="at least 4 members; found 3"):
        tsne(1 - np.eye(3), seed=0)


@pytest.mark.parametrize("perplexity", [0.5, 12, 30])
def test_tsne_perplexity_range(perplexity):
    with pytest.raises(UserError, match="below the 12 members"):
        tsne(1 - np.eye(12), seed=0, perplexity=perplexity)


@pytest.mark.parametrize("scale", [1e-80, 1e80])
def test_tsne_of_any_unit(scale):
    assert_separates(tsne(two_clusters() * scale, seed=0))


def test_umap_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "umap", None)  # as if it were not installed
    with pytest.raises(UserError, match=r"pip install 'chromatic-descent\[umap\]'"):
        umap(1 - np.eye(12), seed=0)


@pytest.mark.slow  # the first import compiles for up to 20 s
@pytest.mark.skipif(importlib.util.find_spec("umap") is None, reason="umap-learn not installed")
def test_umap_separates_clusters_and_repeats_itself():
    squared = two_clusters(24)
    layout = umap(squared, seed=0, neighbours=6)
    assert layout.shape == (24, 2)
    assert_separates(layout, 24)
    np.testing.assert_array_equal(layout, umap(squared, seed=0, neighbours=6))
    assert np.isfinite(umap(1 - np.eye(4), seed=0)).all()


def test_umap_mistakes_are_named():
    with pytest.raises(UserError, match="at least 4 members"):
        umap(1 - np.eye(3), seed=0)
    with pytest.raises(UserError, match="neighbours must be at least 2"):
        umap(1 - np.eye(5), seed=0, neighbours=1)


def test_tsne_matches_scikit_learn():
    squared = squared_distances(points(20))
    theirs = TSNE(
        metric="precomputed", init="random", perplexity=4, random_state=2, method="exact"
    ).fit_transform(np.sqrt(squared))
    np.testing.assert_array_equal(tsne(squared, seed=2, perplexity=4), theirs)


def test_trustworthiness_matches_its_definition():
    members, k = 15, 4
    x, layout = points(members), points(members, 2, seed=1)
    given, placed = cdist(x, x), cdist(layout, layout)
    total = 0.0
    for i in range(members):
        others = np.delete(np.arange(members), i)
        rank = dict(zip(others, rankdata(given[i, others]), strict=True))
        nearest = others[np.argsort(placed[i, others])][:k]
        total += sum(max(0, rank[j] - k) for j in nearest)
    expected = 1 - 2 / (members * k * (2 * members - 3 * k - 1)) * total
    assert trustworthiness(given**2, layout, k) == pytest.approx(expected)
    assert trustworthiness(given**2, x, k) == 1


@pytest.mark.parametrize(
    ("layout", "neighbours", "message"),
    [
        (points(11, 2), 3, r"\[12, d\].* found shape \[11, 2\]"),
        (points(12, 2)[:, 0], 3, "one row per member"),
        (points(12, 2) * np.nan, 3, "finite"),
        (points(12, 2), 6, "below half of the 12 members; found 6"),
        (points(12, 2), 0, "at least 1"),
    ],
)
def test_trustworthiness_mistakes_are_named(layout, neighbours, message):
    with pytest.raises(UserError, match=message):
        trustworthiness(squared_distances(points()), layout, neighbours)


def test_seed_spread_is_the_mean_over_all_pairs():
    one, two, three = (points(10, 2, seed) for seed in range(3))
    pairs = [(one, two), (one, three), (two, three)]
    expected = np.mean([procrustes(a, b).correlation for a, b in pairs])
    assert seed_spread([one, two, three]) == pytest.approx(expected)
    assert seed_spread([one, 2 - 3 * one]) == pytest.approx(1)
    assert np.isnan(seed_spread([one, np.ones((10, 2))]))
    with pytest.raises(UserError, match="at least 2 seeds; found 1"):
        seed_spread([one])
    with pytest.raises(UserError, match="same shape"):
        seed_spread([one, points(9, 2)])
