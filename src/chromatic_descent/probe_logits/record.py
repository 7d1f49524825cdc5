"""The JSON record in a probe artefact: its keys, and how records of earlier versions are read.

    version   how a record differs from one of the next version
    1         members imported as arrays have no `slice_hashes`
    2         the config names images of the probe `data.probe_size`, ..., not `data.probe.size`;
              `population=solo` has another `_target_`
    3         today's

A change needs a new version if today's code would misread an older file, or older code would
misread a file of today: add a function to `UPGRADES`, and a file that today's code wrote to
`tests/frozen/`. A new optional key needs none.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from chromatic_descent.errors import ArtefactError
from chromatic_descent.files.plain_json import plain_json
from chromatic_descent.probe_logits.identity import upgraded

__all__ = ["RECORD_KEYS", "SCHEMA_VERSION"]

SCHEMA_VERSION = 3
"""Version of the artefact's layout; today's code reads this one and every one before."""

LARGEST = 1e15  # bounds every number here: sums of squares over a probe stay finite in float32


def is_text(value: Any) -> bool:
    """Whether a value is text that can be printed."""
    return isinstance(value, str) and value.isprintable()


def _number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) < LARGEST


def _words(value: Any) -> bool:
    """An object of texts and numbers, for a line of print."""
    return isinstance(value, dict) and all(
        is_text(key) and (is_text(item) or item is None or _number(item))
        for key, item in value.items()
    )


def _is(kind: type) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, kind)


def _each(fits: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: _words(value) and all(map(fits, value.values()))


def _dataset(value: Any) -> bool:
    if not isinstance(value, dict) or not isinstance(value.get("classes"), list):
        return False
    return all(map(is_text, [value.get("name"), value.get("fingerprint"), *value["classes"]]))


RECORD_KEYS: dict[str, Callable[[Any], bool]] = {
    "schema_version": _is(int),  # of this file's layout
    "member": is_text,  # the member's name in its study
    "seed": lambda value: type(value) is int and 0 <= value < 2**63,
    "config": _is(dict),  # the resolved config that determines the member, without its seed
    "config_hash": is_text,  # SHA-256 of `config`
    "probe_hash": is_text,  # SHA-256 of probe images as the network sees them, labels and indices
    "slice_hashes": _each(is_text),  # {slice: the same of its images}
    "dataset": _dataset,  # {name, fingerprint, classes}
    "accuracy": _number,  # on the probe
    "precision": is_text,  # what training ran in
    "versions": _words,  # {package: version}
    "hardware": _words,  # {accelerator, device, threads, ...}
    "wall_time": _each(_number),  # {train, record}, seconds
    "finished": is_text,  # ISO 8601, UTC
}
"""The keys of a record, each with a check of its value: files may come from anywhere."""

OPTIONAL_KEYS: dict[str, Callable[[Any], bool]] = {  # checked if present
    "continued": _is(bool),  # whether it was interrupted and went on
    "together": _is(list),  # seeds of the members trained together
    "references": _is(list),  # the members that it is repelled from
    "imported": _is(dict),  # {file, sha256, place, origin} of a network trained elsewhere
}

Record = dict[str, Any]
UPGRADES: dict[int, Callable[[Record], Record]] = {  # from that version to the next
    1: lambda record: {"slice_hashes": {}, **record},
    2: upgraded,
}


def parse_record(text: str, path: Path) -> Record:
    """A record of any version up to today's, as today's code would have written it.

    Raises ArtefactError, which names the artefact's `path`, if the text is not a JSON object, its
    version is newer, or a key of its version is missing.
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
    known = {**RECORD_KEYS, **{k: fits for k, fits in OPTIONAL_KEYS.items() if k in record}}
    if wrong := [key for key, fits in known.items() if not fits(record[key])]:
        raise ArtefactError(
            f"{path}: its record has invalid values of {', '.join(wrong)}: a wrong type, or text "
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
            f"{path} has schema version {version}, of a newer release: this release reads 1 to "
            f"{SCHEMA_VERSION}. Upgrade chromatic-descent, or train that member again."
        )
    for step in range(version, SCHEMA_VERSION):
        record = {**UPGRADES[step](record), "schema_version": step + 1}
    return upgraded(record)  # configs gain keys within a version, too
