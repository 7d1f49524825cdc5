import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import entropy

from chromatic_descent.ensemble import (
    COMBINERS,
    accuracy,
    brier,
    decompositions,
    log_probabilities,
    log_softmax,
    nll,
)
from chromatic_descent.errors import UserError

LOSSES = {
    "cross_entropy_geometric_mean": nll,
    "cross_entropy_mean_probability": nll,
    "brier": brier,
    "zero_one": lambda log_p, labels: 1 - accuracy(log_p, labels),
}


def population(seed=0, members=6, items=60, classes=5, scale=2.0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(classes, size=items)
    return scale * (rng.normal(size=(members, items, classes)) + np.eye(classes)[labels]), labels


@given(
    st.integers(0, 99),
    st.integers(1, 6),
    st.integers(2, 5),
    st.sampled_from([1e-6, 1.0, 28.0, 1e2, 1e4]),
)
def test_identities_at_any_confidence(seed, members, classes, scale):
    logits, labels = population(seed, members, classes=classes, scale=scale)
    parts = decompositions(logits, labels)
    assert list(parts) == list(LOSSES)
    for name, part in parts.items():
        assert part.residual <= 1e-12 * max(1, scale)
        loss = LOSSES[name]
        ensemble = loss(COMBINERS[part.combiner](logits), labels)
        assert part.means["ensemble"] == pytest.approx(ensemble, rel=1e-10, abs=1e-12)
        mean = loss(log_softmax(logits), labels).mean()
        assert part.means["members"] == pytest.approx(mean, rel=1e-10, abs=1e-12)
        if name != "zero_one":
            assert part.diversity.min() >= -1e-12 * max(1, scale)


def test_sure_to_one_part_in_1e12():
    """Members at p = 1 − 1e-12, each sure of a class of its own: every loss known by hand."""
    p = np.array([[[1 - 1e-12, 1e-12]], [[1e-12, 1 - 1e-12]]])
    parts = decompositions(np.log(p), [0])
    assert all(part.residual < 1e-12 for part in parts.values())
    far = -np.log(1e-12)
    expected = {  # ensemble, members
        "cross_entropy_geometric_mean": (np.log(2), far / 2),
        "cross_entropy_mean_probability": (np.log(2), far / 2),
        "brier": (0.5, 1.0),
        "zero_one": (0.0, 0.5),  # the tie goes to the first of equally probable classes
    }
    for name, (ensemble, members) in expected.items():
        means = parts[name].means
        assert means["ensemble"] == pytest.approx(ensemble, abs=1e-10)
        assert means["members"] == pytest.approx(members, abs=1e-10)
        assert means["diversity"] == pytest.approx(members - ensemble, abs=1e-10)


def test_terms_by_their_definitions():
    logits, labels = population()
    p = np.exp(log_softmax(logits))
    q = np.exp(COMBINERS["geometric_mean"](logits))
    mean = p.mean(0)
    at = np.arange(60), labels
    parts = decompositions(logits, labels)
    np.testing.assert_allclose(
        parts["cross_entropy_geometric_mean"].diversity,
        np.mean([entropy(q, member, axis=-1) for member in p], axis=0),
    )
    np.testing.assert_allclose(
        parts["cross_entropy_mean_probability"].diversity,
        np.mean([np.log(mean[at] / member[at]) for member in p], axis=0),
    )
    np.testing.assert_allclose(parts["brier"].diversity, p.var(axis=0).sum(-1))


def test_which_diversities_see_the_label():
    logits, labels = population()
    one, other = decompositions(logits, labels), decompositions(logits, (labels + 1) % 5)
    for name in ("cross_entropy_geometric_mean", "brier"):
        np.testing.assert_allclose(one[name].diversity, other[name].diversity)
    for name in ("cross_entropy_mean_probability", "zero_one"):
        assert not np.allclose(one[name].diversity, other[name].diversity)


def test_voting_can_make_it_worse():
    """Two of three wrong in the same way: members err on 2/3, the vote always."""
    logits = np.eye(3)[[[1], [1], [0]]]
    part = decompositions(logits, [0])["zero_one"]
    assert part.means == pytest.approx({"ensemble": 1, "members": 2 / 3, "diversity": -1 / 3})


def test_identical_members_have_no_diversity():
    logits, labels = population(members=1)
    for part in decompositions(np.repeat(logits, 3, axis=0), labels).values():
        np.testing.assert_allclose(part.diversity, 0, atol=1e-14)
        np.testing.assert_allclose(part.ensemble, part.members)


def test_blocks_agree_with_the_whole(monkeypatch):
    whole = decompositions(*population())
    monkeypatch.setattr(log_probabilities, "_BLOCK", 6 * 5 * 7)  # 7 items at a time
    for name, part in decompositions(*population()).items():
        np.testing.assert_allclose(part.ensemble, whole[name].ensemble)
        np.testing.assert_allclose(part.diversity, whole[name].diversity)


def test_mistakes_are_named():
    logits, labels = population()
    with pytest.raises(UserError, match="labels must be from 0 to 4"):
        decompositions(logits, labels + 1)
    with pytest.raises(UserError, match="finite"):
        decompositions(logits * np.nan, labels)
    with pytest.raises(UserError, match=r"\[S, N, C\]"):
        decompositions(logits[0], labels)
