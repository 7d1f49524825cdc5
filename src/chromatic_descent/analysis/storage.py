"""Results on disk: one rule for JSON, CSV, `.npz` and the cache.

A result is a tree of dataclasses and mappings. Plain values, and lists of them, are written to
JSON, data frames to JSON and a CSV each, and arrays to `.npz` only: they are bulk (distances,
layouts). `NotComputed` is an object with the single key `not_computed`, whose value is the reason.
"""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from types import NoneType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from chromatic_descent.analysis.results import Each, NotComputed
from chromatic_descent.files.arrays import open_npz
from chromatic_descent.files.atomic import atomic_path
from chromatic_descent.files.hashing import content_hash

Leaf = TypeVar("Leaf")

_NOT_COMPUTED = "not_computed"
_ARRAY = "array"  # the prefix of array names in a cache file


def plain(value: Any) -> Any:
    """A result as JSON: frames as records, NaN as None, without arrays and fields that are None."""
    inner = _parts(value)
    if inner is not None:
        left_out = (np.ndarray, NoneType) if is_dataclass(value) else np.ndarray
        content = {k: plain(v) for k, v in inner.items() if not isinstance(v, left_out)}
        return {k: v for k, v in content.items() if v != {} or not _parts(inner[k])}
    if isinstance(value, pd.DataFrame):
        return plain(value.to_dict("records"))
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def leaves(result: Any, kind: type[Leaf], path: str = "") -> Iterator[tuple[str, Leaf]]:
    """Every leaf of one type with its path, `maps/hellinger/coordinates`."""
    if isinstance(result, kind):
        yield path, result
    else:
        for key, value in (_parts(result) or {}).items():
            yield from leaves(value, kind, f"{path}/{key}" if path else key)


def save(path: Path, result: Any, key: str) -> None:
    """Write a result, its hash and the key of its inputs to one `.npz`, whole or not at all."""
    arrays: dict[str, NDArray[Any]] = {}
    tree = json.dumps(_pack(result, arrays))
    texts = {
        "key": np.array(key),
        "tree": np.array(tree),
        "digest": np.array(_digest(tree, arrays)),
    }
    with atomic_path(path) as temporary:
        np.savez(temporary, allow_pickle=False, **texts, **arrays)


def load(path: Path, key: str, kind: Any) -> Any:
    """Read a result that `save` wrote; None if the file is missing, broken or of another key."""
    try:
        with open_npz(path) as archive:
            if str(archive["key"]) != key:
                return None
            arrays = {name: archive[name] for name in archive if name.startswith(_ARRAY)}
            tree, digest = str(archive["tree"]), str(archive["digest"])
        return _unpack(kind, json.loads(tree), arrays) if digest == _digest(tree, arrays) else None
    except Exception:
        return None


def _parts(value: Any) -> dict[str, Any] | None:
    """The parts of a mapping or a dataclass, by key or field; None for a leaf."""
    if isinstance(value, NotComputed):
        return {_NOT_COMPUTED: value.reason}
    if isinstance(value, Mapping):
        return {str(key): inner for key, inner in value.items()}
    if is_dataclass(value):
        return {part.name: getattr(value, part.name) for part in fields(value)}
    return None


def _digest(tree: str, arrays: Mapping[str, NDArray[Any]]) -> str:
    return content_hash(tree, *(part for name in sorted(arrays) for part in (name, arrays[name])))


def _pack(value: Any, arrays: dict[str, NDArray[Any]]) -> Any:
    """A result as JSON, with arrays moved to `arrays` and replaced by their names."""
    if isinstance(value, np.ndarray):
        name = f"{_ARRAY}{len(arrays)}"
        arrays[name] = value
        return name
    if isinstance(value, pd.DataFrame):
        return {str(column): value[column].tolist() for column in value}
    if isinstance(value, (list, tuple)):
        return [_pack(item, arrays) for item in value]
    if (inner := _parts(value)) is not None:
        return {key: _pack(part, arrays) for key, part in inner.items()}
    return value.item() if isinstance(value, np.generic) else value


def _unpack(kind: Any, node: Any, arrays: Mapping[str, NDArray[Any]]) -> Any:
    """A result of type `kind`, from JSON and arrays."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin is np.ndarray:
        return arrays[node]
    if origin is list:
        return [_unpack(inner[0], item, arrays) for item in node]
    if origin is dict:
        return {key: _unpack(inner[1], part, arrays) for key, part in node.items()}
    if origin is Each:
        either = inner[0] | NotComputed
        return Each({key: _unpack(either, part, arrays) for key, part in node.items()})
    if NotComputed in inner and isinstance(node, dict) and node.keys() == {_NOT_COMPUTED}:
        return NotComputed(node[_NOT_COMPUTED])
    if inner and node is not None:  # a union with NotComputed or None, or of plain types
        rest = [part for part in inner if part not in (NotComputed, NoneType)]
        return _unpack(rest[0], node, arrays) if len(rest) == 1 else node
    if kind is pd.DataFrame:
        return pd.DataFrame(node)
    if isinstance(kind, type) and is_dataclass(kind):
        hints = get_type_hints(kind)
        return kind(**{name: _unpack(hints[name], part, arrays) for name, part in node.items()})
    return node
