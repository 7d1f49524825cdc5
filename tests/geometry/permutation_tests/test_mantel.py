from itertools import permutations

import numpy as np
import pytest
from scipy.spatial.distance import pdist, squareform
from scipy.stats import pearsonr, spearmanr

from chromatic_descent.errors import UserError
from chromatic_descent.geometry import mantel, mantel_matrix


def distances(seed=0, members=10, dimensions=3):
    return squareform(pdist(np.random.default_rng(seed).normal(size=(members, dimensions))))


def related(seed=0, members=10, noise=0.3):
    """Two distances between the same members, the second after moving them a little."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(members, 3))
    return squareform(pdist(x)), squareform(pdist(x + noise * rng.normal(size=x.shape)))


@pytest.mark.parametrize("method", ["pearson", "spearman"])
def test_matches_scikit_bio(method):
    import skbio.stats.distance as skbio

    for a, b in (related(), related(1, noise=2.0), (distances(0), distances(1))):
        ours = mantel(a, b, permutations=4999, method=method)
        theirs = skbio.mantel(a, b, method=method, permutations=4999, alternative="greater", seed=0)
        assert ours.observed == pytest.approx(theirs[0], abs=1e-12)
        assert ours.p_value == pytest.approx(theirs[1], abs=0.025)  # 2.5 SD where p is near 1/2


@pytest.mark.parametrize(("method", "oracle"), [("pearson", pearsonr), ("spearman", spearmanr)])
def test_matches_scipy_on_the_pairs(method, oracle):
    a, b = related()
    r = oracle(squareform(a), squareform(b)).statistic
    assert mantel(a, b, permutations=9, method=method).observed == pytest.approx(r)


@pytest.mark.parametrize("members", [4, 5, 6])
def test_few_members_are_tested_exactly(members):
    a, b = related(members=members, noise=0.5)
    test = mantel(a, b, permutations=3)
    by_hand = np.array(
        [
            pearsonr(squareform(a), squareform(b[np.ix_(order, order)])).statistic
            for order in permutations(range(members))
        ]
    )
    assert len(test.null) == len(by_hand) - 1
    assert test.p_value == pytest.approx(np.mean(by_hand >= by_hand[0] - 1e-12))


def test_draws_are_joint_permutations():
    a, b = distances(0, 7), distances(1, 7)
    every = [
        pearsonr(squareform(a), squareform(b[np.ix_(order, order)])).statistic
        for order in map(list, permutations(range(7)))
    ]
    test = mantel(a, b, permutations=200, seed=3)
    assert np.isclose(test.null[:, None], every, atol=1e-12).any(axis=1).all()
    again = mantel(a, b, permutations=200, seed=3)
    np.testing.assert_array_equal(test.null, again.null)


def test_order_of_members_does_not_matter():
    a, b = related()
    order = np.random.default_rng(0).permutation(10)
    moved = mantel(a[np.ix_(order, order)], b[np.ix_(order, order)], permutations=9)
    assert moved.observed == pytest.approx(mantel(a, b, permutations=9).observed)


def test_opposite_distances_do_not_count_against_the_null():
    a = distances()
    opposite = (a.max() * 1.1 - a) * (1 - np.eye(10))
    test = mantel(a, opposite, permutations=99)
    assert test.observed == pytest.approx(-1)
    assert test.p_value == 1


def test_size_where_shuffled_pairs_would_find_agreement():
    """One member far away in each of two unrelated distances, which misleads shuffled pairs."""
    rejected = 0
    for study in range(400):
        rng = np.random.default_rng(study)
        x, y = rng.normal(size=(2, 8, 3))
        x[rng.integers(8)] *= 5
        y[rng.integers(8)] *= 5
        a, b = squareform(pdist(x)), squareform(pdist(y))
        rejected += mantel(a, b, permutations=39, seed=study).p_value <= 0.05
    assert 0.02 <= rejected / 400 <= 0.09  # ± 3 SD


def test_matrix_holds_the_pairwise_tests():
    a, b = related()
    named = {"a": a, "b": b, "c": distances(7)}
    matrix = mantel_matrix(named, permutations=199, seed=2)
    assert matrix.names == ("a", "b", "c")
    for i, one in enumerate(named.values()):
        for j, other in enumerate(named.values()):
            if i < j:
                test = mantel(one, other, permutations=199, seed=2)
                assert matrix.correlation[i, j] == pytest.approx(test.observed)
                assert matrix.p_value[i, j] == test.p_value
    np.testing.assert_array_equal(matrix.correlation, matrix.correlation.T)
    np.testing.assert_array_equal(matrix.p_value, matrix.p_value.T)
    assert np.isnan(matrix.p_value.diagonal()).all()
    np.testing.assert_array_equal(matrix.correlation.diagonal(), 1)


def constant(members=10):
    return 1 - np.eye(members)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: mantel(distances(), distances(members=9)), "9 members in 'b' and 10 in 'a'"),
        (lambda: mantel(distances(members=3), distances(members=3)), "at least 4 of them; found 3"),
        (lambda: mantel(distances(), constant()), "distances in 'b' are equal"),
        (lambda: mantel(distances(), distances() * np.nan), "finite"),
        (lambda: mantel(distances(), distances(), permutations=0), "at least 1; found 0"),
        (lambda: mantel(distances(), distances(), method="kendall"), "found 'kendall'"),
        (lambda: mantel_matrix({"a": distances()}), "at least 2 distances; found 1"),
        (lambda: mantel_matrix({"a": distances(), "same": constant()}), "'same' are equal"),
    ],
)
def test_mistakes_are_named(call, message):
    with pytest.raises(UserError, match=message):
        call()
