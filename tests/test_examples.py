"""Every example in a docstring runs: here those outside geometry and ensemble, which have theirs."""

import doctest
import importlib
from pathlib import Path

import pytest

import chromatic_descent

PACKAGE = Path(chromatic_descent.__file__).parent
WITH_EXAMPLES = sorted(
    ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
    for path in PACKAGE.rglob("*.py")
    if not {"geometry", "ensemble"} & set(path.relative_to(PACKAGE).parts)
    and ">>> " in path.read_text(encoding="utf-8")
)


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_examples(name):
    module = importlib.import_module(f"chromatic_descent.{name}")
    assert doctest.testmod(module).failed == 0
