"""Networks trained elsewhere, from their logits; and the record of every imported member."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from omegaconf import DictConfig, ListConfig

from chromatic_descent import probe_logits
from chromatic_descent.config import check_seed
from chromatic_descent.errors import UserError
from chromatic_descent.files.arrays import read_array
from chromatic_descent.files.hashing import content_hash
from chromatic_descent.probe_logits import Population, ProbeLogits, Trajectory
from chromatic_descent.probe_logits.identity import Identity
from chromatic_descent.probe_logits.population import check_whole_numbers
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
    """The keys of a record that say where a member is from and what is `known` of its config."""
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


def from_arrays(cfg: DictConfig, present: Sequence[ProbeLogits]) -> list[ProbeLogits]:
    """Members from arrays of logits, with the images of these logits as their probe.

    With `same_probe`, the images are those on which the members `present` were recorded. Raises
    UserError for arrays that cannot be read or do not fit each other.
    """
    files = existing_files(cfg.logits)
    labels = files[0] if cfg.labels is None and files[0].suffix == ".npz" else cfg.labels
    if labels is None:
        raise UserError("Give labels=FILE: the true class of each image, [images].")
    population = _population(files, labels)
    images, classes = population.logits.shape[1:]
    indices = population.indices
    if cfg.indices is not None:
        given = read_array(cfg.indices, "indices")
        indices = check_whole_numbers(given, f"indices={cfg.indices}", images)
    if cfg.same_probe:
        if not present:
            raise UserError("same_probe=true: the study has no member yet to share a probe with.")
        probe_hash, dataset = (present[0].record[key] for key in ("probe_hash", "dataset"))
        indices = present[0].indices if cfg.indices is None else indices
    else:
        names = [str(name) for name in (range(classes) if cfg.classes is None else cfg.classes)]
        if len(names) != classes:
            raise UserError(
                f"classes={cfg.classes}: expected {classes} names, one per class of the logits."
            )
        probe_hash = content_hash("imported", population.labels, indices)
        name = cfg.dataset or "imported"
        dataset = {"name": name, "fingerprint": "imported", "classes": names}
    members = []
    for position, logits in enumerate(population.logits):
        source = files[position if len(files) > 1 else 0]
        record = imported_record(cfg, position, source, {}) | {
            "probe_hash": probe_hash,
            "slice_hashes": {},
            "dataset": dataset,
            "accuracy": float(np.mean(logits.argmax(1) == population.labels)),
            "precision": str(population.logits.dtype),
        }
        trajectory = None
        if population.trajectories is not None and population.epochs is not None:
            during = population.trajectories[position].astype(np.float32)
            trajectory = Trajectory(during, population.epochs.astype(np.int64))
        arrays = (logits.astype(np.float32), population.labels, indices)
        members.append(ProbeLogits(*arrays, record, trajectory=trajectory))
    return members


def _population(files: Sequence[Path], labels: Path | str) -> Population:
    """One file with all members, or one file per member."""
    if len(files) == 1:
        return probe_logits.from_arrays(files[0], labels)
    arrays: list[NDArray[np.floating]] = [read_array(file, "logits") for file in files]
    shapes = {str(file): list(a.shape) for file, a in zip(files, arrays, strict=True)}
    if any(array.ndim != 2 or array.shape != arrays[0].shape for array in arrays):
        raise UserError(f"logits={shapes}: expected the same [images, classes] in every file.")
    return probe_logits.from_arrays(np.stack(arrays), labels)
