"""Members on one probe, stacked: logits [S, N, C], from artefacts or from arrays of any origin."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chromatic_descent.errors import ArtefactError, UserError
from chromatic_descent.files.arrays import read_array
from chromatic_descent.files.hashing import content_hash
from chromatic_descent.probe_logits.artefact import ProbeLogits, ProbeSliceLogits


@dataclass(frozen=True)
class Population:
    """Members on one probe: logits [S, N, C], labels [N], indices [N], and S records.

    `trajectories` are logits [S, T, N, C] if every member was recorded after the same `epochs` [T].
    `slices` has, by name, the further slices of images that every member was recorded on, with
    logits [S, M, C] each.
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


def stack(members: Sequence[ProbeLogits]) -> Population:
    """Stack members into one population, logits [S, N, C], if they belong together.

    Raises ArtefactError if they were recorded on different probes (the message lists the members of
    each), or if there are no members.
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
        if not _same_images(member, first):
            raise ArtefactError(
                f"{member.record['member']} and {first.record['member']} name the same probe but "
                "their labels, indices or shapes differ: one of the two files was altered."
            )
    trajectories = [member.trajectory for member in members if member.trajectory is not None]
    comparable = len(trajectories) == len(members) and all(
        np.array_equal(each.epochs, trajectories[0].epochs) for each in trajectories
    )
    return Population(
        logits=np.stack([member.logits for member in members]),  # [S, N, C]
        labels=first.labels,
        indices=first.indices,
        records=[member.record for member in members],
        trajectories=np.stack([each.logits for each in trajectories]) if comparable else None,
        epochs=trajectories[0].epochs if comparable else None,
        slices=_common_slices(members),
    )


def _same_images(one: ProbeSliceLogits, other: ProbeSliceLogits) -> bool:
    return (
        one.logits.shape == other.logits.shape
        and np.array_equal(one.labels, other.labels)
        and np.array_equal(one.indices, other.indices)
    )


def _common_slices(members: Sequence[ProbeLogits]) -> dict[str, ProbeSliceLogits]:
    """The slices that every member was recorded on, with the same images in each."""
    common: dict[str, ProbeSliceLogits] = {}
    for name, first in members[0].slices.items():
        parts = [member.slices.get(name) for member in members]
        hashes = {member.record["slice_hashes"].get(name) for member in members}
        same = [part for part in parts if part is not None and _same_images(part, first)]
        if len(same) == len(members) and len(hashes) == 1:
            logits = np.stack([part.logits for part in same])  # [S, N, C]
            common[name] = ProbeSliceLogits(logits, first.labels, first.indices)
    return common


def from_arrays(
    logits: Path | str | NDArray[np.floating], labels: Path | str | NDArray[np.integer]
) -> Population:
    """A population from logits of any origin, with numbers as the names of members and classes.

    Args:
        logits: [S, N, C], or [S, T, N, C] for members recorded T times along training; an array,
            or the path of a `.npy`, or of an `.npz` with an array `logits`. A `.npy` is
            memory-mapped: it may be larger than memory.
        labels: [N], an array or a file, as above (in an `.npz`: `labels`).

    Raises:
        UserError: a file that cannot be read; shapes or types that do not fit each other.
    """
    values = read_array(logits, "logits")
    if values.dtype.kind != "f" or values.ndim not in (3, 4) or 0 in values.shape:
        raise UserError(
            f"logits are {values.dtype} {list(values.shape)}: expected floating-point numbers "
            "[members, images, classes], or [members, epochs, images, classes]."
        )
    *_, images, classes = values.shape
    given = read_array(labels, "labels")
    true = check_whole_numbers(given, "labels", images)
    if given.min() < 0 or given.max() >= classes:
        raise UserError(
            f"labels are {given.min()} to {given.max()}: expected 0 to {classes - 1}, since the "
            f"logits have {classes} classes."
        )
    has_epochs = values.ndim == 4
    common = {
        "config": {},
        "probe_hash": content_hash(given),
        "dataset": {"name": "arrays", "classes": [str(c) for c in range(classes)]},
    }
    names = [f"{member:0{len(str(len(values) - 1))}d}" for member in range(len(values))]
    return Population(
        logits=values[:, -1] if has_epochs else values,
        labels=true,
        indices=np.arange(images),
        records=[{"member": name, "seed": seed, **common} for seed, name in enumerate(names)],
        trajectories=values if has_epochs else None,
        epochs=np.arange(values.shape[1]) if has_epochs else None,
    )


def check_whole_numbers(array: NDArray[Any], name: str, images: int) -> NDArray[np.int64]:
    """Return `array` [N] as int64, or raise UserError unless it has a whole number per image."""
    if array.dtype.kind not in "iu" or array.shape != (images,):
        raise UserError(
            f"{name} are {array.dtype} {list(array.shape)}: expected a whole number for each of "
            f"the {images} images of the logits."
        )
    return array.astype(np.int64)
