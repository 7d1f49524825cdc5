"""JSON from files that may come from anywhere."""

import errno
import json
from pathlib import Path
from typing import Any

_DEEPEST = 40  # levels; this project writes fewer than ten


def read_json(path: Path) -> Any:
    """Read a JSON file in UTF-8; raises what `regular` and `plain_json` raise."""
    return plain_json(regular(path).read_text(encoding="utf-8"))


def regular(path: Path) -> Path:
    """Return the path of a regular file; otherwise raise OSError: reading a pipe may never end."""
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
    _check_depth(value, _DEEPEST)
    json.dumps(value, ensure_ascii=False, allow_nan=False).encode()  # 1e999, lone surrogates
    return value


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not a number")


def _check_depth(value: Any, levels: int) -> None:
    if levels == 0:
        raise ValueError("it is nested too deeply")
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for each in inner:
        _check_depth(each, levels - 1)
