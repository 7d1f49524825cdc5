"""What determines a member besides its seed: its config as plain data, with a hash."""

import json
from collections.abc import Iterator
from typing import Any

from chromatic_descent.files.hashing import content_hash

_ABSENT = object()


def config_hash(identity: dict[str, Any]) -> str:
    """SHA-256 of an identity's canonical JSON."""
    return content_hash(json.dumps(identity, sort_keys=True, separators=(",", ":")))


def differences(found: dict[str, Any], wanted: dict[str, Any]) -> list[str]:
    """The keys in which two identities differ, each as `key: found -> wanted`."""
    old, new = dict(flatten(found)), dict(flatten(wanted))
    return [
        f"{key}: {old.get(key, 'absent')} -> {new.get(key, 'absent')}"
        for key in sorted(old.keys() | new.keys())
        if old.get(key, _ABSENT) != new.get(key, _ABSENT)
    ]


def flatten(node: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """A nested dict as dotted keys with their values."""
    if isinstance(node, dict) and node:
        for key, value in node.items():
            yield from flatten(value, f"{prefix}.{key}" if prefix else str(key))
    else:
        yield prefix, node
