import json
import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chromatic_descent.analysis import storage
from chromatic_descent.analysis.results import Array, Each, Interval, NotComputed


@dataclass(frozen=True, eq=False)
class Part:
    squared: Array
    mean: float
    listed: list[int | str | None]
    maybe: float | None = None


@dataclass(frozen=True, eq=False)
class Tree:
    a: Part
    frame: pd.DataFrame
    nothing: dict[str, float]
    each: Each[Interval]
    bulk: dict[str, Array]
    inner: Part | NotComputed
    other: list[Interval | NotComputed]


def make_tree():
    part = Part(np.arange(4.0).reshape(2, 2), np.float64(1.5), [1, None, "x"])
    return Tree(
        a=part,
        frame=pd.DataFrame({"member": ["p", "q"], "n": [1, 2], "x": [0.5, math.nan]}),
        nothing={},
        each=Each({"p": Interval(0.5, 0.0, math.inf), "q": NotComputed("too few")}),
        bulk={"p": np.ones(3), "q": np.zeros(2, dtype=np.int64)},
        inner=NotComputed("not asked for"),
        other=[NotComputed("why"), Interval(1.0, 0.0, 2.0)],
    )


def same(a, b):
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and np.array_equal(a, b)
    if isinstance(a, pd.DataFrame):
        return a.equals(b)
    if isinstance(a, (Tree, Part)):
        return type(a) is type(b) and same(vars(a), vars(b))
    if isinstance(a, (dict, Each)):
        return type(a) is type(b) and a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    return a == b


def test_json_keeps_values_and_tables_and_leaves_arrays_out():
    assert json.loads(json.dumps(storage.plain(make_tree()), allow_nan=False)) == {
        "a": {"mean": 1.5, "listed": [1, None, "x"]},
        "frame": [{"member": "p", "n": 1, "x": 0.5}, {"member": "q", "n": 2, "x": None}],
        "nothing": {},
        "each": {
            "p": {"mean": 0.5, "low": 0.0, "high": None},
            "q": {"not_computed": "too few"},
        },
        "inner": {"not_computed": "not asked for"},
        "other": [{"not_computed": "why"}, {"mean": 1.0, "low": 0.0, "high": 2.0}],
    }


def test_leaves_are_found_with_their_paths():
    tree = make_tree()
    arrays = ["a/squared", "bulk/p", "bulk/q"]
    assert [path for path, _ in storage.leaves(tree, np.ndarray)] == arrays
    assert [path for path, _ in storage.leaves(tree, pd.DataFrame)] == ["frame"]


def test_a_saved_result_is_read_again_for_the_same_inputs_only(tmp_path):
    path = tmp_path / "cache" / "section.npz"
    assert storage.load(path, "key", Tree) is None
    storage.save(path, make_tree(), "key")
    assert same(storage.load(path, "key", Tree), make_tree())
    assert storage.load(path, "other", Tree) is None
    assert storage.load(path, "key", Part) is None  # of other code: it has other fields


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 half a file", b"\x80\x04pickle"])
def test_a_broken_file_is_only_computed_again(tmp_path, content):
    path = tmp_path / "section.npz"
    path.write_bytes(content)
    assert storage.load(path, "key", Tree) is None


values = st.one_of(st.none(), st.integers(-9, 9), st.floats(allow_nan=False), st.text(max_size=3))


@given(st.dictionaries(st.text("ab/", max_size=2), st.dictionaries(st.text("ab_"), values)))
def test_any_plain_tree_survives(tmp_path_factory, tree):
    path = tmp_path_factory.mktemp("cache") / "section.npz"
    storage.save(path, {"tree": tree}, "k")
    kind = dict[str, dict[str, dict[str, float]]]
    assert storage.load(path, "k", kind) == {"tree": tree}
