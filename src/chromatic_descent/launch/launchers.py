"""Members in several processes at once: how many, and which cores and device each may use.

SLURM and Ray give every process its share. Those that joblib and submitit start on this machine are
given none: each would take all the cores and the first GPU. So whoever launches them lays out
places, one for every member that is trained at a time, and a process takes a place for as long as
it lives: some of the cores and, if there are GPUs, one of them.
"""

import atexit
import functools
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.types import Quote, QuotedString
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from chromatic_descent.errors import UserError

_BASIC = "hydra._internal.core_plugins.basic_launcher.BasicLauncher"
_JOBLIB = "hydra_plugins.hydra_joblib_launcher.joblib_launcher.JoblibLauncher"
_SUBMITIT_LOCAL = "hydra_plugins.hydra_submitit_launcher.submitit_launcher.LocalLauncher"
_RAY = "hydra_plugins.hydra_ray_launcher.ray_launcher.RayLauncher"
_CUDA = ("auto", "gpu", "cuda")  # Lightning's accelerators that may be CUDA's devices
_PLACES = "CHROMATIC_PLACES"  # the environment variable that leads processes to their places
_A_LOOK = 0.2  # seconds between looks for a free place
_A_FAREWELL = 5.0  # seconds for a process to end by itself


def in_parallel() -> bool:
    """Whether this is a job of a sweep whose launcher may run several members at a time."""
    if not HydraConfig.initialized():
        return False
    hydra = HydraConfig.get()
    return hydra.mode == RunMode.MULTIRUN and hydra.launcher._target_ != _BASIC


