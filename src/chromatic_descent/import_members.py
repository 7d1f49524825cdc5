"""Take networks trained elsewhere into a study: `python -m chromatic_descent.import_members`.

    chromatic-import study=theirs logits=logits.npy labels=labels.npy
    chromatic-import study=mine logits=more.npz same_probe=true recipe=vit origin='timm vit_tiny'
    chromatic-import study=mine checkpoint=[a.pt,b.pt] model=resnet18 recipe=resnet

Each becomes a member with seeds from `seed` on, whose record says that it was imported. What does
not fit the members that are there is refused, before anything is written.
"""

import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import hydra
import numpy as np
from omegaconf import DictConfig, ListConfig

from chromatic_descent import config, probe_logits
from chromatic_descent.errors import UserError
from chromatic_descent.files.arrays import read_array
from chromatic_descent.files.hashing import content_hash
from chromatic_descent.launch.command_line import run
from chromatic_descent.probe_logits import Population, ProbeLogits, Trajectory
from chromatic_descent.probe_logits.identity import config_hash
from chromatic_descent.probe_logits.record import SCHEMA_VERSION
from chromatic_descent.study import Member, Study, check_study_name, claim, member_name

log = logging.getLogger(__name__)


def run_import(cfg: DictConfig) -> list[Member]:
    """Import what the config names; the members it became."""
    if cfg.study is None:
        raise UserError(
            "Give study=NAME: the study to import into, a new one or one that is there."
        )
    if (cfg.logits is None) == (cfg.checkpoint is None):
        raise UserError("Give either logits=FILE (and labels=FILE) or checkpoint=FILE.")
    study = Study(Path(cfg.paths.multirun) / check_study_name(str(cfg.study)))
    study.check()
    there = [probe_logits.load(m.artefact) for m in study.members() if m.status == "complete"]
    if cfg.logits is not None:
        imported = from_arrays(cfg, there)
    else:
        from chromatic_descent.importing.checkpoints import from_checkpoints

        imported = from_checkpoints(cfg, _files(cfg.checkpoint))
    members = [Member(study, each.record["member"]) for each in imported]
    _check_names(members, imported, there, cfg.overwrite)
    names = {member.name for member in members}
    probe_logits.stack([*(each for each in there if each.record["member"] not in names), *imported])
    for member, each in zip(members, imported, strict=True):
        probe_logits.validate(each, member.artefact)
    for member, each in zip(members, imported, strict=True):
        with claim(member):
            probe_logits.save(member.artefact, each)
        log.info("%s: accuracy %.4f on %d images", member.name, *_scored(each))
    return members


def from_arrays(cfg: DictConfig, there: Sequence[ProbeLogits]) -> list[ProbeLogits]:
    """Members from arrays of logits; on the probe of those that are `there` if that is said."""
    files = _files(cfg.logits)
    beside = files[0] if files[0].suffix == ".npz" else None
    labels = beside if cfg.labels is None else cfg.labels
    if labels is None:
        raise UserError("Give labels=FILE: the true class of each image, [images].")
    population = _population(files, labels)
    images, classes = population.logits.shape[1:]
    indices = _indices(cfg.indices, images)
    if cfg.same_probe and not there:
        raise UserError("same_probe=true: the study has no member yet whose probe it could be.")
    if cfg.same_probe:
        probe_hash, dataset = (there[0].record[key] for key in ("probe_hash", "dataset"))
        indices = there[0].indices if cfg.indices is None else indices
    else:
        probe_hash = content_hash("imported", population.labels, indices)
        dataset = {
            "name": cfg.dataset or "imported",
            "fingerprint": "imported",
            "classes": _classes(cfg.classes, classes),
        }
    made = []
    for place, logits in enumerate(population.logits):
        source = files[place] if len(files) > 1 else files[0]
        record = imported_record(cfg, place, source, {}) | {
            "probe_hash": probe_hash,
            "slice_hashes": {},
            "dataset": dataset,
            "accuracy": float(np.mean(logits.argmax(1) == population.labels)),
            "precision": str(population.logits.dtype),
        }
        along = None
        if population.trajectories is not None and population.epochs is not None:
            paths = population.trajectories[place].astype(np.float32)
            along = Trajectory(paths, population.epochs.astype(np.int64))
        narrow = logits.astype(np.float32)
        made.append(ProbeLogits(narrow, population.labels, indices, record, trajectory=along))
    return made


