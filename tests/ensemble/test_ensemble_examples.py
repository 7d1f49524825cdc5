"""Every example in a docstring runs, and gives what it says."""

import doctest
import importlib

import pytest

NAMES = (
    "calibration combine curves decomposition diversity gain metrics paired selection uncertainty"
)


@pytest.mark.parametrize("name", NAMES.split())
def test_examples(name):
    module = importlib.import_module(f"chromatic_descent.ensemble.{name}")
    assert doctest.testmod(module).failed == 0
