import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import orthogonal_procrustes
from scipy.spatial import procrustes as scipy_procrustes

from chromatic_descent.errors import UserError
from chromatic_descent.geometry import procrustes


def layout(seed, members=10, dimensions=2):
    return np.random.default_rng(seed).normal(size=(members, dimensions))


@pytest.mark.parametrize("dimensions", [1, 2, 3])
def test_matches_scipy(dimensions):
    x, y = layout(0, dimensions=dimensions), layout(1, dimensions=dimensions)
    fit = procrustes(x, y)
    standard_x, standard_y, m2 = scipy_procrustes(x, y)
    assert fit.m2 == pytest.approx(m2, rel=1e-9)
    size = np.linalg.norm(x - x.mean(0))
    np.testing.assert_allclose(standard_x * size + x.mean(0), x, atol=1e-12)
    np.testing.assert_allclose(fit.layout, standard_y * size + x.mean(0), atol=1e-12)

    rotation, scale = orthogonal_procrustes(y - y.mean(0), x - x.mean(0))
    centred = y - y.mean(0)
    expected = x.mean(0) + centred @ rotation * scale / (centred**2).sum()
    np.testing.assert_allclose(fit.layout, expected, atol=1e-12)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 100), st.floats(0, 2 * np.pi), st.floats(1e-3, 1e3), st.booleans())
def test_undoes_any_similarity(seed, angle, scale, mirrored):
    x = layout(seed)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    y = scale * (x @ turn * ([1, -1] if mirrored else [1, 1])) + [3.0, -7.0]
    fit = procrustes(x, y)
    np.testing.assert_allclose(fit.layout, x, atol=1e-9)
    assert fit.correlation == pytest.approx(1, abs=1e-9)
    assert 0 <= fit.m2 < 1e-9


def test_correlation_is_symmetric_and_below_one():
    x, y = layout(0), layout(1)
    there, back = procrustes(x, y).correlation, procrustes(y, x).correlation
    assert there == pytest.approx(back)
    assert 0 < there < 1


def test_a_point_has_no_shape():
    x = layout(0)
    for reference, other in ((x, np.full((10, 2), 0.1)), (np.full((10, 2), 0.1), x)):
        fit = procrustes(reference, other)
        np.testing.assert_allclose(fit.layout, np.tile(reference.mean(0), (10, 1)))
        assert np.isnan(fit.correlation)
        assert np.isnan(fit.m2)


@pytest.mark.parametrize(
    ("reference", "other", "message"),
    [
        (layout(0), layout(1, members=9), r"found \[10, 2\] and \[9, 2\]"),
        (layout(0), layout(1, dimensions=3), r"found \[10, 2\] and \[10, 3\]"),
        (layout(0)[:, 0], layout(1), r"reference must .* found shape \[10\]"),
        (layout(0), layout(1) * np.nan, "layout must be a finite"),
    ],
)
def test_mistakes_are_named(reference, other, message):
    with pytest.raises(UserError, match=message):
        procrustes(reference, other)
