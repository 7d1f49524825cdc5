"""Which member a record describes: its name, its seed, and the config that determines the rest."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from chromatic_descent.files.hashing import content_hash

_ABSENT = object()


@dataclass(frozen=True)
class Identity:
    """One member: its name in its study, its seed, and its config as plain data, less the seed."""

    name: str
    seed: int
    config: dict[str, Any]

    @cached_property
    def config_hash(self) -> str:
        """SHA-256 of the config; members of one configuration share it."""
        return config_hash(self.config)

    def record(self) -> dict[str, Any]:
        """The keys of a probe artefact's record that identify the member."""
        return {
            "member": self.name,
            "seed": self.seed,
            "config": self.config,
            "config_hash": self.config_hash,
        }


def config_hash(config: dict[str, Any]) -> str:
    """SHA-256 of a config's canonical JSON."""
    return content_hash(json.dumps(config, sort_keys=True, separators=(",", ":")))


def differences(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """The keys in which two configs differ, each as `key: before -> after`."""
    old, new = dict(flatten(before)), dict(flatten(after))
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
