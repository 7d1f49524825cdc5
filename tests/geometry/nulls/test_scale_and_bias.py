import dataclasses

import numpy as np
import pytest
from scipy.stats import ks_2samp

from chromatic_descent.errors import UserError
from chromatic_descent.geometry import (
    EUCLIDEAN,
    classical_mds,
    distance,
    features,
    independent_errors,
    temperature_and_bias,
)
from chromatic_descent.geometry.nulls import testing

NAMES = EUCLIDEAN


def independent(seed=0, members=6, items=60, classes=4, noise=1.0):
    """Members who err independently: each item has its own mean and its own spread."""
    rng = np.random.default_rng(seed)
    spread = noise * rng.gamma(2.0, 0.5, size=(items, 1))
    return 2 * rng.normal(size=(items, classes)) + spread * rng.normal(
        size=(members, items, classes)
    )


def tempered(seed=0, members=6, items=60, classes=4, noise=1.0):
    """The same with a temperature and a class bias for each member."""
    rng = np.random.default_rng(seed + 1000)
    scale = np.exp(0.3 * rng.normal(size=(members, 1, 1)))
    bias = 0.5 * rng.normal(size=(members, 1, classes))
    return scale * independent(seed, members, items, classes, noise) + bias


def temperatures(members=6):
    return np.linspace(0.8, 1.3, members)


def fitted(f, rounds=40):
    """s and F by alternating NumPy's least squares, b the means."""
    bias = f.mean(1, keepdims=True)
    scale = np.ones(len(f))
    for _ in range(rounds):
        shared = ((f - bias) / scale[:, None, None]).mean(0)
        slope = np.linalg.lstsq(shared.reshape(-1, 1), (f - bias).reshape(len(f), -1).T)[0][0]
        scale = np.sqrt(scale * slope / slope.mean())
    return scale[:, None, None], bias, shared


def refitted_by_hand(f, fit, rng):
    """One draw of the null, step by step as in the docstring."""
    members, items, classes = f.shape
    scale, bias, shared = fit
    left = (f - bias) / scale - shared
    dealt = np.stack([left[rng.permutation(members), n] for n in range(items)], axis=1)
    design = np.column_stack([shared.ravel(), np.tile(np.eye(classes), (items, 1))])
    solution = np.linalg.lstsq(design, dealt.reshape(members, -1).T)[0]
    again = dealt - (design @ solution).T.reshape(f.shape)
    again *= np.linalg.norm(left) / np.linalg.norm(again)
    return bias + scale * (shared + again)


def share(logits, name, temperature=None):
    phi = features(logits, distance(name, temperature=temperature))
    squared = ((phi[:, None] - phi) ** 2).sum(-1).mean(-1)
    return classical_mds(squared).explained[-1]


@pytest.mark.parametrize("name", NAMES)
def test_draws_are_distributed_as_shuffles_by_hand(name):
    rng, logits, temperature = (
        np.random.default_rng(1),
        tempered(members=5, items=30),
        temperatures(5),
    )
    f = logits if name == "logit_mse" else logits - logits.mean(-1, keepdims=True)
    fit = fitted(f)
    fast = temperature_and_bias(logits, distance(name, temperature=temperature), draws=400)
    slow = [share(refitted_by_hand(f, fit, rng), name, temperature) for _ in range(400)]
    assert ks_2samp(fast.null, slow).pvalue > 0.005
    assert fast.observed == pytest.approx(share(logits, name, temperature))
    assert fast.p_value == (1 + np.sum(fast.null >= fast.observed * (1 - 1e-5))) / 401


@pytest.mark.parametrize("name", ["logit_mse_centred", "logit_mse_matched"])
def test_the_short_way_for_logits_is_the_long_way(name):
    logits, bound = tempered(), distance(name, temperature=temperatures())
    short = temperature_and_bias(logits, bound, draws=20)
    slow = dataclasses.replace(bound, of_logits=False, divisor=logits.shape[-1])
    long = temperature_and_bias(logits, slow, draws=20)
    np.testing.assert_allclose(long.null, short.null, rtol=1e-4)


@pytest.mark.parametrize("name", ["logit_mse", "hellinger"])
def test_blocks_do_not_matter(name, monkeypatch):
    logits = tempered()
    whole = temperature_and_bias(logits, name, draws=20)
    monkeypatch.setattr(testing, "SHUFFLED", 6 * 4 * 7)  # 7 items at a time
    np.testing.assert_allclose(
        temperature_and_bias(logits, name, draws=20).null, whole.null, rtol=1e-4
    )


