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
    within_class_shuffles,
)
from chromatic_descent.geometry.nulls import shuffles, testing

NAMES = EUCLIDEAN


def independent(seed=0, members=6, items=60, classes=4, noise=1.0):
    """Members who err independently: each item has its own mean and its own spread."""
    rng = np.random.default_rng(seed)
    spread = noise * rng.gamma(2.0, size=(items, 1))
    return 2 * rng.normal(size=(items, classes)) + spread * rng.normal(
        size=(members, items, classes)
    )


def labels(items=60, classes=4):
    return np.arange(items) % classes


def matched(members=6):
    return np.linspace(0.8, 1.3, members)


def share(logits, name, temperature=None, dimensions=2):
    phi = features(logits, distance(name, temperature=temperature))
    squared = ((phi[:, None] - phi) ** 2).sum(-1).mean(-1)
    return classical_mds(squared, dimensions).explained[-1]


def dealt_by_hand(logits, rng):
    shuffled = np.empty_like(logits)
    for n in range(logits.shape[1]):
        shuffled[:, n] = logits[rng.permutation(len(logits)), n]
    return shuffled


def within_by_hand(logits, rng, labels):
    shuffled = np.empty_like(logits)
    for i in range(len(logits)):
        for label in np.unique(labels):
            of_class = np.flatnonzero(labels == label)
            shuffled[i, of_class] = logits[i, rng.permutation(of_class)]
    return shuffled


@pytest.mark.parametrize("name", NAMES)
def test_observed_is_the_share_of_classical_mds(name):
    logits = independent()
    for test in (
        independent_errors(logits, distance(name, temperature=matched()), draws=3, dimensions=3),
        within_class_shuffles(
            logits, labels(), distance(name, temperature=matched()), draws=3, dimensions=3
        ),
    ):
        assert test.observed == pytest.approx(share(logits, name, matched(), 3))
        assert test.null.shape == (3,)
        assert test.p_value == (1 + np.sum(test.null >= test.observed * (1 - 1e-5))) / 4


@pytest.mark.parametrize("name", NAMES)
def test_draws_are_distributed_as_shuffles_by_hand(name):
    rng, logits, draws = np.random.default_rng(1), independent(members=5, items=30), 600
    logits *= np.linspace(0.5, 2, 5)[:, None, None]
    logits[:, ::4, 0] += np.linspace(-3, 3, 5)[:, None]
    temperature, y = matched(5), labels(30)
    by_hand = {
        "dealt": lambda: dealt_by_hand(logits / temperature[:, None, None], rng),
        "within": lambda: within_by_hand(logits, rng, y),
    }
    if name != "logit_mse_matched":
        by_hand["dealt"] = lambda: dealt_by_hand(logits, rng)
    one = np.ones(5) if name == "logit_mse_matched" else temperature  # already divided by
    slow = {
        "dealt": [share(by_hand["dealt"](), name, one) for _ in range(draws)],
        "within": [share(by_hand["within"](), name, temperature) for _ in range(draws)],
    }
    bound = distance(name, temperature=temperature)
    fast = {
        "dealt": independent_errors(logits, bound, draws=draws),
        "within": within_class_shuffles(logits, y, bound, draws=draws),
    }
    for key, test in fast.items():
        assert ks_2samp(test.null, slow[key]).pvalue > 0.005, key


def test_batches_and_blocks_do_not_matter(monkeypatch):
    """With one block of items the random numbers are the same in batches of draws."""
    logits = independent(items=20)
    whole = independent_errors(logits, "hellinger", draws=9)
    monkeypatch.setattr(shuffles, "_BATCH", 4 * 36)  # 4 draws at a time
    again = independent_errors(logits, "hellinger", draws=9)
    np.testing.assert_allclose(again.null, whole.null, rtol=1e-5)
    monkeypatch.setattr(testing, "SHUFFLED", 6 * 4 * 7)  # 7 items at a time: other draws
    again = independent_errors(logits, "hellinger", draws=300)
    monkeypatch.undo()
    other = independent_errors(logits, "hellinger", draws=300, seed=1)
    assert ks_2samp(again.null, other.null).pvalue > 0.005


def test_within_class_batches_do_not_matter(monkeypatch):
    logits = independent(items=20)
    whole = within_class_shuffles(logits, labels(20), "hellinger", draws=9)
    monkeypatch.setattr(shuffles, "_BATCH", 4 * 36)
    again = within_class_shuffles(logits, labels(20), "hellinger", draws=9)
    assert ks_2samp(again.null, whole.null).pvalue > 0.005


def test_many_classes_take_the_short_way(monkeypatch):
    """With C ≥ 2S each item's features are rotated into S dimensions: the same Gram matrices."""
    logits = independent(items=15, classes=30)
    short = independent_errors(logits, "hellinger", draws=20)
    monkeypatch.setattr(shuffles, "_fewer_columns", lambda phi: phi)
    np.testing.assert_allclose(
        independent_errors(logits, "hellinger", draws=20).null, short.null, rtol=1e-5
    )


def test_dealing_out_one_item_only_renames_members():
    logits = independent(items=1)
    assert independent_errors(logits, "logit_mse", draws=20).p_value == 1
    with pytest.raises(UserError, match="single probe item"):
        within_class_shuffles(logits, [0], "logit_mse")


