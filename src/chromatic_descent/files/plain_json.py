"""JSON from files that may come from anywhere."""

import errno
import json
from pathlib import Path
from typing import Any

_DEEPEST = 40  # levels; this project writes fewer than ten


def read_json(path: Path) -> Any:
    """Read a JSON file in UTF-8.

    Raises OSError if the path is not a file's, and ValueError as `plain_json` does.
    """
    return plain_json(regular(path).read_text(encoding="utf-8"))


def regular(path: Path) -> Path:
    """Return the path of a regular file: reading a pipe or a device may never end.

    Raises OSError if the path leads to something else.
    """
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "is not a file", str(path))
    return path


def plain_json(text: str) -> Any:
    """Parse strict JSON.

    Raises ValueError for text that is not JSON, for NaN and infinity, which Python's reader
    accepts, for nesting too deep to walk, and for characters that UTF-8 cannot encode.
    """
    try:
        value = json.loads(text, parse_constant=_refuse)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if _depth(value) > _DEEPEST:
        raise ValueError("it is nested too deeply")
    json.dumps(value, ensure_ascii=False, allow_nan=False).encode()  # 1e999, lone surrogates
    return value


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not a number")


def _depth(value: Any) -> int:
    """Count the levels of nesting without recursion."""
    deepest, waiting = 0, [(value, 1)]
    while waiting:
        node, level = waiting.pop()
        deepest = max(deepest, level)
        inner = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
        waiting.extend((each, level + 1) for each in inner)
    return deepest
