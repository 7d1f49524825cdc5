import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.special import softmax

from chromatic_descent.errors import UserError
from chromatic_descent.geometry import (
    DISTANCES,
    distance_matrix,
    distances,
    features,
    reweighted_distances,
)

TEMPERATURE = np.array([0.5, 1.0, 2.0, 3.0, 1.5])


def brute_force(logits, name, temperature=None, weights=None):
    """The definitions, pair by pair in float64, from differences and never from a Gram matrix."""
    f = np.asarray(logits, dtype=np.float64)
    if name != "logit_mse":
        f = f - f.mean(-1, keepdims=True)
    if name == "logit_mse_matched":
        f = f / np.asarray(temperature)[:, None, None]
    if name == "hellinger":
        f = np.sqrt(softmax(f, axis=-1))
    out = np.zeros((len(f), len(f)))
    for i in range(len(f)):
        for j in range(len(f)):
            square = (f[i] - f[j]) ** 2
            by_item = square.sum(-1) / 2 if name == "hellinger" else square.mean(-1)
            out[i, j] = np.average(by_item, weights=weights)
    return out


def population(seed=0, members=5, items=37, classes=4, dtype=np.float64):
    return np.random.default_rng(seed).normal(size=(members, items, classes)).astype(dtype)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("name", DISTANCES)
def test_matches_brute_force(name, dtype):
    logits = 3 * population(dtype=dtype)
    got = distance_matrix(logits, name, temperature=TEMPERATURE)
    assert got.dtype == np.float64
    np.testing.assert_allclose(got, brute_force(logits, name, TEMPERATURE), rtol=1e-9)
    np.testing.assert_array_equal(got, got.T)
    assert not got.diagonal().any()


def test_hellinger_is_one_minus_the_affinity():
    logits = population()
    p = softmax(logits, axis=-1)
    affinity = np.sqrt(p[:, None] * p[None]).sum(-1).mean(-1)
    np.testing.assert_allclose(distance_matrix(logits, "hellinger"), 1 - affinity, atol=1e-12)


@pytest.mark.parametrize("name", DISTANCES)
@pytest.mark.parametrize("offset", [0.0, 1e4])
def test_nearly_identical_members_do_not_cancel(name, offset):
    """Two pairs of near twins, far apart, with an offset shared by all."""
    logits = population(items=300)
    rng = np.random.default_rng(1)
    logits[1] = logits[0] + 1e-5 * rng.normal(size=logits[0].shape)
    logits[2] *= 1e3
    logits[3] = logits[2] + 1e-3 * rng.normal(size=logits[2].shape)
    logits += offset * rng.normal(size=logits.shape[1:])
    same_temperature = np.full(5, 1.7)
    got = distance_matrix(logits, name, temperature=same_temperature)
    np.testing.assert_allclose(got, brute_force(logits, name, same_temperature), rtol=1e-6)


@pytest.mark.parametrize("name", DISTANCES)
def test_identical_members_are_at_exactly_zero(name):
    logits = population(items=501, classes=10) + 100
    logits[3] = logits[1]
    got = distance_matrix(logits, name, temperature=np.ones(5))
    assert got[1, 3] == got[3, 1] == 0
    assert (got[0, 1:] > 0).all()
    twins = np.repeat(logits[:1], 7, axis=0)
    assert not distance_matrix(twins, name, temperature=np.full(7, 0.3)).any()


@pytest.mark.parametrize("name", DISTANCES)
def test_confident_members(name):
    logits = np.full((3, 2, 3), -1e4)
    logits[0, :, 0] = logits[1, :, 1] = logits[2, :, 0] = 1e4
    got = distance_matrix(logits, name, temperature=np.ones(3))
    far = 1.0 if name == "hellinger" else 2 * 2e4**2 / 3
    np.testing.assert_allclose(got, far * np.array([[0, 1, 0], [1, 0, 1], [0, 1, 0]]))


def test_two_members_one_item():
    logits = np.array([[[0.0, 1.0]], [[2.0, 1.0]]])
    assert distance_matrix(logits, "logit_mse")[0, 1] == 2.0
    assert distance_matrix(logits, "logit_mse_centred")[0, 1] == 1.0


@pytest.mark.parametrize("name", DISTANCES)
def test_blocks_and_features_agree_with_the_whole(name, monkeypatch):
    logits = population()
    logits[4] = logits[0] + 1e-6
    logits[4, 0, 0] += 1e-4
    whole = distance_matrix(logits, name, temperature=TEMPERATURE)
    weights = np.random.default_rng(0).integers(0, 4, size=(3, 37))
    resampled = reweighted_distances(logits, name, weights, temperature=TEMPERATURE)
    phi = features(logits, name, TEMPERATURE)
    by_features = ((phi[:, None] - phi[None]) ** 2).sum(-1).mean(-1)
    np.testing.assert_allclose(by_features, whole, rtol=1e-6)

    monkeypatch.setattr(distances, "_BLOCK", 60)  # 3 items at a time
    again = distance_matrix(logits, name, temperature=TEMPERATURE)
    np.testing.assert_allclose(again, whole, rtol=1e-9)
    again = reweighted_distances(logits, name, weights, temperature=TEMPERATURE)
    np.testing.assert_allclose(again, resampled, rtol=1e-9)


