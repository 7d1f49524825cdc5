import numpy as np
import pytest

from chromatic_descent.errors import UserError
from chromatic_descent.geometry import distance_matrices, distance_matrix
from chromatic_descent.geometry.distances.kinds import cka
from tests.geometry import by_definition


def population(seed=0, members=5, items=37, classes=4):
    return np.random.default_rng(seed).normal(size=(members, items, classes))


@pytest.mark.parametrize("items", [4, 5, 37])
@pytest.mark.parametrize("offset", [0.0, 1e4])
def test_matches_the_definition_on_kernels(items, offset):
    logits = population(items=items)
    logits[1] = logits[0] + 0.01 * logits[1]
    expected = by_definition.distances(logits, "cka")
    logits += offset * population(members=1, items=1)  # which it does not see
    np.testing.assert_allclose(distance_matrix(logits, "cka"), expected, atol=1e-11)


def test_tiles_agree_with_the_whole(monkeypatch):
    logits, fractions = population(), []
    whole = distance_matrix(logits, "cka")
    monkeypatch.setattr(cka, "_TILE", 37 * 4)
    monkeypatch.setattr(cka, "_ROWS", 2)
    np.testing.assert_allclose(
        distance_matrices(logits, ["cka"], on_progress=fractions.append)["cka"],
        whole,
        rtol=1e-12,
        atol=1e-15,
    )
    assert len(fractions) == 3  # of 2, 2 and 1 members
    assert fractions[-1] == 1


def test_offset_scale_and_rotation_are_not_seen():
    logits = population()
    rotation, _ = np.linalg.qr(population(seed=1, members=1, items=4)[0])
    logits[1] = 5 * logits[0] @ rotation + [1.0, -2.0, 30.0, 4.0]
    got = distance_matrix(logits, "cka")
    assert got[0, 1] == pytest.approx(0, abs=1e-12)
    assert got[0, 2] > 0.5


def test_members_that_share_nothing_are_at_one():
    """Even with few items for the number of classes, which is the purpose of debiasing."""
    for items in (20, 2000):
        far = distance_matrix(population(members=40, items=items, classes=10), "cka")
        assert far[np.triu_indices(40, 1)].mean() == pytest.approx(1, abs=0.01)


def test_a_member_that_does_not_vary_is_named():
    logits = population()
    logits[3] = [1.0, 2.0, 3.0, 0.1]
    with pytest.raises(UserError, match="not defined for member 3: its logits do not vary"):
        distance_matrix(logits, "cka")
