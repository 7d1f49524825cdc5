"""Work that Hydra's launchers leave to this project: slots, starting Ray, ending processes.

Each of Hydra's launchers is an option of `configs/launcher/`. If it starts processes on this
machine that share its cores and GPUs, list it in `SHARING`.
"""

import atexit
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.types import Quote, QuotedString
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from chromatic_descent.errors import UserError
from chromatic_descent.launch import slots

_BASIC = "hydra._internal.core_plugins.basic_launcher.BasicLauncher"
_JOBLIB = "hydra_plugins.hydra_joblib_launcher.joblib_launcher.JoblibLauncher"
_SUBMITIT_LOCAL = "hydra_plugins.hydra_submitit_launcher.submitit_launcher.LocalLauncher"
_RAY = "hydra_plugins.hydra_ray_launcher.ray_launcher.RayLauncher"
SHARING = (_JOBLIB, _SUBMITIT_LOCAL)  # launchers whose processes share this machine
_LOST = {"BrokenProcessPool", "UncompletedJobError", "FailedJobError", "WorkerCrashedError"}
_GRACE = 5.0  # seconds for a process to end by itself


def in_parallel() -> bool:
    """Whether this is a job of a sweep whose launcher may run several members at a time."""
    if not HydraConfig.initialized():
        return False
    hydra = HydraConfig.get()
    return hydra.mode == RunMode.MULTIRUN and hydra.launcher._target_ != _BASIC


class Prepare(Callback):
    """Give the processes of a sweep what they need and their launcher leaves out."""

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Lay out slots for processes on this machine; start Ray, with absolute paths.

        submitit's pickles go beside the study: nothing in a study is ever unpickled.
        """
        launcher = config.hydra.launcher
        pickles, study = launcher.get("submitit_folder"), Path(config.hydra.sweep.dir)
        if pickles is not None and Path(pickles).resolve().is_relative_to(study.resolve()):
            launcher.submitit_folder = str(Path(config.paths.multirun, ".submitit", "%j"))
        os.environ.pop(slots.FOLDER, None)
        if launcher._target_ in SHARING:
            _lay_out(config)
        elif launcher._target_ == _RAY:  # its processes start in the folder of the cluster's start
            for key, path in config.paths.items():
                quoted = QuotedString(str(Path(path).absolute()), Quote.single).with_quotes()
                config.hydra.overrides.task.append(f"paths.{key}={quoted}")
            _start_ray(OmegaConf.to_container(launcher.ray.init, resolve=True))  # type: ignore[arg-type]


@contextmanager
def no_orphans() -> Iterator[None]:
    """End every process on this machine when a sweep is stopped, or loses one of them.

    Raises UserError in place of a launcher's error about a lost process.
    """
    try:
        yield
    except BaseException as error:
        # loky's, submitit's and Ray's errors, without importing any of them
        is_lost = any(kind.__name__ in _LOST for kind in type(error).__mro__)
        if is_lost or isinstance(error, KeyboardInterrupt):
            _end_processes()
        if is_lost:
            raise UserError(
                "A process that trained members is gone: killed, perhaps by the system for lack of "
                "memory. The same command continues the study. The launcher's message: "
                f"{error}"
            ) from error
        raise
    finally:
        os.environ.pop(slots.FOLDER, None)


def _lay_out(config: DictConfig) -> None:
    """Lay out as many slots as the launcher starts processes."""
    trainer, launcher = config.trainer, config.hydra.launcher
    try:
        if launcher._target_ == _JOBLIB:
            import joblib

            count = joblib.effective_n_jobs(launcher.n_jobs)
        else:
            count = slots.at_once(trainer.accelerator, config.threads, config.members_per_gpu)
    except UserError as error:
        raise SystemExit(str(error)) from None  # Hydra turns exceptions here into warnings
    # a user who names devices has chosen them
    devices = slots.devices(trainer.accelerator) if trainer.devices == 1 else []
    folder = Path(tempfile.mkdtemp(prefix="chromatic-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    slots.lay_out(folder, count, devices)
    os.environ[slots.FOLDER] = str(folder)


def _start_ray(init: dict[str, Any]) -> None:
    """Start Ray, or join it, before its launcher does: it replaces this process's SIGTERM."""
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
    """End every process that submitit and Ray have started on this machine; joblib ends its own."""
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
        left = psutil.wait_procs(left, timeout=_GRACE)[1]
