import numpy as np
import pytest

from chromatic_descent import analysis
from chromatic_descent.analysis.answers import answers
from chromatic_descent.analysis.results import computed
from chromatic_descent.ensemble import log_softmax
from chromatic_descent.geometry import member_drivers
from chromatic_descent.probe_logits import Population
from tests.makers import QUICK, make_population


def test_class_accuracy_is_that_of_the_drivers():
    population = make_population(5, images=80)
    found = answers(population, {})["class_accuracy"]
    assert found.shape == (5, 4)
    table = member_drivers(population.logits, population.labels)
    for c in range(4):
        np.testing.assert_allclose(found[:, c], table[f"class accuracy: {c}"])


def test_confusion_modes_are_the_drivers_of_that_name():
    population = make_population(6, images=80)
    found = answers(population, {})["confusion"]
    table = member_drivers(population.logits, population.labels)
    for k in range(2):
        np.testing.assert_allclose(found["scores"][:, k], table[f"confusion: {k + 1}"])
        assert np.linalg.norm(found["modes"][k]) == pytest.approx(1)
    np.testing.assert_allclose(found["mean"].sum(axis=1), 1)
    assert 1 >= found["shares"][0] >= found["shares"][1] >= 0


def test_images_on_which_members_disagree_most_come_first():
    population = make_population(5, images=50)
    found = answers(population, {})["disputed"]
    answer = population.logits.argmax(axis=-1)
    pairs = [(i, j) for i in range(5) for j in range(i)]
    differing = np.array([[answer[i, n] != answer[j, n] for i, j in pairs] for n in range(50)])
    share = differing.mean(axis=1)
    np.testing.assert_allclose(found["disagreement"], np.sort(share)[::-1][: len(found)])
    np.testing.assert_allclose(found["disagreement"], share[found["image"]])
    np.testing.assert_array_equal(found["label"], population.labels[found["image"]])
    np.testing.assert_array_equal(found["index"], population.indices[found["image"]])


def test_an_axis_is_made_of_the_images_that_its_ends_answer_differently():
    rng = np.random.default_rng(0)
    labels = rng.integers(3, size=40)
    place = np.linspace(-1, 1, 8)
    logits = np.zeros((8, 40, 3))
    right = np.eye(3)[labels]
    logits[:, 7] += 3 * place[:, None] * right[7]  # the + end (or −: a sign is arbitrary) is right
    logits[:, 11] -= 3 * place[:, None] * right[11]
    logits += 0.01 * rng.normal(size=logits.shape)
    population = Population(
        logits=logits.astype(np.float32),
        labels=labels,
        indices=np.arange(40) + 100,
        records=make_population(8).records,
    )
    results = analysis.analyse(population, **QUICK).results
    ends = results["answers"]["axis_ends"]["hellinger"]
    first = ends[ends["axis"] == 1]
    tops = {end: first[first["end"] == end].iloc[0] for end in ("+", "-")}
    x = results["maps"]["hellinger"]["coordinates"][:, 0]
    up = np.corrcoef(x, place)[0, 1] > 0
    assert tops["+"]["image"] == (7 if up else 11)
    assert tops["-"]["image"] == (11 if up else 7)
    assert tops["+"]["index"] == tops["+"]["image"] + 100
    p = np.exp(log_softmax(logits))[:, 7, labels[7]]
    slope = np.polyfit(x, p, 1)[0]
    assert tops["+" if up else "-"]["slope"] == pytest.approx(slope, rel=1e-3)


@pytest.mark.parametrize("members", [1, 2])
def test_few_members(members):
    found = analysis.analyse(make_population(members), **QUICK).results["answers"]
    assert computed(found["disputed"]) == (members > 1)
    assert found["class_accuracy"].shape == (members, 4)
    assert len(found["confusion"]["modes"]) == min(members - 1, 2)


def test_a_class_without_images_has_no_accuracy_and_many_classes_no_matrix():
    population = make_population(3)
    population.labels[:] = 0
    found = answers(population, {})
    assert np.isnan(found["class_accuracy"][:, 1:]).all()
    assert np.isfinite(found["class_accuracy"][:, 0]).all()
    wide = make_population(3, classes=4)
    wide = Population(
        logits=np.repeat(wide.logits, 30, axis=2),
        labels=wide.labels,
        indices=wide.indices,
        records=wide.records,
    )
    assert "at most 100 classes" in answers(wide, {})["confusion"]["not_computed"]
