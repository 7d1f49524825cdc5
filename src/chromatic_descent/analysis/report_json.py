"""`analysis.json`: the results of an analysis, for other programs; see docs/results.md."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chromatic_descent.analysis.analysis import Analysis
from chromatic_descent.analysis.storage import plain
from chromatic_descent.errors import UserError, is_whole
from chromatic_descent.files.plain_json import plain_json

SCHEMA_VERSION = 2


@dataclass(frozen=True)
class Run:
    """One run of `chromatic-analyze`: what it was asked, of what, and when.

    Attributes:
        study: the study's name.
        created: the time, ISO 8601 in UTC.
        version: of this package.
        command: that was typed.
        config: the options of the analysis.
        missing: a line on each member that is not complete.
    """

    study: str
    created: str
    version: str
    command: str
    config: Mapping[str, Any]
    missing: list[str]


def as_json(analysis: Analysis, run: Run) -> dict[str, Any]:
    """What `analysis.json` holds."""
    head = {"schema_version": SCHEMA_VERSION, **plain(run)}
    return {**head, "provenance": plain(analysis.provenance), **plain(analysis.results)}


def read_numbers(path: Path | str) -> dict[str, Any]:
    """Read an `analysis.json` of this release or an earlier one, with the keys of this one.

    Raises UserError if it cannot be read, is something else, or is of a newer schema.
    """
    try:
        content = plain_json(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read as an analysis.json: {error}") from error
    version = content.get("schema_version") if isinstance(content, dict) else None
    if not is_whole(version, 1):
        raise UserError(f"{path} is not an analysis.json: it has no schema version.")
    if version > SCHEMA_VERSION:
        raise UserError(
            f"{path} has schema version {version}, of a newer release: this one reads "
            f"{SCHEMA_VERSION}. Upgrade chromatic-descent, or analyse the study again."
        )
    return _upgraded(content, version)


def _upgraded(content: dict[str, Any], version: int) -> dict[str, Any]:
    """The same with the keys of the newest schema; `schema_version` stays that of the file."""
    if version < 2:
        by_image = content.pop("answers", {})
        content["per_class"] = {"confusion": by_image.pop("confusion", {})}
        content["per_image"] = by_image
    return content
