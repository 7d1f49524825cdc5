"""What every imported member has: the file it comes from, and a record that says so."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, ListConfig

from chromatic_descent.config import check_seed
from chromatic_descent.errors import UserError
from chromatic_descent.files.hashing import content_hash
from chromatic_descent.probe_logits.identity import Identity
from chromatic_descent.probe_logits.record import SCHEMA_VERSION
from chromatic_descent.study import member_name


def existing_files(given: Any) -> list[Path]:
    """The files of an option, one or a list; UserError names those that are missing."""
    files = [Path(str(each)) for each in (given if isinstance(given, ListConfig) else [given])]
    if missing := [str(file) for file in files if not file.is_file()]:
        raise UserError(f"There is no file {', '.join(missing)}.")
    return files


def imported_record(
    cfg: DictConfig, position: int, source: Path, known: dict[str, Any]
) -> dict[str, Any]:
    """The keys of a record that say where a member comes from, with what is `known` of its config.

    Members that are imported as one recipe share their config, as members trained here do.
    """
    seed = check_seed(cfg.seed) + position
    name = member_name(seed, str(cfg.recipe or ""))
    identity = Identity(name, seed, {"imported": cfg.recipe or True, **known})
    return {
        "schema_version": SCHEMA_VERSION,
        **identity.record(),
        "versions": {},
        "hardware": {},
        "wall_time": {},
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "imported": {
            "file": source.name,
            "sha256": content_hash(source.read_bytes()),
            "place": position,
            "origin": cfg.origin,
        },
    }
