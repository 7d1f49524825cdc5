"""The probe artefact: one member's logits on the probe and their provenance, in one file.

This is the contract between training and analysis. One member is one `.npz` with arrays

    logits   [N, C] float32   the member's outputs on N probe images, C classes
    labels   [N]    int64     their true classes
    indices  [N]    int64     their indices in the data set's test split
    record   []     str       a JSON object, see `record.py`

and, for every further slice of images (such as `train`), `train.logits`, `train.labels`,
`train.indices`. The slices are `train` and `heldout` images; test images under a corruption,
`shift-<corruption>-<severity>`; and images of other data, `foreign-<kind>`, whose labels are 0 and
mean nothing. A member that was recorded during training also has `trajectory` [T, N, C] float32 and
`epochs` [T] int64, the epochs trained at each recording (0: untrained). Files are read with
`allow_pickle=False`: nothing in them is ever executed.
"""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chromatic_descent.errors import ArtefactError
from chromatic_descent.files.arrays import BROKEN, open_npz
from chromatic_descent.files.atomic import atomic_path
from chromatic_descent.probe_logits.record import LARGEST, is_text, parse_record

SHIFTED = "shift-"
"""How the name of a slice of shifted images begins."""

FOREIGN = "foreign-"
"""How the name of a slice of images of other data begins."""

_SLICE_ARRAYS = ("logits", "labels", "indices")
_SHIFT = re.compile(rf"{SHIFTED}.*-[0-9]{{1,9}}")


@dataclass(frozen=True)
class ProbeSliceLogits:
    """A member's outputs on one slice of images: logits [N, C], labels [N], indices [N]."""

    logits: NDArray[np.float32]
    labels: NDArray[np.int64]
    indices: NDArray[np.int64]


@dataclass(frozen=True)
class Trajectory:
    """Outputs on the probe during training: logits [T, N, C] after epochs [T], rising."""

    logits: NDArray[np.float32]
    epochs: NDArray[np.int64]


@dataclass(frozen=True)
class ProbeLogits(ProbeSliceLogits):
    """One member's artefact: outputs on the probe, its record, further slices, its trajectory."""

    record: dict[str, Any]
    slices: dict[str, ProbeSliceLogits] = field(default_factory=dict)
    trajectory: Trajectory | None = None


def save(path: Path, member: ProbeLogits) -> None:
    """Write a member's artefact, whole or not at all; it is validated first.

    Raises ArtefactError if the logits are not finite (training diverged) or shapes disagree.
    """
    validate(member, path)
    arrays: dict[str, Any] = {"record": np.array(json.dumps(member.record, allow_nan=False))}
    for prefix, part in [("", member), *((f"{name}.", s) for name, s in member.slices.items())]:
        arrays |= {f"{prefix}{key}": getattr(part, key) for key in _SLICE_ARRAYS}
    if member.trajectory is not None:
        arrays["trajectory"] = member.trajectory.logits
        arrays["epochs"] = member.trajectory.epochs
    with atomic_path(path) as temporary:
        np.savez(temporary, allow_pickle=False, **arrays)


def read_record(path: Path) -> dict[str, Any]:
    """Read only the JSON record of an artefact: fast, whatever the size of its logits.

    Raises ArtefactError if the file is truncated, foreign, or of a newer schema.
    """
    with _reading(path) as (record, _):
        return record


def load(path: Path) -> ProbeLogits:
    """Read and validate a member's artefact.

    Raises ArtefactError, naming the file, if it is truncated, foreign, of a newer schema, or
    holds arrays of a shape, type or value that no member can have.
    """
    with _reading(path) as (record, archive):
        prefixes = sorted(k.removesuffix("logits") for k in archive if k.endswith(".logits"))
        probe = _slice(archive, "")
        slices = {prefix.rstrip("."): _slice(archive, prefix) for prefix in prefixes}
        trajectory = None
        if "trajectory" in archive:
            trajectory = Trajectory(archive["trajectory"], archive["epochs"])
    member = ProbeLogits(probe.logits, probe.labels, probe.indices, record, slices, trajectory)
    validate(member, path)
    return member


@contextmanager
def _reading(path: Path) -> Iterator[tuple[dict[str, Any], Mapping[str, NDArray[Any]]]]:
    """The artefact's record and arrays; any broken or foreign file raises ArtefactError."""
    try:
        with open_npz(path) as archive:
            yield parse_record(str(archive["record"]), path), archive
    except KeyError as error:
        raise ArtefactError(f"{path} is not a probe artefact: it has no array {error}.") from None
    except BROKEN as error:
        raise ArtefactError(
            f"{path} cannot be read as a probe artefact ({type(error).__name__}: {error}). It "
            "is truncated or comes from elsewhere: move it away and train that member again."
        ) from error


def _slice(archive: Mapping[str, NDArray[Any]], prefix: str) -> ProbeSliceLogits:
    return ProbeSliceLogits(*(archive[f"{prefix}{key}"] for key in _SLICE_ARRAYS))


def validate(member: ProbeLogits, path: Path) -> None:
    """Raise ArtefactError unless every array keeps to the contract."""
    for name, part in {"probe": member, **member.slices}.items():
        if not is_text(name) or (name.startswith(SHIFTED) and not _SHIFT.fullmatch(name)):
            raise ArtefactError(
                f"{path}: a slice is named {name!r}, expected printable text, and for shifted "
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
            raise ArtefactError(f"{where}: logits have {classes} classes, the record has others.")
        if bad := int(np.count_nonzero(~_sane(part.logits))):
            raise ArtefactError(
                f"{where}: {bad} of {part.logits.size} logits are not finite, or beyond "
                f"{LARGEST:g}. Training diverged: lower the learning rate."
            )
    if member.trajectory is not None:
        _validate_trajectory(member.trajectory, member.logits.shape, path)


def _validate_trajectory(trajectory: Trajectory, shape: tuple[int, ...], where: Path) -> None:
    logits, epochs = trajectory.logits, trajectory.epochs
    if logits.dtype != np.float32 or logits.shape[1:] != shape or len(logits) == 0:
        raise ArtefactError(
            f"{where}: trajectory is {logits.dtype} {list(logits.shape)}, expected float32 "
            f"[epochs, {shape[0]}, {shape[1]}]."
        )
    rising = epochs.shape == (len(logits),) and (np.diff(epochs, prepend=-1) > 0).all()
    if epochs.dtype != np.int64 or not rising:
        raise ArtefactError(
            f"{where}: epochs of the trajectory are {epochs.tolist()}, expected {len(logits)} "
            "rising whole numbers from 0."
        )
    if not _sane(logits).all():
        raise ArtefactError(
            f"{where}: trajectory holds logits that are not finite, or beyond {LARGEST:g}."
        )


def _sane(logits: NDArray[np.float32]) -> NDArray[np.bool_]:
    return np.abs(logits) < LARGEST
