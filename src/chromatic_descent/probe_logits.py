"""The probe artefact: what one member says on the probe, in one file, and how members are stacked.

This is the contract between training and analysis. One member is one `.npz` with arrays

    logits   [N, C] float32   the member's outputs on N probe images, C classes
    labels   [N]    int64     their true classes
    indices  [N]    int64     their places in the data set's test split
    record   []     str       a JSON object, see `probe_record.py`

and, for every further recorded slice (say `train`), `train.logits`, `train.labels`,
`train.indices`. The names of slices say what they are: `train` and `heldout` images; test images
under a corruption, `shift-<corruption>-<severity>`; images of other data, `foreign-<kind>`, whose
labels are 0 and mean nothing. And, if the member was recorded along its way, `trajectory`
[T, N, C] float32 and `epochs` [T] int64, the epochs trained by then (0: untrained). Files are read
with `allow_pickle=False`: nothing in them is ever executed.
"""

import hashlib
import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chromatic_descent.atomic import atomic_path
from chromatic_descent.errors import ArtefactError as ArtefactError
from chromatic_descent.errors import UserError
from chromatic_descent.npz import BROKEN, open_npz
from chromatic_descent.probe_record import LARGEST, is_text, parse_record

__all__ = [
    "Population",
    "ProbeLogits",
    "ProbeSliceLogits",
    "Trajectory",
    "from_arrays",
    "load",
    "read_record",
    "save",
    "stack",
    "validate",
]

SHIFTED, FOREIGN = "shift-", "foreign-"  # what names of such slices begin with

_SHIFT = re.compile(rf"{SHIFTED}.*-[0-9]{{1,9}}")


@dataclass(frozen=True)
class ProbeSliceLogits:
    """A member's outputs on one slice of images: logits [N, C], labels [N], indices [N]."""

    logits: NDArray[np.float32]
    labels: NDArray[np.int64]
    indices: NDArray[np.int64]


@dataclass(frozen=True)
class Trajectory:
    """Outputs on the probe along training: logits [T, N, C] after epochs [T], rising."""

    logits: NDArray[np.float32]
    epochs: NDArray[np.int64]


@dataclass(frozen=True)
class ProbeLogits(ProbeSliceLogits):
    """One member's artefact: outputs on the probe, its record, further slices, its trajectory."""

    record: dict[str, Any]
    slices: dict[str, ProbeSliceLogits] = field(default_factory=dict)
    trajectory: Trajectory | None = None


@dataclass(frozen=True)
class Population:
    """Members on one probe: logits [S, N, C], labels [N], indices [N], and S records.

    `trajectories` are logits [S, T, N, C] if every member was recorded after the same `epochs` [T],
    `slices` by name the further slices on which every member was recorded, logits [S, M, C] each.
    """

    logits: NDArray[np.float32]
    labels: NDArray[np.int64]
    indices: NDArray[np.int64]
    records: list[dict[str, Any]]
    trajectories: NDArray[np.float32] | None = None
    epochs: NDArray[np.int64] | None = None
    slices: dict[str, ProbeSliceLogits] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        """The members' names, in the order of the stack."""
        return [record["member"] for record in self.records]

    @property
    def seeds(self) -> list[int]:
        """The members' seeds, in the order of the stack."""
        return [record["seed"] for record in self.records]

    @property
    def classes(self) -> list[str]:
        """The class names."""
        return list(self.records[0]["dataset"]["classes"])


def save(path: Path, member: ProbeLogits) -> None:
    """Write a member's artefact, whole or not at all; it is validated first.

    Raises ArtefactError if the logits are not finite (training diverged) or shapes disagree.
    """
    validate(member, path)
    arrays: dict[str, Any] = {"record": np.array(json.dumps(member.record, allow_nan=False))}
    for prefix, part in [("", member), *((f"{name}.", s) for name, s in member.slices.items())]:
        arrays[f"{prefix}logits"] = part.logits
        arrays[f"{prefix}labels"] = part.labels
        arrays[f"{prefix}indices"] = part.indices
    if member.trajectory is not None:
        arrays["trajectory"] = member.trajectory.logits
        arrays["epochs"] = member.trajectory.epochs
    with atomic_path(path) as temporary:
        np.savez(temporary, allow_pickle=False, **arrays)


def read_record(path: Path) -> dict[str, Any]:
    """Read only the JSON record of an artefact: fast, whatever the size of its logits.

    Raises ArtefactError if the file is truncated, foreign, or of a newer schema.
    """
    with _reading(path) as archive:
        return _record(archive, path)


def load(path: Path) -> ProbeLogits:
    """Read and validate a member's artefact.

    Raises ArtefactError, naming the file, if it is truncated, foreign, of a newer schema, or
    holds arrays whose shapes, types or values cannot be a member's.
    """
    with _reading(path) as archive:
        record = _record(archive, path)
        prefixes = sorted(k.removesuffix("logits") for k in archive if k.endswith(".logits"))
        try:
            main = _slice(archive, "")
            slices = {prefix.rstrip("."): _slice(archive, prefix) for prefix in prefixes}
            trajectory = (
                Trajectory(archive["trajectory"], archive["epochs"])
                if "trajectory" in archive
                else None
            )
        except KeyError as error:
            raise ArtefactError(
                f"{path} is not a probe artefact: it has no array {error}"
            ) from None
    member = ProbeLogits(main.logits, main.labels, main.indices, record, slices, trajectory)
    validate(member, path)
    return member


