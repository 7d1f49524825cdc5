import numpy as np
import pytest

from chromatic_descent.errors import UserError
from chromatic_descent.geometry import DISTANCES, distance, features, reweighted_distances
from chromatic_descent.geometry.distances import items, kernels
from chromatic_descent.geometry.distances.items import weighted_distances
from chromatic_descent.geometry.distances.kernels import weighted_kernels
from chromatic_descent.geometry.resampling import resampled_counts
from tests.geometry import by_definition

OVER_ITEMS = tuple(name for name in DISTANCES if name != "cka")
TEMPERATURE = np.array([0.5, 1.0, 2.0, 3.0, 1.5])
LABELS = np.random.default_rng(99).integers(0, 4, size=37)
EXTRA = {"labels": LABELS, "temperature": TEMPERATURE}


def population(seed=0, members=5, size=37, classes=4):
    return np.random.default_rng(seed).normal(size=(members, size, classes))


def bound(name, logits, **extra):
    """What `weighted_kernels` takes: a distance checked for these logits."""
    return distance(name, **{**EXTRA, **extra}).on(logits)


def resamples(count=20, size=37):
    return np.random.default_rng(1).multinomial(size, np.full(size, 1 / size), size=count)


@pytest.mark.parametrize("name", OVER_ITEMS)
def test_each_weighting_is_the_definition(name):
    logits, weights = population(), resamples()
    got = reweighted_distances(logits, distance(name, **EXTRA), weights)
    for b in (0, 19):
        expected = by_definition.distances(logits, name, weights=weights[b], **EXTRA)
        np.testing.assert_allclose(got[b], expected, rtol=1e-9)


@pytest.mark.parametrize("name", OVER_ITEMS)
def test_blocks_agree_with_the_whole(name, monkeypatch):
    logits, weights = population(), resamples()
    whole = reweighted_distances(logits, distance(name, **EXTRA), weights)
    monkeypatch.setattr(items, "_BLOCK", 60)  # 3 items at a time
    again = reweighted_distances(logits, distance(name, **EXTRA), weights)
    np.testing.assert_allclose(again, whole, rtol=1e-9)


@pytest.mark.parametrize("precise", [True, False])
@pytest.mark.parametrize("count", [1, 20])
@pytest.mark.parametrize("name", OVER_ITEMS)
def test_kernels_give_the_distances(name, count, precise, monkeypatch):
    """In tiles of 2 members, blocks of a few items, and more weightings than fit at once."""
    logits, weights = population(), resamples(count).astype(np.float32)
    expected = reweighted_distances(logits, distance(name, **EXTRA), weights)
    for setting, value in {
        "_TILE": 2,
        "_CACHE": 100,
        "_DEPTH": 7,
        "_FORMS": 500,
        "_TOTALS": 3000,
    }.items():
        monkeypatch.setattr(kernels, setting, value)
    fractions = []
    found = list(
        weighted_kernels(
            logits, bound(name, logits), weights, precise=precise, report=fractions.append
        )
    )
    assert len(found) == count
    for kernel, squared in zip(found, expected, strict=True):
        own = kernel.diagonal()
        tolerance = (1e-12 if precise else 1e-6) * squared.max()
        np.testing.assert_allclose(own[:, None] + own - 2 * kernel, squared, atol=tolerance)
    assert fractions == sorted(fractions)
    assert fractions[-1] == pytest.approx(1)


def test_threads_do_not_change_the_result(monkeypatch):
    logits, weights = population(members=150, size=30), resamples(size=30).astype(np.float32)
    found = []
    for threads in (1, 3):
        monkeypatch.setattr(kernels, "processors", lambda threads=threads: threads)
        found.append(list(weighted_kernels(logits, bound("jensen_shannon", logits), weights)))
    np.testing.assert_array_equal(*found)


def test_confident_members_in_float32():
    logits = np.zeros((3, 20, 3))
    logits[0, :, 0] = logits[1, :, 1] = logits[2, :, 0] = 1000
    for name in OVER_ITEMS:
        extra = {"labels": np.full(20, 2), "temperature": np.ones(3)}
        expected = reweighted_distances(logits, distance(name, **extra), np.ones((1, 20)))[0]
        (kernel,) = weighted_kernels(logits, bound(name, logits, **extra), np.ones((1, 20)))
        own = kernel.diagonal()
        np.testing.assert_allclose(
            own[:, None] + own - 2 * kernel, expected, atol=1e-5 * expected.max()
        )


def test_mistakes_are_named():
    with pytest.raises(UserError, match=r"\['B', 37\]"):
        reweighted_distances(population(), "logit_mse", np.ones(37))
    with pytest.raises(UserError, match="all be zero"):
        reweighted_distances(population(), "logit_mse", np.eye(2, 37) * [[1.0], [0.0]])
    with pytest.raises(UserError, match="cka compares whole members and is not a mean over items"):
        reweighted_distances(population(), "cka", np.ones((1, 37)))
    with pytest.raises(UserError, match="found 'euclid'"):
        reweighted_distances(population(), "euclid", np.ones((1, 37)))
    with pytest.raises(UserError, match="kl_symmetric is not a distance between per-item features"):
        features(population(), "kl_symmetric")


def test_no_common_error_under_a_weighting():
    logits = np.eye(3)[[[0, 1, 2], [0, 1, 2]]]
    weights, labels = np.array([[1, 1, 1], [1, 0, 0]]), np.array([0, 0, 0])
    message = "members 0 and 1: there is no item that both get wrong under weighting 1"
    with pytest.raises(UserError, match=message):
        reweighted_distances(logits, distance("error_disagreement", labels=labels), weights)
    with pytest.raises(UserError, match=message):
        list(weighted_kernels(logits, bound("error_disagreement", logits, labels=labels), weights))


@pytest.mark.parametrize("name", OVER_ITEMS)
def test_many_members_are_as_few(name, monkeypatch):
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(size=(7, 90, 3)), rng.integers(3, size=90)
    weights = resampled_counts(90, 4, seed=0)
    given = distance(name, labels=labels, temperature=np.linspace(0.5, 2, 7))
    expected = reweighted_distances(logits, given, weights)
    np.testing.assert_array_equal(list(weighted_distances(logits, given, weights)), expected)
    monkeypatch.setattr(items, "MANY", 2)
    fast = np.array(list(weighted_distances(logits, given, weights)))
    np.testing.assert_allclose(fast, expected, atol=1e-5 * expected.max())
    assert not np.diagonal(fast, axis1=1, axis2=2).any()
