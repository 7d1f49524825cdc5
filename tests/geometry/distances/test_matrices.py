import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial.distance import jensenshannon as scipy_jensenshannon
from scipy.spatial.distance import pdist, squareform
from scipy.special import softmax

from chromatic_descent.errors import UserError
from chromatic_descent.geometry import (
    DISTANCES,
    EUCLIDEAN,
    cores,
    distance,
    distance_matrices,
    distance_matrix,
    features,
    reweighted_distances,
)
from chromatic_descent.geometry.distances import grams
from chromatic_descent.geometry.distances.kinds import divergences
from tests.geometry import by_definition

TEMPERATURE = np.array([0.5, 1.0, 2.0, 3.0, 1.5])
LABELS = np.random.default_rng(99).integers(0, 4, size=1000)
OVER_ITEMS = tuple(name for name in DISTANCES if name != "cka")
# Those whose root is a metric: Bhattacharyya and symmetric KL break the triangle inequality, and
# so does a ratio over items that differ from pair to pair.
# Those that are matrix products, and come from one pass.
GRAMS = tuple(name for name in DISTANCES if distance(name).gram is not None)
METRICS = (*EUCLIDEAN, "jensen_shannon", "cka")
# What round-off leaves of the definitions themselves: logarithms of numbers near 1, and p near 1.
DEFINITION_ROUNDS = {"bhattacharyya": 1e-15, "jensen_shannon": 1e-15, "prob_l2": 1e-27}
SHIFT_BLIND = tuple(name for name in DISTANCES if name not in ("logit_mse", "cka"))


def population(seed=0, members=5, items=37, classes=4, dtype=np.float64):
    return np.random.default_rng(seed).normal(size=(members, items, classes)).astype(dtype)


def measured(logits, name, temperature=None, weights=None):
    """`distance_matrix` with labels and a temperature, whether or not the distance needs them."""
    members, items, classes = np.shape(logits)
    bound = distance(
        name,
        labels=LABELS[:items] % classes,
        temperature=TEMPERATURE[:members] if temperature is None else temperature,
    )
    return distance_matrix(logits, bound, weights)


def defined(logits, name, temperature=None, weights=None):
    members, items, classes = np.shape(logits)
    return by_definition.distances(
        logits,
        name,
        labels=LABELS[:items] % classes,
        temperature=TEMPERATURE[:members] if temperature is None else temperature,
        weights=weights,
    )


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("name", DISTANCES)
def test_matches_the_definition(name, dtype):
    logits = 3 * population(dtype=dtype)
    got = measured(logits, name)
    assert got.dtype == np.float64
    np.testing.assert_allclose(got, defined(logits, name), rtol=1e-9)
    np.testing.assert_array_equal(got, got.T)
    assert not got.diagonal().any()


@pytest.mark.parametrize("name", OVER_ITEMS)
def test_weights_match_the_definition(name):
    logits = population()
    weights = np.random.default_rng(1).uniform(size=37) * (np.arange(37) % 4 > 0)
    np.testing.assert_allclose(
        measured(logits, name, weights=weights), defined(logits, name, weights=weights), rtol=1e-9
    )


@pytest.mark.parametrize("name", ["bhattacharyya", "jensen_shannon"])
def test_divergences_need_no_repair(name, monkeypatch):
    """Without the repair of close pairs they agree up to cancellation."""
    monkeypatch.setattr(divergences, "_CLOSE", -1.0)
    logits = population()
    np.testing.assert_allclose(measured(logits, name), defined(logits, name), atol=1e-13)


@pytest.mark.parametrize("name", GRAMS)
def test_matrix_products_need_no_repair(name, monkeypatch):
    monkeypatch.setattr(grams, "_CLOSE", -1.0)
    logits = population()
    np.testing.assert_allclose(measured(logits, name), defined(logits, name), rtol=1e-12)


