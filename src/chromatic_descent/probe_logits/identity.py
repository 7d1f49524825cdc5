"""Which member a record describes: its name, its seed, and the config that determines the rest."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from chromatic_descent.files.hashing import content_hash

# Configs of earlier releases: keys of `data` that are now keys of `data.probe`, renamed targets.
_PROBE = {f"probe_{key}": key for key in ("size", "seed", "train", "heldout", "shifted", "foreign")}
_RENAMED = {"chromatic_descent.training.population.solo": "chromatic_descent.training.alone.solo"}
# Keys that options have gained since, by `_target_`, with the value that members had until then.
_GAINED: dict[str, dict[str, Any]] = {}

_ABSENT = object()


@dataclass(frozen=True)
class Identity:
    """A member: its name in its study, its seed, and its config without the seed, as plain data."""

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


def upgraded(record: dict[str, Any]) -> dict[str, Any]:
    """A record or a manifest with its config in today's layout, and the hash of that config.

    This lets a study that an earlier release began be recognised and continued.
    """
    if not isinstance(record.get("config"), dict):
        return record
    config = _in_todays_terms(record["config"])
    data = config.get("data")
    if isinstance(data, dict) and data.keys() & _PROBE.keys() and "probe" not in data:
        moved = {new: data[old] for old, new in _PROBE.items() if old in data}
        kept = {key: value for key, value in data.items() if key not in _PROBE}
        probe = {"_target_": "chromatic_descent.data.Probe", **moved}
        config = {**config, "data": {**kept, "probe": probe}}
    if config == record["config"]:
        return record
    return {**record, "config": config, "config_hash": config_hash(config)}


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


def _in_todays_terms(node: Any) -> Any:
    """The same dict with every renamed `_target_` replaced, and with the keys that it gained."""
    if not isinstance(node, dict):
        return node
    new = {key: _in_todays_terms(value) for key, value in node.items()}
    if isinstance(target := node.get("_target_"), str):
        new["_target_"] = target = _RENAMED.get(target, target)
        new = {**_GAINED.get(target, {}), **new}
    return new
