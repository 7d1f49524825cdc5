from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import pdist, squareform
from scipy.stats import f_oneway

from chromatic_descent.errors import UserError
from chromatic_descent.geometry import permanova


def squared_distances(points):
    return squareform(pdist(points)) ** 2


def grouped(seed=0, sizes=(5, 4, 6), apart=1.0, dimensions=3):
    rng = np.random.default_rng(seed)
    groups = np.repeat(np.arange(len(sizes)), sizes)
    centres = apart * rng.normal(size=(len(sizes), dimensions))
    return squared_distances(centres[groups] + rng.normal(size=(len(groups), dimensions))), groups


@pytest.mark.parametrize("apart", [0.0, 0.7, 3.0])
def test_matches_scikit_bio(apart):
    import skbio.stats.distance as skbio

    squared, groups = grouped(apart=apart)
    ours = permanova(squared, groups, permutations=4999)
    ids = [str(i) for i in range(len(groups))]
    theirs = skbio.permanova(
        skbio.DistanceMatrix(np.sqrt(squared), ids), groups.astype(str), permutations=4999
    )
    assert ours.observed == pytest.approx(theirs["test statistic"])
    assert ours.p_value == pytest.approx(theirs["p-value"], abs=0.025)


def test_one_dimension_is_the_analysis_of_variance():
    rng = np.random.default_rng(0)
    x, groups = rng.normal(size=14), np.repeat([0, 1, 2], [4, 4, 6])
    test = permanova((x[:, None] - x) ** 2, groups, permutations=9)
    samples = [x[groups == g] for g in range(3)]
    assert test.observed == pytest.approx(f_oneway(*samples).statistic)
    between = sum(len(s) * (s.mean() - x.mean()) ** 2 for s in samples)
    assert test.r_squared == pytest.approx(between / ((x - x.mean()) ** 2).sum())


@given(st.integers(0, 1000))
def test_sums_of_squares_by_hand(seed):
    squared, groups = grouped(seed, sizes=(4, 3, 2))
    test = permanova(squared, groups, permutations=9)
    total = squared[np.triu_indices(9, 1)].sum() / 9
    within = 0.0
    for g in range(3):
        block = squared[np.ix_(groups == g, groups == g)]
        within += block[np.triu_indices(len(block), 1)].sum() / len(block)
    assert test.observed == pytest.approx(((total - within) / 2) / (within / 6))
    assert test.r_squared == pytest.approx(1 - within / total)
    assert 0 <= test.r_squared <= 1


def test_few_members_are_tested_exactly():
    squared, groups = grouped(2, sizes=(3, 2, 1))
    test = permanova(squared, groups, permutations=3)
    every = np.array(
        [
            permanova(squared, groups[list(order)], permutations=1).observed
            for order in permutations(range(6))
        ]
    )
    assert len(test.null) == 719
    assert test.p_value == pytest.approx(np.mean(every >= test.observed * (1 - 1e-9)))


def test_names_of_groups_do_not_matter():
    squared, groups = grouped()
    names = np.array(["wide", "narrow", "deep"])[groups]
    by_name = permanova(squared, names.tolist(), permutations=99)
    assert by_name.observed == pytest.approx(permanova(squared, groups, permutations=9).observed)
    assert by_name.groups == ("deep", "narrow", "wide")
    assert by_name.sizes == (6, 4, 5)
    rates = permanova(squared, np.array([0.1, 0.2, 0.3])[groups], permutations=9)
    assert rates.groups == (0.1, 0.2, 0.3)
    mixed = permanova(squared, [None if g == 0 else "cutout" for g in groups], permutations=9)
    assert mixed.groups == ("None", "cutout")


def test_batches_agree_with_the_whole(monkeypatch):
    squared, groups = grouped()
    whole = permanova(squared, groups, permutations=50)
    monkeypatch.setattr("chromatic_descent.geometry.permutation_tests.permanova._BATCH", 7 * 45)
    np.testing.assert_allclose(permanova(squared, groups, permutations=50).null, whole.null)


def test_groups_that_are_points_have_an_infinite_f():
    x = np.repeat([0.0, 1.0, 5.0], 3)[:, None]
    test = permanova((x - x.T) ** 2, np.repeat([0, 1, 2], 3), permutations=999)
    assert test.observed == np.inf
    assert test.r_squared == 1
    assert 1 / 1000 <= test.p_value < 0.02  # a shuffle that gives the same division ties
    assert np.isnan(test.effect)


def test_size():
    rejected = 0
    for study in range(400):
        x = np.random.default_rng(study).standard_t(2, size=(12, 3))
        rejected += (
            permanova(
                squared_distances(x), np.repeat([0, 1], [5, 7]), permutations=39, seed=study
            ).p_value
            <= 0.05
        )
    assert 0.02 <= rejected / 400 <= 0.09  # ± 3 SD


@pytest.mark.parametrize(
    ("squared", "groups", "message"),
    [
        (1 - np.eye(8), [0] * 8, "at least 2, and fewer than the 8 members; found 1"),
        (1 - np.eye(8), range(8), "found 8"),
        (1 - np.eye(8), [0, 1] * 3, r"each of the 8 members; found shape \[6\]"),
        (np.zeros((8, 8)), [0, 1] * 4, "identical"),
        (1 - np.eye(6), [0, 1] * 3, "divided into groups of 3, 3 in only 10 ways.* below 0.10"),
        (1 - np.eye(4), [0, 1, 1, 1], "in only 4 ways"),
        (1 - np.eye(3), [0, 1, 1], "in only 3 ways"),
        (np.full((8, 8), np.nan), [0, 1] * 4, "finite"),
    ],
)
def test_mistakes_are_named(squared, groups, message):
    with pytest.raises(UserError, match=message):
        permanova(squared, list(groups))