def test_matches_scipy():
    logits = population(items=50)
    flat = softmax(logits, axis=-1).reshape(5, -1)
    squared = {
        "jensen_shannon": squareform(pdist(flat, "jensenshannon")) ** 2,  # SciPy normalises
        "prob_l2": squareform(pdist(flat, "sqeuclidean")) / 50,
        "logit_mse": squareform(pdist(logits.reshape(5, -1), "sqeuclidean")) / 200,
        "disagreement": squareform(pdist(logits.argmax(-1), "hamming")),
    }
    for name, expected in squared.items():
        np.testing.assert_allclose(measured(logits, name), expected, rtol=1e-9)
    cosine = np.mean([squareform(pdist(x, "cosine")) for x in _centred(logits)], axis=0)
    np.testing.assert_allclose(measured(logits, "logit_cosine"), cosine, rtol=1e-9)
    one_item = softmax(logits[:, 0], axis=-1)
    assert measured(logits[:, :1], "jensen_shannon")[0, 1] == pytest.approx(
        scipy_jensenshannon(one_item[0], one_item[1]) ** 2, rel=1e-9
    )


def _centred(logits):
    return (logits - logits.mean(-1, keepdims=True)).transpose(1, 0, 2)


def test_hellinger_is_one_minus_the_affinity():
    logits = population()
    p = softmax(logits, axis=-1)
    affinity = np.sqrt(p[:, None] * p[None]).sum(-1).mean(-1)
    np.testing.assert_allclose(measured(logits, "hellinger"), 1 - affinity, atol=1e-12)


def test_several_at_once_are_those_one_by_one():
    logits = population()
    fractions = []
    got = distance_matrices(
        logits,
        [distance(name, labels=LABELS[:37], temperature=TEMPERATURE) for name in DISTANCES[::-1]],
        on_progress=fractions.append,
    )
    assert tuple(got) == DISTANCES[::-1]
    for name, squared in got.items():
        np.testing.assert_allclose(squared, measured(logits, name), rtol=1e-12)
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1
    twice = distance_matrices(logits, ["hellinger", "hellinger"])
    np.testing.assert_array_equal(twice["hellinger"], got["hellinger"])


@pytest.mark.parametrize("name", OVER_ITEMS)
@pytest.mark.parametrize("offset", [0.0, 1e4])
def test_nearly_identical_members_do_not_cancel(name, offset):
    """Two pairs of near twins, far apart, with an offset shared by all."""
    logits = population(items=60)
    rng = np.random.default_rng(1)
    logits[1] = logits[0] + 1e-5 * rng.normal(size=logits[0].shape)
    logits[2] *= 1e3
    logits[3] = logits[2] + 1e-3 * rng.normal(size=logits[2].shape)
    logits += offset * rng.normal(size=logits.shape[1:])
    same = np.full(5, 1.7)
    got, expected = (d(logits, name, same) for d in (measured, defined))
    np.testing.assert_allclose(got, expected, rtol=1e-6, atol=DEFINITION_ROUNDS.get(name, 0))


@pytest.mark.parametrize("temperature", [[1.0, 2.0, 4.0], [1.0, 1.0 + 1e-9, 3.0]])
def test_members_that_differ_by_temperature_alone(temperature):
    logits = np.multiply.outer(temperature, population(members=1, items=40)[0])
    got = measured(logits, "logit_mse_matched", np.array(temperature))
    np.testing.assert_allclose(got, 0, atol=1e-30)


@pytest.mark.parametrize("name", DISTANCES)
def test_identical_members_are_at_exactly_zero(name):
    logits = population(items=501, classes=10) + 100
    logits[3] = logits[1]
    got = measured(logits, name, np.ones(5))
    assert got[1, 3] == got[3, 1] == 0
    assert (got[0, 1:] > 0).all()
    weights = None if name == "cka" else np.random.default_rng(0).uniform(size=501)
    assert measured(logits, name, np.ones(5), weights)[1, 3] == 0
    twins = np.repeat(logits[:1], 7, axis=0)
    assert not measured(twins, name, np.full(7, 0.3)).any()


@pytest.mark.parametrize("name", OVER_ITEMS)
def test_confident_members(name):
    logits = np.full((3, 2, 3), -1e4)
    logits[0, :, 0] = logits[1, :, 1] = logits[2, :, 0] = 1e4
    got = distance_matrix(logits, distance(name, labels=[2, 2], temperature=np.ones(3)))
    far = {
        "logit_mse": 2 * 2e4**2 / 3,
        "logit_mse_centred": 2 * 2e4**2 / 3,
        "logit_mse_matched": 2 * 2e4**2 / 3,
        "logit_cosine": 1.5,
        "bhattacharyya": 30 * np.log(10),  # the floor
        "kl_symmetric": 4e4,
        "jensen_shannon": np.log(2),
        "prob_l2": 2.0,
    }.get(name, 1.0)
    np.testing.assert_allclose(got, far * np.array([[0, 1, 0], [1, 0, 1], [0, 1, 0]]))


