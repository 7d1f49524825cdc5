"""Every example in a docstring runs, and gives what it says."""

import doctest
import importlib
from pathlib import Path

import pytest

from chromatic_descent import ensemble

NAMES = sorted(Path(ensemble.__file__).parent.glob("[a-z]*.py"))


@pytest.mark.parametrize("name", [path.stem for path in NAMES])
def test_examples(name):
    module = importlib.import_module(f"chromatic_descent.ensemble.{name}")
    assert doctest.testmod(module).failed == 0
