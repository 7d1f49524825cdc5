"""The JSON record in a probe artefact: what it must hold, and how older ones are read.

    version   of a record that lacks what the next one has
    1         `slice_hashes`, in members imported as arrays
    2         today's

A change that would make today's code misread an older file, or older code a file of today, is a new
version, with a function in `UPGRADES` and a file in `tests/frozen/` that today's code wrote. New
keys that may be missing are not.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from chromatic_descent.errors import ArtefactError
from chromatic_descent.plain_json import plain_json

SCHEMA_VERSION = 2


def _text(value: Any) -> bool:
    return isinstance(value, str) and value.isprintable()


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is(kind: type) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, kind)


def _each(fits: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, dict) and all(map(fits, value.values()))


def _dataset(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and _text(value.get("name"))
        and _text(value.get("fingerprint"))
        and isinstance(value.get("classes"), list)
        and all(map(_text, value["classes"]))
    )


RECORD_KEYS: dict[str, Callable[[Any], bool]] = {  # and what a file from anywhere must hold there
    "schema_version": _is(int),  # of this file's layout
    "member": _text,  # the member's name in its study
    "seed": lambda value: type(value) is int and value >= 0,
    "config": _is(dict),  # the resolved config that determines the member, less its seed
    "config_hash": _text,  # SHA-256 of that
    "probe_hash": _text,  # SHA-256 of the probe images as the network sees them, labels and indices
    "slice_hashes": _each(_text),  # {slice: the same of its images}
    "dataset": _dataset,  # {name, fingerprint, classes}
    "accuracy": _number,  # on the probe
    "precision": _text,  # what training ran in
    "versions": _is(dict),  # {package: version}
    "hardware": _is(dict),  # {accelerator, device, threads, ...}
    "wall_time": _each(_number),  # {train, record}, seconds
    "finished": _text,  # ISO 8601, UTC
}

Record = dict[str, Any]
UPGRADES: dict[int, Callable[[Record], Record]] = {  # from that version to the next
    1: lambda record: {"slice_hashes": {}, **record},
}


def parse_record(text: str, path: Path) -> Record:
    """A record of any version up to today's, as today's code would have written it.

    Args:
        text: the JSON.
        path: the artefact, for messages.

    Raises:
        ArtefactError: no JSON object, of a newer version, or without what its version has.
    """
    try:
        record = plain_json(text)
    except ValueError as error:
        raise ArtefactError(f"{path}: its record is not JSON ({error}).") from error
    if not isinstance(record, dict):
        raise ArtefactError(f"{path}: its record is a {type(record).__name__}, not an object.")
    record = _upgraded(record, path)
    if missing := [key for key in RECORD_KEYS if key not in record]:
        raise ArtefactError(f"{path}: its record lacks {', '.join(missing)}.")
    if wrong := [key for key, fits in RECORD_KEYS.items() if not fits(record[key])]:
        raise ArtefactError(
            f"{path}: its record's {', '.join(wrong)} cannot be a member's: another type, or text "
            "that is not printable. It was altered."
        )
    return record


def _upgraded(record: Record, path: Path) -> Record:
    version = record.get("schema_version")
    if type(version) is not int or version < 1:
        raise ArtefactError(
            f"{path}: its record has schema version {version!r}: expected 1 to {SCHEMA_VERSION}. "
            "It was altered or comes from elsewhere."
        )
    if version > SCHEMA_VERSION:
        raise ArtefactError(
            f"{path} has schema version {version}, of a newer release: this one reads 1 to "
            f"{SCHEMA_VERSION}. Upgrade chromatic-descent, or train that member again."
        )
    for step in range(version, SCHEMA_VERSION):
        record = {**UPGRADES[step](record), "schema_version": step + 1}
    return record