@pytest.mark.parametrize("name", ["logit_mse", "logit_mse_centred", "hellinger"])
def test_temperature_and_bias_alone_are_let_through(name):
    logits = tempered(1, members=8, items=300, noise=0.3)
    assert independent_errors(logits, name, draws=99).p_value == 0.01
    assert temperature_and_bias(logits, name, draws=99).p_value > 0.05


@pytest.mark.parametrize("name", ["logit_mse_centred", "hellinger"])
def test_finds_a_plane_beside_temperature_and_bias(name):
    rng = np.random.default_rng(0)
    places, directions = rng.normal(size=(8, 2)), rng.normal(size=(2, 200, 4))
    logits = tempered(members=8, items=200, noise=0.5)
    logits += 0.5 * np.einsum("sk,knc->snc", places, directions)
    test = temperature_and_bias(logits, name, draws=99)
    assert test.p_value == 0.01
    assert test.effect > 5
    assert test.hypothesis


def test_size_under_its_own_hypothesis():
    """At 5%, of 200 small studies: between 1% and 10% (3 SD either way); see benchmarks/."""
    rejected = 0
    for study in range(200):
        logits = tempered(study, items=80)
        test = temperature_and_bias(logits, "logit_mse_centred", draws=19, seed=study)
        rejected += test.p_value <= 0.05
    assert 2 <= rejected <= 20, rejected


def test_confident_members_and_a_far_offset():
    assert np.isfinite(temperature_and_bias(1e3 * tempered(), "hellinger", draws=20).null).all()
    logits = 1e-3 * tempered(items=40)
    plain = temperature_and_bias(logits, "logit_mse", draws=50)
    far = temperature_and_bias(logits + 1e6, "logit_mse", draws=50)
    np.testing.assert_allclose(far.null, plain.null, rtol=1e-3)


@pytest.mark.parametrize("name", ["logit_mse_centred", "hellinger", "prob_l2"])
def test_nearly_certain_members_do_not_vanish_in_float32(name):
    """Probabilities within e^-100 of 0 and 1: squares far below what float32 holds."""
    logits = tempered() + 100 * np.eye(4)[np.arange(60) % 4]
    test = temperature_and_bias(logits, name, draws=20)
    assert np.isfinite(test.null).all()
    assert (test.null < 1).all()


@pytest.mark.parametrize("name", ["logit_mse_centred", "hellinger"])
def test_near_twins_are_not_drowned_by_what_they_share(name):
    """Members who differ by 1e-9 of their logits: the null is that of the same differences."""
    shared, own = independent(noise=0), independent(noise=1.0) - independent(noise=0)
    near = temperature_and_bias(shared + 1e-9 * own, name, draws=200)
    nearer = temperature_and_bias(shared + 1e-7 * own, name, draws=200)
    np.testing.assert_allclose(near.null, nearer.null, rtol=1e-3)
    assert near.observed == pytest.approx(nearer.observed, rel=1e-3)


def test_scaled_versions_of_one_member():
    logits = independent(noise=0) * np.linspace(0.5, 2, 6)[:, None, None]
    for name in ("logit_mse_centred", "hellinger"):
        assert temperature_and_bias(logits, name, draws=20).p_value == 1


def test_the_same_seed_gives_the_same_draws():
    one, again, other = (
        temperature_and_bias(tempered(), "hellinger", seed=s, draws=5) for s in (1, 1, 2)
    )
    np.testing.assert_array_equal(one.null, again.null)
    assert not np.array_equal(one.null, other.null)


def collapsed():
    logits = tempered()
    logits[4] = 1.0
    return logits


@pytest.mark.parametrize(
    ("logits", "name", "arguments", "message"),
    [
        (tempered(members=3), "hellinger", {}, "at least 4 members; found 3"),
        (tempered(), "hellinger", {"dimensions": 5}, "from 1 to 4"),
        (tempered(), "hellinger", {"draws": 0}, "draws must be at least 1"),
        (tempered(), "logit_mse_matched", {}, "fit_temperature"),
        (tempered(), "nonsense", {}, "nonsense"),
        (np.repeat(tempered()[:1], 6, axis=0), "hellinger", {}, "identical"),
        (tempered() * np.nan, "hellinger", {}, "NaN or infinite"),
        (collapsed(), "hellinger", {}, "member 4 is not a scaled version"),
        (tempered(items=1), "logit_mse", {}, "gives all probe items the same logits"),
        (
            np.tile(np.arange(6.0)[:, None, None] * np.eye(4)[0], (1, 9, 1)),
            "logit_mse",
            {},
            "gives all probe items the same logits",
        ),
    ],
)
def test_mistakes_are_named(logits, name, arguments, message):
    with pytest.raises(UserError, match=message):
        temperature_and_bias(logits, name, **arguments)
