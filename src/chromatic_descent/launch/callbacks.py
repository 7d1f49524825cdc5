"""What this project tells Hydra: the names of a sweep's members, and why a job failed."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.utils import JobReturn, JobStatus
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig

from chromatic_descent.launch.command_line import is_user_error
from chromatic_descent.study import Study

log = logging.getLogger(__name__)


class NameMembers(Callback):
    """Name each member of a sweep by its seed and by whatever else the sweep varies.

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


@dataclass(frozen=True)
class Launch:
    """What this process launched, for the report at its end."""

    study: Study
    is_sweep: bool
    overrides: str  # those with which the same command continues the study

    @classmethod
    def of(cls, config: DictConfig, study: Study, is_sweep: bool) -> "Launch":
        """The launch of a config."""
        root = study.path.parent
        elsewhere = "" if root == Path(config.paths.multirun) else f" paths.multirun={root}"
        return cls(study, is_sweep, f"study={study.name}{elsewhere}")


class ReportFailures(Callback):
    """Log at once, with the member's name, why a job of a sweep failed; the others go on."""

    launch: ClassVar[Launch | None] = None

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Remember the study of a sweep."""
        ReportFailures.launch = Launch.of(config, Study(Path(config.hydra.sweep.dir)), True)

    def on_job_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Remember the study of a single run; keep no log behind a link out of the study."""
        if config.hydra.mode is RunMode.RUN:
            study = Study(Path(config.hydra.run.dir).parent)
            ReportFailures.launch = Launch.of(config, study, False)
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
            log.error("%s: %s", name, error, exc_info=None if is_user_error(error) else error)
