"""`analysis.json`: what `chromatic-analyze` found, for other programs; see docs/results.md."""

from pathlib import Path
from typing import Any

from chromatic_descent.errors import UserError
from chromatic_descent.files.plain_json import plain_json

SCHEMA_VERSION = 1


def read_numbers(path: Path | str) -> dict[str, Any]:
    """Read an `analysis.json`, of this release or an earlier one.

    Raises UserError if it cannot be read, is something else, or is of a newer schema.
    """
    try:
        numbers = plain_json(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read as an analysis.json: {error}") from error
    version = numbers.get("schema_version") if isinstance(numbers, dict) else None
    if type(version) is not int or version < 1:
        raise UserError(f"{path} is no analysis.json: it has no schema version.")
    if version > SCHEMA_VERSION:
        raise UserError(
            f"{path} has schema version {version}, of a newer release: this one reads "
            f"{SCHEMA_VERSION}. Upgrade chromatic-descent, or analyse the study again."
        )
    return dict(numbers)