@pytest.mark.parametrize("name", OVER_ITEMS)
def test_probabilities_within_1e_12_of_certainty(name):
    """Odds of 1e12 and 1e13, on the same class and on another: exact where naive sums are not."""
    sure, surer, other = np.log(1e12), np.log(1e13), np.log(1e12)
    logits = np.array([[[sure, 0, 0]], [[surer, 0, 0]], [[0, other, 0]]])
    got = distance_matrix(logits, distance(name, labels=[2], temperature=np.ones(3)))
    expected = by_definition.distances(logits, name, labels=[2])
    np.testing.assert_allclose(got, expected, rtol=1e-6, atol=DEFINITION_ROUNDS.get(name, 0))


def test_constant_logits_have_no_direction():
    logits = np.array([[[3.0, 3.0, 3.0]], [[0.1, 0.1, 0.1]], [[0.0, 1.0, 2.0]], [[2.0, 1.0, 0.0]]])
    expected = np.array([[0, 0, 0.5, 0.5], [0, 0, 0.5, 0.5], [0.5, 0.5, 0, 2], [0.5, 0.5, 2, 0]])
    np.testing.assert_allclose(distance_matrix(logits, "logit_cosine"), expected, atol=1e-15)
    assert not distance_matrix(logits[:2], "disagreement").any()  # of equal logits the first counts
    for name in set(SHIFT_BLIND) - {"error_disagreement"}:
        got = distance_matrix(logits, distance(name, temperature=np.ones(4)))
        assert got[0, 1] == pytest.approx(0, abs=1e-30)


def test_two_members_one_item():
    logits = np.array([[[0.0, 1.0]], [[2.0, 1.0]]])
    assert distance_matrix(logits, "logit_mse")[0, 1] == 2.0
    assert distance_matrix(logits, "logit_mse_centred")[0, 1] == 1.0
    assert distance_matrix(logits, "disagreement")[0, 1] == 1.0
    assert distance_matrix(logits, "logit_cosine")[0, 1] == pytest.approx(2)


def test_error_disagreement_counts_common_errors_alone():
    answers = np.array([[0, 1, 2, 2, 1], [0, 1, 2, 1, 0], [0, 2, 0, 1, 2]])
    logits = np.eye(3)[answers]
    labels = np.array(
        [0, 0, 0, 0, 0]
    )  # wrong together: 0-1 on 1, 2, 3; 0-2 on 1, 3, 4; 1-2 on 1, 3
    got = distance_matrix(logits, distance("error_disagreement", labels=labels))
    np.testing.assert_allclose(got[np.triu_indices(3, 1)], [1 / 3, 1, 1 / 2])
    with pytest.raises(UserError, match="members 0 and 1: there is no item that both"):
        distance_matrix(logits, distance("error_disagreement", labels=[0, 1, 2, 1, 1]))


@pytest.mark.parametrize("name", DISTANCES)
def test_blocks_agree_with_the_whole(name, monkeypatch):
    logits = population()
    logits[4] = logits[0] + 1e-6
    logits[4, 0, 0] += 1e-4
    whole = measured(logits, name)
    monkeypatch.setattr(cores, "BLOCK", 60)  # 3 items at a time
    monkeypatch.setattr(cores, "COLUMNS", 12)
    monkeypatch.setattr(divergences, "_VALUES", 12)
    monkeypatch.setattr(divergences, "_MEMBERS", 2)
    np.testing.assert_allclose(measured(logits, name), whole, rtol=1e-9)


@pytest.mark.parametrize("name", EUCLIDEAN)
def test_features_give_the_distance(name):
    logits = population()
    phi = features(logits, distance(name, temperature=TEMPERATURE))
    by_features = ((phi[:, None] - phi[None]) ** 2).sum(-1).mean(-1)
    np.testing.assert_allclose(by_features, measured(logits, name), rtol=1e-9)


