import dataclasses
from pathlib import Path

import numpy as np
import pytest

from chromatic_descent.errors import UserError
from chromatic_descent.geometry import (
    DISTANCES,
    EUCLIDEAN,
    Distance,
    bootstrap_layouts,
    distance,
    distance_matrices,
    distance_matrix,
    features,
    independent_errors,
    null_spectra,
    reweighted_distances,
    temperature_and_bias,
    title_of,
)
from chromatic_descent.geometry.distances.by_name import distance_table

METHODS = Path(__file__).parents[3] / "docs" / "methods.md"

# Adding a distance takes one entry: its name, its description, and its features along an axis.
GAPS = Distance.of_features(
    name="gaps",
    title="gaps",
    formula="Σ_c (f_ic − f_i,c+1 − f_jc + f_j,c+1)²",
    features=lambda f, axis: np.diff(f, axis=axis),
)


def population(members=6, items=40, classes=4):
    return np.random.default_rng(0).normal(size=(members, items, classes))


def test_the_methods_have_the_table_of_all_distances():
    assert distance_table() in METHODS.read_text(encoding="utf-8")


def test_everything_is_said_of_every_distance():
    for name in DISTANCES:
        known = distance(name)
        assert known.name == name
        assert known.title == title_of(name)
        assert all((known.formula, known.blind_to, known.unit))
        assert known.euclidean == (name in EUCLIDEAN)
    assert title_of("soft.two_classes") == "soft.two classes"


def test_a_new_distance_is_one_entry():
    logits, weights = population(), np.ones((2, 40))
    phi = np.diff(logits, axis=-1)
    expected = np.square(phi[:, None] - phi).sum(-1).mean(-1)
    np.testing.assert_array_equal(features(logits, GAPS), phi)
    np.testing.assert_allclose(distance_matrix(logits, GAPS), expected, rtol=1e-12, atol=1e-12)
    together = distance_matrices(logits, ["logit_mse", GAPS, "hellinger"])
    np.testing.assert_allclose(together["gaps"], expected, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(reweighted_distances(logits, GAPS, weights)[1], expected)
    assert bootstrap_layouts(logits, GAPS, resamples=3).layouts.shape == (3, 6, 2)
    assert sorted(null_spectra(logits, GAPS, draws=3)) == ["independent_errors", "isotropic"]
    assert independent_errors(logits, GAPS, draws=9).p_value > 0.05
    alike = logits[0] + 0.1 * logits
    assert np.isfinite(temperature_and_bias(alike, GAPS, draws=3).null).all()


def test_what_is_not_needed_is_ignored():
    bound = distance("hellinger", labels="none", temperature=np.zeros(3))
    assert bound.labels is None
    assert bound.temperature is None


def test_binding_anew_keeps_what_is_not_given():
    bound = distance("logit_mse_matched", temperature=np.arange(1, 7))
    assert distance(bound).temperature is bound.temperature
    np.testing.assert_array_equal(bound.of_members(np.array([4, 0])).temperature, [5, 1])
    np.testing.assert_array_equal(distance(bound, temperature=np.ones(6)).temperature, np.ones(6))


def test_a_distance_that_lacks_what_it_needs_says_so():
    with pytest.raises(UserError, match=r"logit_mse_matched needs `temperature`.*fit_temperature"):
        distance_matrix(population(), distance("logit_mse_matched"))
    with pytest.raises(UserError, match="error_disagreement needs `labels`"):
        distance_matrix(population(), distance("error_disagreement"))
    with pytest.raises(UserError, match="found 'euclid'"):
        distance("euclid")


def test_degrees_are_those_of_the_features():
    assert distance("logit_mse").degrees(10) == 10
    assert distance("hellinger").degrees(10) == 9
    assert dataclasses.replace(GAPS, width=3).degrees(10) == 3
