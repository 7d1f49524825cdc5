"""The probe artefact: what one member says on the probe, in one file, and how members are stacked.

This is the contract between training and analysis. One member is one `.npz` with arrays

    logits   [N, C] float32   the member's outputs on N probe images, C classes
    labels   [N]    int64     their true classes
    indices  [N]    int64     their places in the data set's test split
    record   []     str       a JSON object, see `RECORD_KEYS`

and, for every further recorded slice (say `train`), `train.logits`, `train.labels`,
`train.indices`. Files are read with `allow_pickle=False`: nothing in them is ever executed.
"""

import hashlib
import json
import zipfile
import zlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chromatic_descent.atomic import atomic_path
from chromatic_descent.errors import UserError

SCHEMA_VERSION = 1

RECORD_KEYS = (
    "schema_version",  # int, of this file's layout
    "member",  # str, the member's name in its study
    "seed",  # int
    "config",  # the resolved config that determines the member, less its seed
    "config_hash",  # str, SHA-256 of that
    "probe_hash",  # str, SHA-256 of the probe images as the network sees them, labels and indices
    "dataset",  # {name, fingerprint, classes}
    "accuracy",  # float, on the probe
    "precision",  # str, what training ran in
    "versions",  # {package: version}
    "hardware",  # {accelerator, device, threads, ...}
    "wall_time",  # {train, record}, seconds
    "finished",  # str, ISO 8601, UTC
)


class ArtefactError(UserError):
    """A probe artefact that cannot be used."""


@dataclass(frozen=True)
class ProbeSliceLogits:
    """A member's outputs on one slice of images: logits [N, C], labels [N], indices [N]."""

    logits: NDArray[np.float32]
    labels: NDArray[np.int64]
    indices: NDArray[np.int64]


@dataclass(frozen=True)
class ProbeLogits(ProbeSliceLogits):
    """One member's probe artefact: outputs on the probe, its record, and any further slices."""

    record: dict[str, Any]
    slices: dict[str, ProbeSliceLogits] = field(default_factory=dict)


@dataclass(frozen=True)
class Population:
    """Members on one probe: logits [S, N, C], labels [N], indices [N], and S records."""

    logits: NDArray[np.float32]
    labels: NDArray[np.int64]
    indices: NDArray[np.int64]
    records: list[dict[str, Any]]

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
    _validate(member, path)
    arrays: dict[str, Any] = {"record": np.array(json.dumps(member.record, allow_nan=False))}
    for prefix, part in [("", member), *((f"{name}.", s) for name, s in member.slices.items())]:
        arrays[f"{prefix}logits"] = part.logits
        arrays[f"{prefix}labels"] = part.labels
        arrays[f"{prefix}indices"] = part.indices
    with atomic_path(path) as temporary:
        np.savez(temporary, allow_pickle=False, **arrays)


def read_record(path: Path) -> dict[str, Any]:
    """Read only the JSON record of an artefact: fast, whatever the size of its logits.

    Raises ArtefactError if the file is truncated, foreign, or of a newer schema.
    """
    with _Reader(path) as archive:
        return _record(archive, path)


def load(path: Path) -> ProbeLogits:
    """Read and validate a member's artefact.

    Raises ArtefactError, naming the file, if it is truncated, foreign, of a newer schema, or
    holds arrays whose shapes, types or values cannot be a member's.
    """
    with _Reader(path) as archive:
        record = _record(archive, path)
        prefixes = sorted(k.removesuffix("logits") for k in archive if k.endswith(".logits"))
        try:
            main = _slice(archive, "")
            slices = {prefix.rstrip("."): _slice(archive, prefix) for prefix in prefixes}
        except KeyError as error:
            raise ArtefactError(
                f"{path} is not a probe artefact: it has no array {error}"
            ) from None
    member = ProbeLogits(main.logits, main.labels, main.indices, record, slices)
    _validate(member, path)
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
    return Population(
        logits=np.stack([member.logits for member in members]),  # [S, N, C]
        labels=first.labels,
        indices=first.indices,
        records=[member.record for member in members],
    )


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


# What numpy and zipfile raise for files that are truncated, altered or something else.
_BROKEN = (OSError, ValueError, EOFError, NotImplementedError, zipfile.BadZipFile, zlib.error)


class _Reader:
    """`np.load` without pickle, as a context, with every way a file can be broken as one error."""

    def __init__(self, path: Path):
        self.path = path

    def __enter__(self) -> Mapping[str, NDArray[Any]]:
        try:
            self.file = self.path.open("rb")
        except OSError as error:
            raise self._unreadable(error) from error
        try:
            archive = np.load(self.file, allow_pickle=False)
        except _BROKEN as error:
            self.file.close()
            raise self._unreadable(error) from error
        if not isinstance(archive, np.lib.npyio.NpzFile):
            self.file.close()
            raise ArtefactError(f"{self.path} is not a probe artefact: it holds a single array.")
        return archive

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        self.file.close()
        if isinstance(error, _BROKEN):
            raise self._unreadable(error) from error

    def _unreadable(self, error: BaseException) -> ArtefactError:
        return ArtefactError(
            f"{self.path} cannot be read as a probe artefact ({type(error).__name__}: {error}). It "
            "is truncated or comes from elsewhere: move it away and train that member again."
        )


def _record(archive: Mapping[str, NDArray[Any]], path: Path) -> dict[str, Any]:
    if "record" not in archive:
        raise ArtefactError(f"{path} is not a probe artefact: it has no array 'record'.")
    try:
        record = json.loads(str(archive["record"]))
    except json.JSONDecodeError as error:
        raise ArtefactError(f"{path}: its record is not JSON ({error}).") from error
    if not isinstance(record, dict):
        raise ArtefactError(f"{path}: its record is a {type(record).__name__}, not an object.")
    if record.get("schema_version") != SCHEMA_VERSION:
        raise ArtefactError(
            f"{path} has schema version {record.get('schema_version')!r}; this release reads "
            f"{SCHEMA_VERSION}. Use the release that wrote it, or train that member again."
        )
    if missing := [key for key in RECORD_KEYS if key not in record]:
        raise ArtefactError(f"{path}: its record lacks {', '.join(missing)}.")
    return record


def _slice(archive: Mapping[str, NDArray[Any]], prefix: str) -> ProbeSliceLogits:
    return ProbeSliceLogits(
        logits=archive[f"{prefix}logits"],
        labels=archive[f"{prefix}labels"],
        indices=archive[f"{prefix}indices"],
    )


def _validate(member: ProbeLogits, path: Path) -> None:
    """Raise ArtefactError unless every array is what the contract says."""
    for name, part in {"probe": member, **member.slices}.items():
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
        if bad := int(np.count_nonzero(~np.isfinite(part.logits))):
            raise ArtefactError(
                f"{where}: {bad} of {part.logits.size} logits are not finite. Training diverged: "
                "lower the learning rate."
            )