def at_once(accelerator: str, threads: int | None, members_per_gpu: int) -> int:
    """How many members this machine trains at a time: `members_per_gpu` on every GPU.

    Without GPUs it is one a core, or as many as have `threads` cores each.

    Raises UserError if a number is none.
    """
    gpus = len(devices(accelerator)) or _has_mps(accelerator)
    if gpus:
        return gpus * _count("members_per_gpu", members_per_gpu)
    return max(1, _cores() // (1 if threads is None else _count("threads", threads)))


def gpu_share(accelerator: str, members_per_gpu: int) -> float:
    """How much of a GPU a member asks a cluster for: 0 if it is not to be trained on one.

    `accelerator=auto` asks for a GPU if this machine has any; `gpu` does in any case.
    """
    wants = accelerator in ("gpu", "cuda") or bool(devices(accelerator))
    return 1 / _count("members_per_gpu", members_per_gpu) if wants else 0.0


def devices(accelerator: str) -> list[str]:
    """The CUDA devices that this process may use, by their names in CUDA_VISIBLE_DEVICES."""
    if accelerator not in _CUDA:
        return []
    import torch

    count = torch.cuda.device_count()
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = named.split(",") if named else [str(number) for number in range(count)]
    return [name.strip() for name in names[:count]]


@dataclass(frozen=True)
class Place:
    """What one of several processes may use, which is its own while it holds the lock."""

    lock: FileLock
    threads: int
    device: str | None  # its name in CUDA_VISIBLE_DEVICES; None: no GPU


def lay_out(folder: Path, places: int, devices: list[str]) -> None:
    """Make `places` places in a folder. Devices are handed out in turn, then over again."""
    layout = {"places": places, "threads": max(1, _cores() // places), "devices": devices}
    (folder / "layout.json").write_text(json.dumps(layout), encoding="utf-8")


def take(folder: Path) -> Place:
    """Take the first free place; wait for one if there is none."""
    layout = json.loads((folder / "layout.json").read_text(encoding="utf-8"))
    names = layout["devices"]
    while True:
        for number in range(layout["places"]):
            lock = FileLock(folder / f"{number}.lock")
            try:
                lock.acquire(blocking=False)
            except Timeout:
                continue
            device = names[number % len(names)] if names else None
            return Place(lock, layout["threads"], device)
        time.sleep(_A_LOOK)


@functools.cache  # joblib's processes train one member after another, on the same device
def place() -> Place | None:
    """This process's place, taken when first asked for; None if nobody has laid out any.

    Ask before CUDA is: it reads once which devices it may use.
    """
    folder = os.environ.get(_PLACES)
    if folder is None:
        return None
    taken = take(Path(folder))
    if taken.device is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = taken.device
    return taken


class Prepare(Callback):
    """What processes of a sweep need and their launcher does not give them."""

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Lay out places for processes on this machine; start Ray and tell its where this one is.

        What submitit pickles goes beside the study: nothing in a study is ever unpickled.
        """
        launcher = config.hydra.launcher
        if _is_inside(launcher.get("submitit_folder"), config.hydra.sweep.dir):
            launcher.submitit_folder = str(Path(config.paths.multirun, ".submitit", "%j"))
        os.environ.pop(_PLACES, None)
        if launcher._target_ in (_JOBLIB, _SUBMITIT_LOCAL):
            try:
                places, names = _places(config)
            except UserError as error:
                raise SystemExit(str(error)) from None  # Hydra makes warnings of exceptions here
            folder = Path(tempfile.mkdtemp(prefix="chromatic-"))
            atexit.register(shutil.rmtree, folder, ignore_errors=True)
            lay_out(folder, places, names)
            os.environ[_PLACES] = str(folder)
        elif launcher._target_ == _RAY:  # its processes are at home where the cluster was started
            for key, path in config.paths.items():
                quoted = QuotedString(str(Path(path).absolute()), Quote.single).with_quotes()
                config.hydra.overrides.task.append(f"paths.{key}={quoted}")
            _start_ray(OmegaConf.to_container(launcher.ray.init, resolve=True))  # type: ignore[arg-type]


@contextmanager
def ending_with_this() -> Iterator[None]:
    """Let no process on this machine outlive a sweep that was stopped, or that lost one of them.

    Raises UserError for what launchers raise if a process is gone.
    """
    try:
        yield
    except BaseException as error:
        lost = _is_lost(error)
        if lost or isinstance(error, KeyboardInterrupt):
            _end_processes()
        if lost:
            raise UserError(
                "A process that trained members is gone: killed, perhaps by the system for lack of "
                f"memory. The same command goes on. What the launcher says: {error}"
            ) from error
        raise
    finally:
        os.environ.pop(_PLACES, None)


def _places(config: DictConfig) -> tuple[int, list[str]]:
    """How many places for a sweep, and the devices to hand out."""
    trainer = config.trainer
    if config.hydra.launcher._target_ == _JOBLIB:
        import joblib

        places = joblib.effective_n_jobs(config.hydra.launcher.n_jobs)
    else:
        places = at_once(trainer.accelerator, config.threads, config.members_per_gpu)
    # whoever names devices has chosen them
    return places, devices(trainer.accelerator) if trainer.devices == 1 else []


def _is_inside(path: str | None, folder: str) -> bool:
    return path is not None and Path(path).resolve().is_relative_to(Path(folder).resolve())


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
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise UserError(f"{key} is {value!r}: expected a whole number from 1, as in {key}=2.")
    return value


def _is_lost(error: BaseException) -> bool:
    """Whether a launcher says so: loky's, submitit's and Ray's errors, without importing them."""
    names = {kind.__name__ for kind in type(error).__mro__}
    return bool(
        names & {"BrokenProcessPool", "UncompletedJobError", "FailedJobError", "WorkerCrashedError"}
    )


def _start_ray(init: dict[str, Any]) -> None:
    """Start Ray, or join it, before its launcher does: it replaces what SIGTERM does here."""
    handler = signal.getsignal(signal.SIGTERM)
    import ray

    try:
        ray.init(**init)
    except (OSError, ValueError, RuntimeError) as error:
        raise SystemExit(
            f"Ray cannot be used with hydra.launcher.ray.init={init}: {error}"
        ) from None
    signal.signal(signal.SIGTERM, handler)


def _end_processes() -> None:
    """End what submitit and Ray have started on this machine; joblib ends its own."""
    ray = sys.modules.get("ray")
    if ray is None and "submitit" not in sys.modules:
        return
    import psutil

    left = psutil.Process().children(recursive=True)
    if ray is not None:
        ray.shutdown()
    for number in (signal.SIGINT, signal.SIGKILL):  # submitit's are made to outlive this process
        for process in left:
            with suppress(psutil.NoSuchProcess):
                process.send_signal(number)
        left = psutil.wait_procs(left, timeout=_A_FAREWELL)[1]
