"""What a launch tells Hydra: the folders members go to, and what became of each."""

import logging
from pathlib import Path
from typing import Any, ClassVar

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.utils import JobReturn, JobStatus
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig

from chromatic_descent.launch.command_line import is_mendable
from chromatic_descent.study import Study

log = logging.getLogger(__name__)


class NameMembers(Callback):
    """Name each member of a sweep by its seed and by what else the sweep varies, nothing more.

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


class ReportFailures(Callback):
    """Say at once, with the member's name, why a job of a sweep failed; the others go on."""

    # What this process launched, for what is said at its end.
    study: ClassVar[Study | None] = None
    sweep: ClassVar[bool] = False
    named: ClassVar[str] = ""  # the overrides with which the same command goes on

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Remember the study of a sweep."""
        self._remember(Study(Path(config.hydra.sweep.dir)), config)
        ReportFailures.sweep = True

    def on_job_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Remember the study of a single run; keep no log behind a link out of the study."""
        if config.hydra.mode is RunMode.RUN:
            self._remember(Study(Path(config.hydra.run.dir).parent), config)
        study = Study(Path(config.hydra.runtime.output_dir).parent)
        for handler in list(logging.root.handlers):
            file = getattr(handler, "baseFilename", None)
            if file is not None and study.is_link_out(Path(file)):
                logging.root.removeHandler(handler)

    def on_job_end(self, config: DictConfig, job_return: JobReturn, **kwargs: Any) -> None:
        """Log a failed job's reason, with its traceback if it is not the user's to mend."""
        if job_return.status is JobStatus.FAILED and config.hydra.mode is RunMode.MULTIRUN:
            error = job_return._return_value  # `return_value` would raise it
            name = Path(config.hydra.runtime.output_dir).name
            log.error("%s: %s", name, error, exc_info=None if is_mendable(error) else error)

    def _remember(self, study: Study, config: DictConfig) -> None:
        root = study.path.parent
        elsewhere = "" if root == Path(config.paths.multirun) else f" paths.multirun={root}"
        ReportFailures.study, ReportFailures.named = study, f"study={study.name}{elsewhere}"
        ReportFailures.sweep = False
