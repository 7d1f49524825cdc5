"""Slots: which cores and device each of several processes on this machine may use.

SLURM and Ray give every process its share. Processes that joblib and submitit start on this machine
get none: each would take all the cores and the first GPU. So the sweep lays out slots, one for
every member trained at a time, and a process keeps one slot for as long as it lives: some of the
cores and, if there are GPUs, one of them.
"""

import functools
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from chromatic_descent.errors import UserError, is_whole

FOLDER = "CHROMATIC_SLOTS"  # the environment variable with the folder of a sweep's slots
_CUDA = ("auto", "gpu", "cuda")  # Lightning's accelerators that may be CUDA devices
_POLL_INTERVAL = 0.2  # seconds between looks for a free slot


def at_once(accelerator: str, threads: int | None, members_per_gpu: int) -> int:
    """How many members this machine trains at a time: `members_per_gpu` on every GPU.

    Without GPUs it is one per core, or as many as have `threads` cores each. Raises UserError for a
    count that is not a whole number from 1.
    """
    gpus = len(devices(accelerator)) or _has_mps(accelerator)
    if gpus:
        return gpus * _count("members_per_gpu", members_per_gpu)
    return max(1, _cores() // (1 if threads is None else _count("threads", threads)))


def gpu_share(accelerator: str, members_per_gpu: int) -> float:
    """The share of a GPU that a member requests from a cluster: 0 if it needs none.

    `accelerator=auto` requests a GPU if this machine has any; `gpu` always does.
    """
    wants = accelerator in ("gpu", "cuda") or bool(devices(accelerator))
    return 1 / _count("members_per_gpu", members_per_gpu) if wants else 0.0


def devices(accelerator: str) -> list[str]:
    """The CUDA devices that this process may use, by their names in CUDA_VISIBLE_DEVICES."""
    if accelerator not in _CUDA:
        return []
    import torch

    count = torch.cuda.device_count()
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = visible.split(",") if visible else [str(index) for index in range(count)]
    return [name.strip() for name in names[:count]]


@dataclass(frozen=True)
class Slot:
    """The cores and device that one of several processes may use while it holds the lock."""

    lock: FileLock
    threads: int
    device: str | None  # its name in CUDA_VISIBLE_DEVICES; None: no GPU


def lay_out(folder: Path, slots: int, devices: list[str]) -> None:
    """Make `slots` slots in a folder; they take the devices in rotation."""
    layout = {"slots": slots, "threads": max(1, _cores() // slots), "devices": devices}
    (folder / "layout.json").write_text(json.dumps(layout), encoding="utf-8")


def take(folder: Path) -> Slot:
    """Take the first free slot; wait until one is free."""
    layout = json.loads((folder / "layout.json").read_text(encoding="utf-8"))
    names = layout["devices"]
    while True:
        for index in range(layout["slots"]):
            lock = FileLock(folder / f"{index}.lock")
            try:
                lock.acquire(blocking=False)
            except Timeout:
                continue
            device = names[index % len(names)] if names else None
            return Slot(lock, layout["threads"], device)
        time.sleep(_POLL_INTERVAL)


@functools.cache  # joblib's processes train one member after another, on the same device
def own_slot() -> Slot | None:
    """This process's slot, taken by the first call; None if none are laid out.

    Call it before CUDA starts: CUDA reads CUDA_VISIBLE_DEVICES only once.
    """
    folder = os.environ.get(FOLDER)
    if folder is None:
        return None
    slot = take(Path(folder))
    if slot.device is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = slot.device
    return slot


def _cores() -> int:
    """How many cores this process may use, by affinity and by a container's limit."""
    import joblib

    return int(joblib.cpu_count())


def _has_mps(accelerator: str) -> bool:
    if accelerator not in ("auto", "gpu", "mps"):
        return False
    import torch

    return torch.backends.mps.is_available()


def _count(key: str, value: object) -> int:
    if not is_whole(value, 1):
        raise UserError(f"{key} is {value!r}: expected a whole number from 1, as in {key}=2.")
    return value
