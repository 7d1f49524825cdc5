"""Every example in a docstring runs, and gives what it says."""

import doctest

import pytest

from chromatic_descent.geometry import (
    alignment,
    definitions,
    distances,
    embeddings,
    items,
    logits,
    nulls,
    stability,
)


@pytest.mark.parametrize(
    "module", [alignment, definitions, distances, embeddings, items, logits, nulls, stability]
)
def test_examples(module):
    assert doctest.testmod(module).failed == 0
