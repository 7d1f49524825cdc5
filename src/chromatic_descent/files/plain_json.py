"""JSON from files that may come from anywhere."""

import errno
import json
from pathlib import Path
from typing import Any

_DEEPEST = 40  # levels; what this project writes has fewer than ten


def regular(path: Path) -> Path:
    """The path, if it is a file's: reading a pipe or a device may never end.

    Raises OSError if it is something else, or nothing.
    """
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "is no file", str(path))
    return path


def plain_json(text: str) -> Any:
    """What `text` says, as far as JSON goes.

    Raises ValueError for what is not JSON, for NaN and infinity, which Python's reader lets
    through, for what is nested so deeply that nobody can walk it, and for text that has no UTF-8.
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
    raise ValueError(f"{constant} is no number")


def _depth(value: Any) -> int:
    """Levels of nesting, counted without recursion."""
    deepest, waiting = 0, [(value, 1)]
    while waiting:
        node, level = waiting.pop()
        deepest = max(deepest, level)
        inner = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
        waiting.extend((each, level + 1) for each in inner)
    return deepest
