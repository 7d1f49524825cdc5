import numpy as np
import pytest

from chromatic_descent import analysis
from chromatic_descent.analysis import Each, computed
from chromatic_descent.analysis.per_image import pick_images
from chromatic_descent.ensemble import log_softmax
from chromatic_descent.probe_logits import Population
from tests.makers import QUICK, make_population


def test_images_on_which_members_disagree_most_come_first():
    population = make_population(5, images=50)
    result = pick_images(population, Each({}))
    disputed = result.disputed
    answer = population.logits.argmax(axis=-1)
    pairs = [(i, j) for i in range(5) for j in range(i)]
    differing = np.array([[answer[i, n] != answer[j, n] for i, j in pairs] for n in range(50)])
    share = differing.mean(axis=1)
    np.testing.assert_allclose(disputed["disagreement"], np.sort(share)[::-1][: len(disputed)])
    np.testing.assert_allclose(disputed["disagreement"], share[disputed["image"]])
    np.testing.assert_array_equal(disputed["label"], population.labels[disputed["image"]])
    np.testing.assert_array_equal(disputed["index"], population.indices[disputed["image"]])
    assert result.images.tolist() == sorted(disputed["image"])
    for image in result.images:
        np.testing.assert_array_equal(result.predicted_for(image), answer[:, image])


def test_an_axis_is_made_of_the_images_that_its_ends_answer_differently():
    rng = np.random.default_rng(0)
    labels = rng.integers(3, size=40)
    position = np.linspace(-1, 1, 8)
    logits = np.zeros((8, 40, 3))
    right = np.eye(3)[labels]
    logits[:, 7] += (
        3 * position[:, None] * right[7]
    )  # the + end (or −: a sign is arbitrary) is right
    logits[:, 11] -= 3 * position[:, None] * right[11]
    logits += 0.01 * rng.normal(size=logits.shape)
    population = Population(
        logits=logits.astype(np.float32),
        labels=labels,
        indices=np.arange(40) + 100,
        records=make_population(8).records,
    )
    result = analysis.analyse(population, **QUICK)
    ends = result.per_image.axis_ends["hellinger"]
    first = ends[ends["axis"] == 1]
    tops = {end: first[first["end"] == end].iloc[0] for end in ("+", "-")}
    x = result.maps["hellinger"].coordinates[:, 0]
    up = np.corrcoef(x, position)[0, 1] > 0
    assert tops["+"]["image"] == (7 if up else 11)
    assert tops["-"]["image"] == (11 if up else 7)
    assert tops["+"]["index"] == tops["+"]["image"] + 100
    p = np.exp(log_softmax(logits))[:, 7, labels[7]]
    slope = np.polyfit(x, p, 1)[0]
    assert tops["+" if up else "-"]["slope"] == pytest.approx(slope, rel=1e-3)
    picked = {image for table in result.per_image.axis_ends.values() for image in table["image"]}
    assert picked <= set(result.per_image.images)


@pytest.mark.parametrize("members", [1, 2])
def test_few_members(members):
    result = analysis.analyse(make_population(members), **QUICK).per_image
    assert computed(result.disputed) == (members > 1)
    assert result.predicted.shape == (members, len(result.images))
