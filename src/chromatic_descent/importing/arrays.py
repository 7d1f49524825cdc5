"""Networks trained elsewhere, from their logits: members on the images of those logits."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from omegaconf import DictConfig, ListConfig

from chromatic_descent import probe_logits
from chromatic_descent.errors import UserError
from chromatic_descent.files.arrays import read_array
from chromatic_descent.files.hashing import content_hash
from chromatic_descent.importing.record import existing_files, imported_record
from chromatic_descent.probe_logits import Population, ProbeLogits, Trajectory
from chromatic_descent.probe_logits.population import check_whole_numbers


def from_arrays(cfg: DictConfig, present: Sequence[ProbeLogits]) -> list[ProbeLogits]:
    """Members from arrays of logits; with `same_probe`, on the probe of the members `present`.

    Raises UserError for arrays that cannot be read or do not fit each other.
    """
    files = existing_files(cfg.logits)
    in_same_file = files[0] if files[0].suffix == ".npz" else None
    labels = in_same_file if cfg.labels is None else cfg.labels
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
            raise UserError("same_probe=true: the study has no member yet whose probe it could be.")
        probe_hash, dataset = (present[0].record[key] for key in ("probe_hash", "dataset"))
        indices = present[0].indices if cfg.indices is None else indices
    else:
        probe_hash = content_hash("imported", population.labels, indices)
        dataset = {
            "name": cfg.dataset or "imported",
            "fingerprint": "imported",
            "classes": _classes(cfg.classes, classes),
        }
    members = []
    for position, logits in enumerate(population.logits):
        source = files[position] if len(files) > 1 else files[0]
        record = imported_record(cfg, position, source, {}) | {
            "probe_hash": probe_hash,
            "slice_hashes": {},
            "dataset": dataset,
            "accuracy": float(np.mean(logits.argmax(1) == population.labels)),
            "precision": str(population.logits.dtype),
        }
        trajectory = None
        if population.trajectories is not None and population.epochs is not None:
            along = population.trajectories[position].astype(np.float32)
            trajectory = Trajectory(along, population.epochs.astype(np.int64))
        narrow = logits.astype(np.float32)
        members.append(
            ProbeLogits(narrow, population.labels, indices, record, trajectory=trajectory)
        )
    return members


def _population(files: Sequence[Path], labels: Path | str) -> Population:
    """One file with all members, or one file per member."""
    if len(files) == 1:
        return probe_logits.from_arrays(files[0], labels)
    arrays: list[NDArray[np.floating]] = [read_array(file, "logits") for file in files]
    shapes = {str(file): list(a.shape) for file, a in zip(files, arrays, strict=True)}
    if any(array.ndim != 2 or array.shape != arrays[0].shape for array in arrays):
        raise UserError(f"logits={shapes}: expected one shape, [images, classes], of every file.")
    return probe_logits.from_arrays(np.stack(arrays), labels)


def _classes(given: ListConfig | None, count: int) -> list[str]:
    names = [str(name) for name in given] if given is not None else list(map(str, range(count)))
    if len(names) != count:
        raise UserError(f"classes={given}: expected {count} names, as the logits have classes.")
    return names
