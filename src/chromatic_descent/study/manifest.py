"""A member's manifest, `member.json`: the purpose of its folder, and the process working on it."""

import json
import os
import socket
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from chromatic_descent.errors import UserError, is_whole
from chromatic_descent.files.atomic import write_text
from chromatic_descent.files.plain_json import read_json
from chromatic_descent.probe_logits.identity import upgraded


def _this_process() -> dict[str, Any]:
    since = datetime.now(UTC).isoformat(timespec="seconds")
    return {"pid": os.getpid(), "host": socket.gethostname(), "since": since}


@dataclass(frozen=True)
class Manifest:
    """A member's manifest; each field that is not None is a key of the file."""

    seed: int
    config: dict[str, Any]
    config_hash: str
    # the process that wrote the manifest
    process: dict[str, Any] | None = field(default_factory=_this_process, kw_only=True)
    together: list[int] | None = None  # seeds of the members trained together, this one included
    # the members from which this one is repelled, so that every later attempt uses the same
    references: list[dict[str, str]] | None = None


def write(path: Path, manifest: Manifest) -> None:
    """Write a manifest, whole or not at all."""
    present = {key: value for key, value in vars(manifest).items() if value is not None}
    write_text(path, json.dumps(present, indent=1))


def read(path: Path) -> Manifest | None:
    """Read a manifest; None if the file does not exist.

    Raises UserError if the file is not JSON, or not a manifest.
    """
    advice = f"Move {path.parent} away to start it again."
    try:
        content = read_json(path)
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise UserError(f"{path} is not JSON ({error}). {advice}") from error
    if not _is_manifest(content):
        raise UserError(
            f"{path} is not a valid member manifest: expected its seed, config and hash. {advice}"
        )
    content = upgraded(content)
    known: dict[str, Any] = {each.name: content.get(each.name) for each in fields(Manifest)}
    return Manifest(**known)


def _is_manifest(content: Any) -> bool:
    """Whether a JSON value has the keys and types that `write` writes."""
    if not isinstance(content, dict):
        return False
    together = content.get("together") or []
    return (
        isinstance(together, list)
        and all(is_whole(seed) for seed in [content.get("seed"), *together])
        and isinstance(content.get("config"), dict)
        and isinstance(content.get("config_hash"), str)
        and isinstance(content.get("references") or [], list)
    )