def test_memory_mapped_logits(tmp_path):
    logits = population(dtype=np.float32)
    np.save(tmp_path / "logits.npy", logits)
    mapped = np.load(tmp_path / "logits.npy", mmap_mode="r")
    np.testing.assert_array_equal(
        distance_matrix(mapped, "hellinger"), distance_matrix(logits, "hellinger")
    )


logit_arrays = arrays(
    np.float64, (4, 6, 3), elements=st.floats(-50, 50, allow_subnormal=False, width=32)
)
quick = settings(max_examples=40, deadline=None)


@quick
@given(logit_arrays, arrays(np.float64, (4, 6, 1), elements=st.floats(-100, 100, width=32)))
def test_shifts_of_an_item_are_not_seen(logits, shifts):
    for name in ("logit_mse_centred", "logit_mse_matched", "hellinger"):
        before = distance_matrix(logits, name, temperature=TEMPERATURE[:4])
        after = distance_matrix(logits + shifts, name, temperature=TEMPERATURE[:4])
        np.testing.assert_allclose(after, before, rtol=1e-9, atol=1e-20)


@quick
@given(logit_arrays, arrays(np.float64, 4, elements=st.floats(0.1, 10)))
def test_scale_goes_with_the_temperature(logits, scale):
    before = distance_matrix(logits, "logit_mse_matched", temperature=TEMPERATURE[:4])
    after = distance_matrix(
        logits * scale[:, None, None],
        "logit_mse_matched",
        temperature=TEMPERATURE[:4] * scale,
    )
    np.testing.assert_allclose(after, before, rtol=1e-9, atol=1e-20)


@quick
@given(logit_arrays, st.permutations(range(4)))
def test_metric_axioms_and_order_of_members(logits, order):
    for name in DISTANCES:
        squared = distance_matrix(logits, name, temperature=TEMPERATURE[:4])
        assert (squared >= 0).all()
        assert not squared.diagonal().any()
        np.testing.assert_array_equal(squared, squared.T)
        root = np.sqrt(squared)
        detour = (root[:, :, None] + root[None]).min(axis=1)  # the best way round by a third
        assert (root <= detour * (1 + 1e-9) + 1e-12).all()
        permuted = distance_matrix(logits[order], name, temperature=TEMPERATURE[order])
        np.testing.assert_allclose(permuted, squared[np.ix_(order, order)], rtol=1e-9, atol=1e-20)


@quick
@given(logit_arrays, arrays(np.int64, 6, elements=st.integers(0, 3)).filter(np.any))
def test_weights_are_repeated_items(logits, weights):
    repeated = np.repeat(logits, weights, axis=1)
    for name in DISTANCES:
        expected = distance_matrix(repeated, name, temperature=TEMPERATURE[:4])
        one = distance_matrix(logits, name, temperature=TEMPERATURE[:4], weights=weights)
        many = reweighted_distances(
            logits, name, [weights, 2 * weights], temperature=TEMPERATURE[:4]
        )
        np.testing.assert_allclose(one, expected, rtol=1e-9, atol=1e-20)
        np.testing.assert_allclose(many, [expected, expected], rtol=1e-9, atol=1e-20)


def with_nan():
    logits = population()
    logits[2, 3, 1] = np.nan
    return logits


@pytest.mark.parametrize(
    ("logits", "arguments", "message"),
    [
        (with_nan(), {}, "1 of 148 values of member 2"),
        (np.full((2, 3, 4), np.inf), {}, "12 of 12 values of member 0"),
        (population(members=1), {}, r"found shape \[1, 37, 4\]"),
        (population(classes=1), {}, r"found shape \[5, 37, 1\]"),
        (population(items=0), {}, r"found shape \[5, 0, 4\]"),
        (population()[0], {}, r"found shape \[37, 4\]"),
        (np.array([[["a", "b"]]]), {}, "found dtype <U1"),
        (population(), {"name": "cosine"}, "found 'cosine'"),
        (population(), {"name": "logit_mse_matched"}, "fit_temperature"),
        (population(), {"name": "logit_mse_matched", "temperature": [1, 2]}, "5 positive"),
        (
            population(),
            {"name": "logit_mse_matched", "temperature": [1, 1, 1, 1, 0]},
            "5 positive",
        ),
        (population(), {"weights": np.ones(36)}, r"shape \[37\]"),
        (population(), {"weights": -np.ones(37)}, "non-negative"),
        (population(), {"weights": np.full(37, np.nan)}, "finite"),
        (population(), {"weights": np.zeros(37)}, "all be zero"),
    ],
)
def test_mistakes_are_named(logits, arguments, message):
    with pytest.raises(UserError, match=message):
        distance_matrix(logits, **{"name": "logit_mse", **arguments})


def test_reweighting_wants_one_row_per_resample():
    with pytest.raises(UserError, match=r"\['B', 37\]"):
        reweighted_distances(population(), "logit_mse", np.ones(37))
    with pytest.raises(UserError, match="all be zero"):
        reweighted_distances(population(), "logit_mse", np.eye(2, 37) * [[1.0], [0.0]])
