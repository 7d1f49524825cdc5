"""The files that an analysis writes for other programs; docs/results.md describes them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from chromatic_descent.analysis.analysis import Analysis
from chromatic_descent.analysis.storage import leaves, plain
from chromatic_descent.errors import UserError, is_whole
from chromatic_descent.files.atomic import atomic_path, write_text
from chromatic_descent.files.plain_json import plain_json
from chromatic_descent.study import Study

SCHEMA_VERSION = 2


@dataclass(frozen=True)
class Run:
    """The study, time, command and options of one run of `chromatic-analyze`."""

    study: str
    created: str  # ISO 8601, UTC
    version: str  # of this package
    command: str
    config: Mapping[str, Any]  # the options of the analysis
    missing: list[str]  # a line on each member that is not complete


def write(analysis: Analysis, run: Run, study: Study) -> None:
    """Write `arrays.npz`, a CSV for each table, and `analysis.json`."""
    arrays = {path: _narrow(array) for path, array in leaves(analysis.results, np.ndarray)}
    with atomic_path(study.embeddings / "arrays.npz") as temporary:
        np.savez(temporary, members=np.array(analysis.population.names), **arrays)  # type: ignore[arg-type]
    for path, frame in leaves(analysis.results, pd.DataFrame):
        with atomic_path(study.reports / csv_name(path)) as temporary:
            frame.to_csv(temporary, index=False)
    text = json.dumps(as_json(analysis, run), indent=1, allow_nan=False)
    write_text(study.reports / "analysis.json", text)


def csv_name(path: str) -> str:
    """The file name of a table: `maps/hellinger/layouts` is in `maps-hellinger-layouts.csv`."""
    return f"{path.replace('/', '-')}.csv"


def as_json(analysis: Analysis, run: Run) -> dict[str, Any]:
    """The content of `analysis.json`."""
    head = {"schema_version": SCHEMA_VERSION, **plain(run)}
    return {**head, "provenance": plain(analysis.provenance), **plain(analysis.results)}


def read_numbers(path: Path | str) -> dict[str, Any]:
    """Read an `analysis.json` of this release or an earlier one, with the keys of this one.

    `schema_version` stays that of the file.

    Raises UserError if it cannot be read, is not an analysis.json, or has a newer schema.
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
    if version < 2:
        per_image = content.pop("answers", {})
        content["per_class"] = {"confusion": per_image.pop("confusion", {})}
        content["per_image"] = per_image
    result: dict[str, Any] = content
    return result


def _narrow(array: NDArray[Any]) -> NDArray[Any]:
    """Float64 as float32, unless a value is too large for it."""
    fits = array.dtype == np.float64 and not (np.abs(array) > np.finfo(np.float32).max).any()
    return array.astype(np.float32) if fits else array
