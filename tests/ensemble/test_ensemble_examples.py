"""Every example in a docstring runs, and gives what it says."""

import doctest

import pytest

from chromatic_descent.ensemble import calibration, combine, curves, metrics


@pytest.mark.parametrize("module", [calibration, combine, curves, metrics])
def test_examples(module):
    assert doctest.testmod(module).failed == 0
