import numpy as np
import pytest

from chromatic_descent.errors import UserError
from chromatic_descent.geometry import new_directions, outside_share


def cloud(members, dimensions=20, seed=0):
    return np.random.default_rng(seed).normal(size=(members, dimensions))


def distances(x):
    return ((x[:, None] - x) ** 2).sum(-1)


def by_projection(x, targets, reference, centre):
    """The same from the points themselves, with an orthonormal basis of the span."""
    span = x[reference] - x[reference].mean(axis=0)
    basis = np.linalg.svd(span, full_matrices=False)[2][: len(reference) - 1]
    middle = x[targets if centre == "targets" else reference].mean(axis=0)
    apart = x[targets] - middle
    left = apart - apart @ basis.T @ basis
    return (left**2).sum() / (apart**2).sum()


@pytest.mark.parametrize("centre", ["targets", "reference"])
def test_it_is_what_a_projection_leaves(centre):
    x = cloud(9)
    for targets, reference in [([0, 1, 2], [4, 5, 6, 7]), ([3, 8], [1, 2]), ([0, 1, 2, 3], [4, 8])]:
        found = outside_share(distances(x), targets, reference, centre=centre)
        assert found == pytest.approx(by_projection(x, targets, reference, centre))


def test_what_lies_in_the_span_has_nothing_outside():
    x = cloud(5)
    x[4] = x[:3].T @ [0.2, 0.5, 0.3]  # in the plane through the first three
    assert outside_share(distances(x), [4], [0, 1, 2], centre="reference") == pytest.approx(0)
    moved = x.copy()
    moved[3] = x[4] + x[0] - x[1]
    assert outside_share(distances(moved), [3, 4], [0, 1, 2]) == pytest.approx(0, abs=1e-9)
    assert np.isnan(outside_share(np.zeros((4, 4)), [0, 1], [2, 3]))


def test_members_of_one_kind_are_on_average_as_far_outside_as_chance():
    alone, chance, outside, by_chance = np.mean(
        [
            [f.alone.mean(), f.alone_by_chance.mean(), f.outside, f.outside_by_chance]
            for f in (
                new_directions(distances(cloud(12, 8, seed)), range(6), range(6, 12))
                for seed in range(200)
            )
        ],
        axis=0,
    )
    assert alone == pytest.approx(chance, abs=0.02)
    assert outside == pytest.approx(by_chance, abs=0.02)


def test_new_directions_are_found_and_a_common_move_only_one_by_one():
    x = cloud(12, 30)
    x[6:, 4:] = 0  # the baseline lives in four dimensions
    found = new_directions(distances(x), range(6), range(6, 12))
    assert found.outside > found.outside_by_chance + 0.3
    assert found.splits == 20
    x[:6] = x[6:]
    x[:6, 20] += 50  # the same members, all moved one way
    found = new_directions(distances(x), range(6), range(6, 12))
    assert found.outside == pytest.approx(found.outside_by_chance)
    assert (found.alone > 0.99).all()


def test_the_distance_is_that_from_the_plane():
    x = cloud(8)
    found = new_directions(distances(x), range(4), range(4, 8))
    for s in range(4):
        rest = np.delete(x[4:], s, axis=0)
        edges = (rest[1:] - rest[0]).T
        for member, value in [(x[s], found.distance[s]), (x[4 + s], found.distance_by_chance[s])]:
            left = np.linalg.lstsq(edges, member - rest[0], rcond=None)[1][0]
            assert value == pytest.approx(left)


def test_three_seeds_have_no_halves():
    found = new_directions(distances(cloud(6)), range(3), range(3, 6))
    assert np.isnan(found.outside)
    assert found.splits == 0
    assert found.alone.shape == (3,)


def test_many_splits_are_drawn_without_repeats():
    found = new_directions(distances(cloud(24)), range(12), range(12, 24), splits=30)
    assert found.splits == 30
    assert 0 < found.outside < 1


def test_mistakes_are_named():
    d = distances(cloud(6))
    with pytest.raises(UserError, match="at least 3 seeds"):
        new_directions(d, [0, 1], [2, 3])
    with pytest.raises(UserError, match="found 3 and 2"):
        new_directions(d, [0, 1, 2], [3, 4])
    with pytest.raises(UserError, match="at least 2 reference members"):
        outside_share(d, [0, 1], [2])
    with pytest.raises(UserError, match="centre=nowhere"):
        outside_share(d, [0, 1], [2, 3], centre="nowhere")