def test_logits_on_disk(tmp_path):
    logits = population(dtype=np.float32)
    np.save(tmp_path / "logits.npy", logits)
    np.savez(tmp_path / "logits.npz", logits=logits, labels=np.zeros(37))
    expected = distance_matrix(logits, "hellinger")
    mapped = np.load(tmp_path / "logits.npy", mmap_mode="r")
    for source in (mapped, tmp_path / "logits.npy", str(tmp_path / "logits.npz")):
        np.testing.assert_array_equal(distance_matrix(source, "hellinger"), expected)


logit_arrays = arrays(
    np.float64, (4, 6, 3), elements=st.floats(-50, 50, allow_subnormal=False, width=32)
)
quick = settings(max_examples=25, deadline=None)


def test_shifts_of_an_item_are_not_seen():
    logits = population()
    shifts = 100 * population(seed=1, classes=1)
    for name in SHIFT_BLIND:
        np.testing.assert_allclose(
            measured(logits + shifts, name), measured(logits, name), rtol=1e-9
        )


@quick
@given(logit_arrays, arrays(np.float64, 4, elements=st.floats(0.1, 10)))
def test_scale_goes_with_the_temperature(logits, scale):
    before = measured(logits, "logit_mse_matched")
    after = measured(logits * scale[:, None, None], "logit_mse_matched", TEMPERATURE[:4] * scale)
    np.testing.assert_allclose(after, before, rtol=1e-9, atol=1e-20)


@quick
@given(logit_arrays, st.permutations(range(4)))
def test_axioms_and_order_of_members(logits, order):
    for name in OVER_ITEMS:
        if name == "error_disagreement":  # may well be undefined
            continue
        squared = measured(logits, name)
        assert (squared >= 0).all()
        assert not squared.diagonal().any()
        np.testing.assert_array_equal(squared, squared.T)
        if name in METRICS:
            root = np.sqrt(squared)
            detour = (root[:, :, None] + root[None]).min(axis=1)  # the shortest detour by a third
            assert (root <= detour * (1 + 1e-9) + 1e-12).all()
        permuted = measured(logits[order], name, TEMPERATURE[order])
        np.testing.assert_allclose(permuted, squared[np.ix_(order, order)], rtol=1e-7, atol=1e-20)


@quick
@given(logit_arrays, arrays(np.int64, 6, elements=st.integers(0, 3)).filter(np.any))
def test_weights_are_repeated_items(logits, weights):
    repeated = np.repeat(logits, weights, axis=1)
    for name in OVER_ITEMS:
        if name == "error_disagreement":
            continue
        expected = measured(repeated, name)
        one = measured(logits, name, weights=weights)
        many = reweighted_distances(
            logits, distance(name, temperature=TEMPERATURE[:4]), [weights, 2 * weights]
        )
        np.testing.assert_allclose(one, expected, rtol=1e-7, atol=1e-20)
        np.testing.assert_allclose(many, [expected, expected], rtol=1e-7, atol=1e-20)


def with_nan():
    logits = population()
    logits[2, 3, 1] = np.nan
    return logits


@pytest.mark.parametrize(
    ("logits", "arguments", "message"),
    [
        (with_nan(), {}, "1 of 148 values of member 2"),
        (np.full((2, 3, 4), np.inf), {}, "12 of 12 values of member 0"),
        (np.full((2, 3, 4), 1e200), {}, r"must not exceed 1e\+100"),
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
        (population(), {"name": "error_disagreement"}, "needs `labels`"),
        (population(), {"name": "error_disagreement", "labels": np.zeros(36, int)}, "37 whole"),
        (population(), {"name": "error_disagreement", "labels": np.zeros(37)}, "float64"),
        (population(), {"name": "error_disagreement", "labels": np.full(37, 4)}, "4 to 4"),
        (population(items=3), {"name": "cka"}, "at least 4 probe items; found 3"),
        (population(), {"name": "cka", "weights": np.ones(37)}, "not a mean over items"),
        (population(), {"weights": np.ones(36)}, r"shape \[37\]"),
        (population(), {"weights": -np.ones(37)}, "non-negative"),
        (population(), {"weights": np.full(37, np.nan)}, "finite"),
        (population(), {"weights": np.zeros(37)}, "all be zero"),
    ],
)
def test_mistakes_are_named(logits, arguments, message):
    with pytest.raises(UserError, match=message):
        weights = arguments.pop("weights", None)
        distance_matrix(logits, distance(**{"name": "logit_mse", **arguments}), weights)
