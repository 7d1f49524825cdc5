"""Hydra's callbacks: they name a sweep's members and say why some did not finish."""

import logging
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.utils import JobReturn, JobStatus
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig

from chromatic_descent.launch import command_line
from chromatic_descent.study import Study

log = logging.getLogger(__name__)


class NameMembers(Callback):
    """Name each member of a sweep by its seed and by whatever the sweep varies besides.

    Hydra's `override_dirname` lists every override of a job; those that are the same for the whole
    sweep are excluded here, once, before the jobs are composed.
    """

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Exclude from members' names each override that the sweep does not vary."""
        texts = [
            *(f"{k}={v}" for k, v in (config.hydra.sweeper.get("params") or {}).items()),
            *config.hydra.overrides.task,
        ]
        overrides = OverridesParser.create().parse_overrides(texts)
        fixed = [o.get_key_element().lstrip("+~") for o in overrides if not o.is_sweep_override()]
        excluded = ",".join(sorted({*fixed, "seed"}))
        config.hydra.overrides.hydra.append(
            f"hydra.job.config.override_dirname.exclude_keys=[{excluded}]"
        )


class Launch(NamedTuple):
    """A process's launch, for the report at its end."""

    study: Study
    multirun: Path  # the folder in which studies are looked for by name
    is_sweep: bool


class ReportFailures(Callback):
    """Log at once, with the member's name, why a job of a sweep failed; the others go on."""

    launch: ClassVar[Launch | None] = None

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Remember the study of a sweep."""
        study = Study(Path(config.hydra.sweep.dir))
        ReportFailures.launch = Launch(study, Path(config.paths.multirun), True)

    def on_job_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Remember the study of a single run; write no log through a link out of the study."""
        if config.hydra.mode is RunMode.RUN:
            study = Study(Path(config.hydra.run.dir).parent)
            ReportFailures.launch = Launch(study, Path(config.paths.multirun), False)
        study = Study(Path(config.hydra.runtime.output_dir).parent)
        for handler in list(logging.root.handlers):
            file = getattr(handler, "baseFilename", None)
            if file is not None and study.is_link_out(Path(file)):
                logging.root.removeHandler(handler)

    def on_job_end(self, config: DictConfig, job_return: JobReturn, **kwargs: Any) -> None:
        """Log why a job failed, with its traceback if the user cannot fix it."""
        if job_return.status is JobStatus.FAILED and config.hydra.mode is RunMode.MULTIRUN:
            error = job_return._return_value  # `return_value` would raise it
            name = Path(config.hydra.runtime.output_dir).name
            is_user_error = command_line.is_user_error(error)
            log.error("%s: %s", name, error, exc_info=None if is_user_error else error)


def explain_end(error: BaseException) -> str | None:
    """The message to end a launch with; None for an error that needs its traceback.

    For a sweep, and for any launch that was stopped, it lists the members that did not finish and
    how to continue; members that failed have logged their tracebacks.
    """
    launch = ReportFailures.launch
    stopped = isinstance(error, KeyboardInterrupt)
    if launch is None or not (launch.is_sweep or stopped):
        return command_line.explain(error)
    study = launch.study
    members = study.members()
    unfinished = [member.explain() for member in members if member.status != "complete"]
    done = f"{study.path}: {len(members) - len(unfinished)} of {len(members)} complete."
    if stopped:
        root = study.path.parent
        elsewhere = "" if root == launch.multirun else f" paths.multirun={root}"
        advice = f"The same command with study={study.name}{elsewhere} continues from there."
        return "\n  ".join([f"Interrupted. {done}", *unfinished, advice])
    if not unfinished:
        return command_line.explain(error)
    reason = command_line.message(error)
    is_listed = reason.partition("\n")[0] in "\n".join(unfinished)
    return "\n  ".join([done, *unfinished]) + ("" if is_listed else f"\n{reason}")
