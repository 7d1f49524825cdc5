"""Every example in a docstring runs, and gives what it says."""

import doctest
import importlib
import pkgutil

import pytest

from chromatic_descent import geometry

MODULES = sorted(module.name for module in pkgutil.iter_modules(geometry.__path__))


@pytest.mark.parametrize("name", MODULES)
def test_examples(name):
    # By its full name: functions such as `inpca` stand before modules of the same name.
    module = importlib.import_module(f"{geometry.__name__}.{name}")
    assert doctest.testmod(module).failed == 0
