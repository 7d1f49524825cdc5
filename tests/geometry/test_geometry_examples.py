"""Every example in a docstring runs, and gives the result shown."""

import doctest
import importlib
import pkgutil

import pytest

from chromatic_descent import geometry

MODULES = sorted(
    module.name for module in pkgutil.walk_packages(geometry.__path__, f"{geometry.__name__}.")
)


@pytest.mark.parametrize("name", MODULES)
def test_examples(name):
    module = importlib.import_module(name)
    assert doctest.testmod(module).failed == 0