def imported_record(
    cfg: DictConfig, place: int, source: Path, known: dict[str, Any]
) -> dict[str, Any]:
    """What a record says of an imported member: that it is one, and what is `known` of its config.

    Members that are imported as one recipe share their config, as members trained here do.
    """
    seed = config.check_seed(cfg.seed) + place
    identity = {"imported": cfg.recipe or True, **known}
    return {
        "schema_version": SCHEMA_VERSION,
        "member": member_name(seed, str(cfg.recipe or "")),
        "seed": seed,
        "config": identity,
        "config_hash": config_hash(identity),
        "versions": {},
        "hardware": {},
        "wall_time": {},
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "imported": {
            "file": source.name,
            "sha256": content_hash(source.read_bytes()),
            "place": place,
            "origin": cfg.origin,
        },
    }


def main() -> None:
    """Run Hydra's command line; a user's mistake ends with one message and exit code 1."""
    run(_command_line)


@hydra.main(config_path=config.configs_folder(), config_name="import", version_base="1.3")
def _command_line(cfg: DictConfig) -> None:
    run_import(cfg)


def _population(files: Sequence[Path], labels: Path | str) -> Population:
    """One file of all members, or a file for each."""
    if len(files) == 1:
        return probe_logits.from_arrays(files[0], labels)
    arrays = [read_array(file, "logits") for file in files]
    shapes = {str(file): list(a.shape) for file, a in zip(files, arrays, strict=True)}
    if any(array.ndim != 2 or array.shape != arrays[0].shape for array in arrays):
        raise UserError(f"logits={shapes}: expected one shape, [images, classes], of every file.")
    return probe_logits.from_arrays(np.stack(arrays), labels)


def _indices(given: str | None, images: int) -> Any:
    if given is None:
        return np.arange(images, dtype=np.int64)
    indices = read_array(given, "indices")
    if indices.dtype.kind not in "iu" or indices.shape != (images,):
        raise UserError(
            f"indices={given} are {indices.dtype} {list(indices.shape)}: expected a whole number "
            f"for each of {images} images."
        )
    return indices.astype(np.int64)


def _classes(given: ListConfig | None, number: int) -> list[str]:
    names = [str(name) for name in given] if given is not None else list(map(str, range(number)))
    if len(names) != number:
        raise UserError(f"classes={given}: expected {number} names, as the logits have classes.")
    return names


def _check_names(
    members: Sequence[Member],
    imported: Sequence[ProbeLogits],
    there: Sequence[ProbeLogits],
    overwrite: bool,
) -> None:
    """Raise UserError if a member is there and is another."""
    known = {each.record["member"]: each for each in there}
    taken = []
    for member, each in zip(members, imported, strict=True):
        before = known.get(member.name)
        same = before is not None and np.array_equal(before.logits, each.logits)
        if (before is not None and not same) or (before is None and member.manifest.exists()):
            taken.append(member.name)
    if taken and not overwrite:
        raise UserError(
            f"{members[0].study.path} has other members named {', '.join(taken)}. Begin at another "
            "seed=, name a recipe=, or replace them with overwrite=true."
        )


def _files(given: Any) -> list[Path]:
    files = [Path(str(each)) for each in (given if isinstance(given, ListConfig) else [given])]
    if missing := [str(file) for file in files if not file.is_file()]:
        raise UserError(f"There is no file {', '.join(missing)}.")
    return files


def _scored(member: ProbeLogits) -> tuple[float, int]:
    return member.record["accuracy"], len(member.labels)


if __name__ == "__main__":
    main()