def test_an_offset_of_all_members_does_not_drown_the_float32():
    """1e6 shared by all: far above what float32 keeps of differences of 1e-3."""
    logits = 1e-3 * independent(items=40)
    moved = logits + 1e6
    for name in ("logit_mse", "logit_mse_centred"):
        plain = independent_errors(logits, name, draws=50)
        far = independent_errors(moved, name, draws=50)
        np.testing.assert_allclose(far.null, plain.null, rtol=1e-3)
        plain = within_class_shuffles(logits, labels(40), name, draws=50)
        far = within_class_shuffles(moved, labels(40), name, draws=50)
        np.testing.assert_allclose(far.null, plain.null, rtol=1e-3)


@pytest.mark.parametrize("name", ["logit_mse_centred", "hellinger", "prob_l2"])
def test_nearly_certain_members_do_not_vanish_in_float32(name):
    """Probabilities within e^-100 of 0 and 1: squares far below what float32 holds."""
    y = labels()
    logits = independent() + 100 * np.eye(4)[y]
    for test in (
        independent_errors(logits, name, draws=20),
        within_class_shuffles(logits, y, name, draws=20),
    ):
        assert np.isfinite(test.null).all()
        assert (test.null < 1).all()


def test_confident_members():
    logits = 1e3 * independent()
    for test in (
        independent_errors(logits, "hellinger", draws=20),
        within_class_shuffles(logits, labels(), "hellinger", draws=20),
    ):
        assert np.isfinite(test.null).all()


def test_the_same_seed_gives_the_same_draws():
    logits = independent()
    one, again, other = (
        independent_errors(logits, "hellinger", seed=s, draws=5) for s in (1, 1, 2)
    )
    np.testing.assert_array_equal(one.null, again.null)
    assert not np.array_equal(one.null, other.null)


def planted(members=8, items=200, classes=5, strength=0.5, seed=0):
    """Independent errors, and two directions that run through all items."""
    rng = np.random.default_rng(seed)
    logits = independent(seed, members, items, classes, noise=0.5)
    place = rng.normal(size=(members, 2))
    directions = rng.normal(size=(2, items, classes))
    return logits + strength * np.einsum("sk,knc->snc", place, directions)


@pytest.mark.parametrize("name", ["logit_mse_centred", "hellinger"])
def test_both_find_a_planted_plane(name):
    logits = planted()
    for test in (
        independent_errors(logits, name, draws=99),
        within_class_shuffles(logits, labels(200, 5), name, draws=99),
    ):
        assert test.p_value == 0.01
        assert test.effect > 5
        assert test.hypothesis


def test_confusions_alone_are_let_through_by_shuffles_within_classes():
    """Members whose logits depend only on the class of an item."""
    rng = np.random.default_rng(0)
    y = labels(400, 4)
    per_class = rng.normal(size=(8, 4, 4))
    logits = per_class[:, y] + rng.normal(size=(8, 400, 4))
    assert independent_errors(logits, "logit_mse", draws=99).p_value == 0.01
    assert within_class_shuffles(logits, y, "logit_mse", draws=99).p_value > 0.05


def test_size_of_each_under_its_own_hypothesis():
    """At 5%, of 200 small studies: between 1% and 10% (3 SD either way); see benchmarks/."""
    rejected = np.zeros(2)
    for study in range(200):
        rng, logits, y = np.random.default_rng(study), independent(study, items=40), labels(40)
        per_class = rng.normal(size=(6, 4, 4))[:, y] + rng.normal(size=(6, 40, 4))
        tests = (
            independent_errors(logits, "hellinger", draws=19, seed=study),
            within_class_shuffles(per_class, y, "logit_mse", draws=19, seed=study),
        )
        rejected += [test.p_value <= 0.05 for test in tests]
    assert ((rejected >= 2) & (rejected <= 20)).all(), rejected


@pytest.mark.parametrize(
    ("logits", "name", "arguments", "message"),
    [
        (independent(members=3), "hellinger", {}, "at least 4 members; found 3"),
        (independent(), "hellinger", {"dimensions": 5}, "from 1 to 4"),
        (independent(), "hellinger", {"draws": 0}, "draws must be at least 1"),
        (independent(), "logit_mse_matched", {}, "fit_temperature"),
        (independent(), "nonsense", {}, "nonsense"),
        (np.repeat(independent()[:1], 6, axis=0), "hellinger", {}, "identical"),
        (independent() * np.nan, "hellinger", {}, "NaN or infinite"),
        (independent()[0], "hellinger", {}, "shape"),
    ],
)
@pytest.mark.parametrize("rung", [3, 4])
def test_mistakes_are_named(rung, logits, name, arguments, message):
    with pytest.raises(UserError, match=message):
        if rung == 3:
            independent_errors(logits, name, **arguments)
        else:
            within_class_shuffles(logits, labels(), name, **arguments)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (labels(59), r"60 whole numbers.* found shape \[59\]"),
        (labels() * 1.0, "of dtype float64"),
        (np.arange(60), "single probe item"),
    ],
)
def test_labels_that_do_not_fit(y, message):
    with pytest.raises(UserError, match=message):
        within_class_shuffles(independent(), y, "hellinger")


def test_an_absent_class_and_one_with_a_single_item_are_no_trouble():
    y = labels()
    y[y == 2] = 3
    y[0] = 7
    assert np.isfinite(within_class_shuffles(independent(), y, "hellinger", draws=5).null).all()
