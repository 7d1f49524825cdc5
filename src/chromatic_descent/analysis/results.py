"""Results as data: a tree whose leaves say where they go, and its storage.

A result is a nested dict with string keys. Its leaves are

    plain values and lists of them    JSON
    data frames                       a CSV each, and JSON
    arrays                            .npz only: they are bulk (distances, layouts)

What could not be computed, for too few members say, is `{"not_computed": reason}` in its place:
nothing is left out silently.
"""

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from chromatic_descent.errors import UserError
from chromatic_descent.files.atomic import atomic_path
from chromatic_descent.files.hashing import content_hash
from chromatic_descent.files.npz import open_npz
from chromatic_descent.geometry.cores import one_thread_a_core

Result = dict[str, Any]
Name = TypeVar("Name")

_ARRAY = "array"  # what names of arrays in a file begin with


def attempt(compute: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """What `compute` returns, or `{"not_computed": reason}` if the data do not allow it."""
    try:
        return compute(*arguments, **options)
    except UserError as error:
        return {"not_computed": str(error)}


def for_each(
    names: Iterable[Name], compute: Callable[..., Any], *arguments: Any
) -> dict[Name, Any]:
    """`{name: attempt(compute, name, *arguments)}`, on as many threads as there are cores."""
    kept = list(names)
    with one_thread_a_core() as threads:
        found = threads.map(lambda name: attempt(compute, name, *arguments), kept)
        return dict(zip(kept, found, strict=True))


def computed(result: Any) -> bool:
    """Whether a result is there (`attempt` may have said why it is not)."""
    return not (isinstance(result, Mapping) and "not_computed" in result)


def plain(value: Any) -> Any:
    """A result as JSON knows it: frames as records, NaN as None, arrays left out."""
    if isinstance(value, Mapping):
        kept = {str(k): plain(v) for k, v in value.items() if not isinstance(v, np.ndarray)}
        return {k: v for k, v in kept.items() if v != {} or value[k] == {}}
    if isinstance(value, pd.DataFrame):
        return [plain(record) for record in value.to_dict("records")]
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def leaves(result: Any, kind: type, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every leaf of one type with its path, `maps/hellinger/coordinates`."""
    if isinstance(result, kind):
        yield path, result
    elif isinstance(result, Mapping):
        for key, value in result.items():
            yield from leaves(value, kind, f"{path}/{key}" if path else str(key))


def save(path: Path, result: Result, key: str) -> None:
    """Write a result, its hash and the key of its inputs to one `.npz`, whole or not at all."""
    arrays: dict[str, NDArray[Any]] = {}
    tree = json.dumps(_pack(result, arrays))
    told = {"key": np.array(key), "tree": np.array(tree)}
    told["digest"] = np.array(_digest(tree, arrays))
    with atomic_path(path) as temporary:
        np.savez(temporary, allow_pickle=False, **told, **arrays)


def load(path: Path, key: str) -> Result | None:
    """Read what `save` wrote; None if there is none, it is broken, or its inputs had another key.

    A broken file is no error: it only has to be computed again.
    """
    try:
        with open_npz(path) as archive:
            if str(archive["key"]) != key:
                return None
            arrays = {name: archive[name] for name in archive if name.startswith(_ARRAY)}
            tree, digest = str(archive["tree"]), str(archive["digest"])
        if digest != _digest(tree, arrays):
            return None
        result: Result = _unpack(json.loads(tree), arrays)
        return result
    except Exception:
        return None


def _digest(tree: str, arrays: Mapping[str, NDArray[Any]]) -> str:
    """Of everything that was computed."""
    return content_hash(tree, *(part for name in sorted(arrays) for part in (name, arrays[name])))


def _pack(value: Any, arrays: dict[str, NDArray[Any]]) -> Any:
    if isinstance(value, np.ndarray):
        name = f"{_ARRAY}{len(arrays)}"
        arrays[name] = value
        return {"__array__": name}
    if isinstance(value, pd.DataFrame):
        return {"__frame__": {str(c): value[c].tolist() for c in value}}
    if isinstance(value, Mapping):
        return {str(k): _pack(v, arrays) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_pack(item, arrays) for item in value]
    return value.item() if isinstance(value, np.generic) else value


def _unpack(value: Any, archive: Mapping[str, NDArray[Any]]) -> Any:
    if isinstance(value, dict):
        if "__array__" in value:
            return archive[value["__array__"]]
        if "__frame__" in value:
            return pd.DataFrame(value["__frame__"])
        return {k: _unpack(v, archive) for k, v in value.items()}
    return [_unpack(item, archive) for item in value] if isinstance(value, list) else value
