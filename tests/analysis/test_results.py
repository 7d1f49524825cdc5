import numpy as np
import pytest

from chromatic_descent.analysis.results import (
    Each,
    Interval,
    NotComputed,
    attempt,
    computed,
    for_each,
)
from chromatic_descent.errors import UserError


def fails(members):
    raise UserError(f"needs 4 members; found {members}")


def test_a_result_that_cannot_be_computed_has_a_reason():
    result = attempt(fails, 3)
    assert result == NotComputed("needs 4 members; found 3")
    assert not computed(result)
    assert attempt(lambda: 7) == 7
    assert computed(7)
    with pytest.raises(ZeroDivisionError):  # a fault of the code is not hidden
        attempt(lambda: 1 / 0)


def test_results_by_name():
    each = Each({"a": 7, "b": NotComputed("too few")})
    assert (each["a"], list(each), len(each)) == (7, ["a", "b"], 2)
    assert each.computed() == {"a": 7}
    assert each.reasons() == {"b": "too few"}
    assert each.find("a") == 7
    assert each.find("c", "unknown") == NotComputed("unknown")
    assert each == {"a": 7, "b": NotComputed("too few")}


def test_each_name_is_tried_by_itself():
    results = for_each(["x", "yy"], lambda name: fails(1) if name == "x" else len(name))
    assert results == {"x": NotComputed("needs 4 members; found 1"), "yy": 2}


def test_the_central_95_percent():
    result = Interval.of(np.arange(41.0))
    assert (result.mean, result.low, result.high) == (20, 1, 39)