def stack(members: Sequence[ProbeLogits]) -> Population:
    """Stack members into one population, logits [S, N, C], if they belong together.

    Raises ArtefactError if they were recorded on different probes (it names which member saw
    which), or if there are none.
    """
    if not members:
        raise ArtefactError("There is no member to analyse.")
    by_probe: dict[str, list[str]] = defaultdict(list)
    for member in members:
        by_probe[member.record["probe_hash"]].append(member.record["member"])
    if len(by_probe) > 1:
        groups = "\n".join(f"  {key[:12]}: {', '.join(names)}" for key, names in by_probe.items())
        raise ArtefactError(
            "The members were recorded on different probes and cannot be compared:\n"
            f"{groups}\n"
            "Keep one group in the study, or train the others again with the same data and `probe`."
        )
    first = members[0]
    for member in members[1:]:
        if member.logits.shape != first.logits.shape or not (
            np.array_equal(member.labels, first.labels)
            and np.array_equal(member.indices, first.indices)
        ):
            raise ArtefactError(
                f"{member.record['member']} and {first.record['member']} name the same probe but "
                "their labels, indices or shapes differ: one of the two files was altered."
            )
    paths = [member.trajectory for member in members if member.trajectory is not None]
    together = len(paths) == len(members) and all(
        np.array_equal(path.epochs, paths[0].epochs) for path in paths
    )
    return Population(
        logits=np.stack([member.logits for member in members]),  # [S, N, C]
        labels=first.labels,
        indices=first.indices,
        records=[member.record for member in members],
        trajectories=np.stack([path.logits for path in paths]) if together else None,
        epochs=paths[0].epochs if together else None,
        slices=_common_slices(members),
    )


def _common_slices(members: Sequence[ProbeLogits]) -> dict[str, ProbeSliceLogits]:
    """The slices that every member was recorded on, with the same images in each."""
    found: dict[str, ProbeSliceLogits] = {}
    for name, first in members[0].slices.items():
        parts = [member.slices.get(name) for member in members]
        hashes = {member.record["slice_hashes"].get(name) for member in members}
        same = [
            part
            for part in parts
            if part is not None
            and part.logits.shape == first.logits.shape
            and np.array_equal(part.labels, first.labels)
            and np.array_equal(part.indices, first.indices)
        ]
        if len(same) == len(members) and len(hashes) == 1:
            logits = np.stack([part.logits for part in same])  # [S, N, C]
            found[name] = ProbeSliceLogits(logits, first.labels, first.indices)
    return found


def from_arrays(
    logits: Path | str | NDArray[np.floating], labels: Path | str | NDArray[np.integer]
) -> Population:
    """A population from logits of any origin: members are numbered, classes too.

    Args:
        logits: [S, N, C], or [S, T, N, C] for members recorded T times along training; an array,
            or the path of a `.npy`, or of an `.npz` with an array `logits`. A `.npy` is
            memory-mapped: it may be larger than memory.
        labels: [N], in the same ways (in an `.npz`: `labels`).

    Raises:
        UserError: a file that cannot be read; shapes or types that do not fit each other.
    """
    values, given = read_array(logits, "logits"), read_array(labels, "labels")
    if values.dtype.kind != "f" or values.ndim not in (3, 4) or 0 in values.shape:
        raise UserError(
            f"logits are {values.dtype} {list(values.shape)}: expected floating-point numbers "
            "[members, images, classes], or [members, epochs, images, classes]."
        )
    *_, images, classes = values.shape
    if given.dtype.kind not in "iu" or given.shape != (images,):
        raise UserError(
            f"labels are {given.dtype} {list(given.shape)}: expected a whole number for each of "
            f"the {images} images of the logits."
        )
    if given.min() < 0 or given.max() >= classes:
        raise UserError(
            f"labels are {given.min()} to {given.max()}: expected 0 to {classes - 1}, since the "
            f"logits have {classes} classes."
        )
    along = values.ndim == 4
    ends = values[:, -1] if along else values
    digest = content_hash(given)
    names = [f"{member:0{len(str(len(values) - 1))}d}" for member in range(len(values))]
    return Population(
        logits=ends,
        labels=given.astype(np.int64),
        indices=np.arange(images),
        records=[
            {
                "member": name,
                "seed": member,
                "config": {},
                "probe_hash": digest,
                "dataset": {"name": "arrays", "classes": [str(c) for c in range(classes)]},
            }
            for member, name in enumerate(names)
        ],
        trajectories=values if along else None,
        epochs=np.arange(values.shape[1]) if along else None,
    )


