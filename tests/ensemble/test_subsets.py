import itertools

from chromatic_descent.ensemble import subsets


def test_subsets_are_all_or_random_and_never_twice():
    assert subsets.draw_subsets(4, 2, 6, seed=0) == list(itertools.combinations(range(4), 2))
    drawn = subsets.draw_subsets(9, 4, 50, seed=0)
    assert len(set(drawn)) == 50
    assert all(len(set(subset)) == 4 and max(subset) < 9 for subset in drawn)
    assert drawn == subsets.draw_subsets(9, 4, 50, seed=0)
    assert drawn != subsets.draw_subsets(9, 4, 50, seed=1)
    assert len(set(subsets.draw_subsets(6, 3, 19, seed=0))) == 19  # of 20
