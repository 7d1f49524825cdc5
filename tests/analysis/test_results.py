import json
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chromatic_descent.analysis import results
from chromatic_descent.errors import UserError

TREE = {
    "a": {"squared": np.arange(4.0).reshape(2, 2), "mean": np.float64(1.5), "list": [1, None, "x"]},
    "frame": pd.DataFrame({"member": ["p", "q"], "n": [1, 2], "x": [0.5, math.nan]}),
    "nothing": {},
}


def same(a, b):
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and np.array_equal(a, b)
    if isinstance(a, pd.DataFrame):
        return a.equals(b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    return a == b


def test_json_keeps_values_and_tables_and_leaves_arrays_out():
    assert json.loads(json.dumps(results.plain(TREE), allow_nan=False)) == {
        "a": {"mean": 1.5, "list": [1, None, "x"]},
        "frame": [{"member": "p", "n": 1, "x": 0.5}, {"member": "q", "n": 2, "x": None}],
        "nothing": {},
    }


def test_leaves_are_found_with_their_paths():
    assert [path for path, _ in results.leaves(TREE, np.ndarray)] == ["a/squared"]
    assert [path for path, _ in results.leaves(TREE, pd.DataFrame)] == ["frame"]


def test_what_is_saved_is_read_again_for_the_same_inputs_only(tmp_path):
    path = tmp_path / "cache" / "section.npz"
    assert results.load(path, "key") is None
    results.save(path, TREE, "key")
    assert same(results.load(path, "key"), TREE)
    assert results.load(path, "other") is None


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 half a file", b"\x80\x04pickle"])
def test_a_broken_file_is_only_computed_again(tmp_path, content):
    path = tmp_path / "section.npz"
    path.write_bytes(content)
    assert results.load(path, "key") is None


def test_what_cannot_be_computed_says_why():
    def fails(members):
        raise UserError(f"needs 4 members; found {members}")

    found = results.attempt(fails, 3)
    assert found == {"not_computed": "needs 4 members; found 3"}
    assert not results.computed(found)
    assert results.attempt(lambda: 7) == 7
    assert results.computed(7)
    with pytest.raises(ZeroDivisionError):  # a fault of the code is not hidden
        results.attempt(lambda: 1 / 0)


numbers = st.one_of(st.none(), st.integers(-9, 9), st.floats(allow_nan=False), st.text(max_size=3))


@given(st.recursive(numbers, lambda inner: st.dictionaries(st.text("ab/", max_size=2), inner)))
def test_any_plain_tree_survives(tmp_path_factory, tree):
    path = tmp_path_factory.mktemp("cache") / "section.npz"
    results.save(path, {"tree": tree}, "k")
    assert results.load(path, "k") == {"tree": tree}