def read_array(source: Path | str | NDArray[Any], key: str) -> NDArray[Any]:
    """An array as it is, or read from a `.npy` or from `key` of an `.npz`, without unpickling.

    Raises UserError for what cannot be read so.
    """
    if not isinstance(source, (str, Path)):
        return np.asarray(source)
    try:
        loaded = np.load(source, mmap_mode="r", allow_pickle=False)
        if not isinstance(loaded, np.lib.npyio.NpzFile):
            return np.asanyarray(loaded)
        with loaded as archive:
            if key not in archive:
                raise UserError(f"{key}={source} holds {list(archive)}: expected an array '{key}'.")
            return np.asarray(archive[key])
    except BROKEN as error:
        raise UserError(
            f"{key}={source} cannot be read as an array ({type(error).__name__}: {error}): "
            "expected a .npy, or an .npz, without pickled objects."
        ) from error


def content_hash(*parts: bytes | str | NDArray[Any]) -> str:
    """SHA-256 of texts, bytes and arrays (with their types and shapes), in order."""
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, np.ndarray):
            digest.update(f"{part.dtype.str}{part.shape}".encode())
            digest.update(np.ascontiguousarray(part).data)
        else:
            digest.update(part.encode() if isinstance(part, str) else part)
        digest.update(b"\0")
    return digest.hexdigest()


@contextmanager
def _reading(path: Path) -> Iterator[Mapping[str, NDArray[Any]]]:
    """The artefact's arrays, with every way in which a file can be broken as one error."""
    try:
        with open_npz(path) as archive:
            yield archive
    except BROKEN as error:
        raise ArtefactError(
            f"{path} cannot be read as a probe artefact ({type(error).__name__}: {error}). It "
            "is truncated or comes from elsewhere: move it away and train that member again."
        ) from error


def _record(archive: Mapping[str, NDArray[Any]], path: Path) -> dict[str, Any]:
    if "record" not in archive:
        raise ArtefactError(f"{path} is not a probe artefact: it has no array 'record'.")
    return parse_record(str(archive["record"]), path)


def _slice(archive: Mapping[str, NDArray[Any]], prefix: str) -> ProbeSliceLogits:
    return ProbeSliceLogits(
        logits=archive[f"{prefix}logits"],
        labels=archive[f"{prefix}labels"],
        indices=archive[f"{prefix}indices"],
    )


def validate(member: ProbeLogits, path: Path) -> None:
    """Raise ArtefactError unless every array is what the contract says."""
    for name, part in {"probe": member, **member.slices}.items():
        if not is_text(name) or (name.startswith(SHIFTED) and not _SHIFT.fullmatch(name)):
            raise ArtefactError(
                f"{path}: a slice is named {name!r}, expected printable text, and of shifted "
                f"images {SHIFTED}<corruption>-<severity>."
            )
        where = f"{path}, {name}"
        if part.logits.ndim != 2 or part.logits.dtype != np.float32 or part.logits.size == 0:
            raise ArtefactError(
                f"{where}: logits are {part.logits.dtype} {list(part.logits.shape)}, "
                "expected float32 [images, classes]."
            )
        images, classes = part.logits.shape
        for key, array in [("labels", part.labels), ("indices", part.indices)]:
            if array.dtype != np.int64 or array.shape != (images,):
                raise ArtefactError(
                    f"{where}: {key} are {array.dtype} {list(array.shape)}, "
                    f"expected int64 [{images}]."
                )
        if part.labels.min() < 0 or part.labels.max() >= classes:
            raise ArtefactError(f"{where}: labels lie outside 0..{classes - 1}.")
        if name == "probe" and len(member.record["dataset"]["classes"]) != classes:
            raise ArtefactError(f"{where}: logits are of {classes} classes, the record of others.")
        if bad := int(np.count_nonzero(~_sane(part.logits))):
            raise ArtefactError(
                f"{where}: {bad} of {part.logits.size} logits are not finite, or beyond "
                f"{LARGEST:g}. Training diverged: lower the learning rate."
            )
    if member.trajectory is not None:
        _validate_trajectory(member.trajectory, member.logits.shape, path)


def _validate_trajectory(path: Trajectory, shape: tuple[int, ...], where: Path) -> None:
    logits, epochs = path.logits, path.epochs
    if (
        logits.dtype != np.float32
        or logits.ndim != 3
        or len(logits) == 0
        or logits.shape[1:] != shape
    ):
        raise ArtefactError(
            f"{where}: its trajectory is {logits.dtype} {list(logits.shape)}, expected float32 "
            f"[epochs, {shape[0]}, {shape[1]}]."
        )
    if (
        epochs.dtype != np.int64
        or epochs.shape != (len(logits),)
        or epochs[0] < 0
        or (np.diff(epochs) <= 0).any()
    ):
        raise ArtefactError(
            f"{where}: its trajectory's epochs are {epochs.tolist()}, expected {len(logits)} "
            "rising whole numbers from 0."
        )
    if not _sane(logits).all():
        raise ArtefactError(
            f"{where}: its trajectory holds logits that are not finite, or beyond {LARGEST:g}."
        )


def _sane(logits: NDArray[np.float32]) -> NDArray[np.bool_]:
    return np.abs(logits) < LARGEST
