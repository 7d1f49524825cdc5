import numpy as np
import pytest

from chromatic_descent.analysis.per_class import score_classes
from chromatic_descent.geometry import member_drivers
from chromatic_descent.probe_logits import Population
from tests.makers import make_population


def test_class_accuracy_is_that_of_the_drivers():
    population = make_population(5, images=80)
    result = score_classes(population).class_accuracy
    assert result.shape == (5, 4)
    table = member_drivers(population.logits, population.labels)
    for c in range(4):
        np.testing.assert_allclose(result[:, c], table[f"class accuracy: {c}"])


def test_confusion_modes_are_the_drivers_of_that_name():
    population = make_population(6, images=80)
    result = score_classes(population).confusion
    table = member_drivers(population.logits, population.labels)
    for k in range(2):
        np.testing.assert_allclose(result.scores[:, k], table[f"confusion: {k + 1}"])
        assert np.linalg.norm(result.modes[k]) == pytest.approx(1)
    np.testing.assert_allclose(result.mean.sum(axis=1), 1)
    assert 1 >= result.shares[0] >= result.shares[1] >= 0


@pytest.mark.parametrize("members", [1, 2])
def test_few_members(members):
    result = score_classes(make_population(members))
    assert result.class_accuracy.shape == (members, 4)
    assert len(result.confusion.modes) == min(members - 1, 2)


def test_a_class_without_images_has_no_accuracy_and_many_classes_no_matrix():
    population = make_population(3)
    population.labels[:] = 0
    result = score_classes(population)
    assert np.isnan(result.class_accuracy[:, 1:]).all()
    assert np.isfinite(result.class_accuracy[:, 0]).all()
    wide = make_population(3, classes=4)
    wide = Population(
        logits=np.repeat(wide.logits, 30, axis=2),
        labels=wide.labels,
        indices=wide.indices,
        records=wide.records,
    )
    assert "at most 100 classes" in score_classes(wide).confusion.reason
