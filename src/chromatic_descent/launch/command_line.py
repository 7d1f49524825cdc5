"""What both commands share: one clear message and a non-zero exit for whatever can be mended."""

import logging
import os
import sys
from collections.abc import Callable

from hydra.errors import HydraException, MissingConfigException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from chromatic_descent.config import check_seed
from chromatic_descent.errors import UserError, causes
from chromatic_descent.launch.launchers import at_once, gpu_share
from chromatic_descent.launch.stopping import exit_code, sigterm_as_ctrl_c
from chromatic_descent.study import member_name, study_folder

# Errors whose message is all the user needs: their mistakes, and what the system refused.
MENDABLE = (UserError, HydraException, OmegaConfBaseException, OSError)


def is_mendable(error: BaseException) -> bool:
    """Whether its message is all that the user needs; a traceback says more of others."""
    return isinstance(error, MENDABLE) or isinstance(error.__cause__, OSError)


def message(error: BaseException) -> str:
    """What went wrong, without the library's packaging around it."""
    if isinstance(error, KeyboardInterrupt):
        return "Interrupted."
    for each in causes(error):  # raised while a config was resolved, say: the rest is OmegaConf's
        if isinstance(each, UserError):
            return str(each)
    if isinstance(error.__cause__, OmegaConfBaseException):
        return f"{error}\n{error.__cause__}"
    if isinstance(error, MissingConfigException) and (extra := _extra(error.missing_cfg_file)):
        return (
            f"{error.missing_cfg_file} was not found. It comes with an extra: "
            f"pip install 'chromatic-descent[{extra}]'"
        )
    if isinstance(error, ValueError) and isinstance(error.__cause__, OSError):  # logging's
        error = error.__cause__
    if isinstance(error, OSError) and error.filename:
        return (
            f"{error.filename}: {error.strerror}. Studies go to paths.multirun, single runs to "
            "paths.outputs: give another folder there, or make room in this one."
        )
    return str(error) or type(error).__name__


def run(
    command: Callable[[], None],
    explain: Callable[[BaseException], str] = message,
    is_explained: Callable[[BaseException], bool] = is_mendable,
) -> None:
    """Run a `hydra.main` command; if it ends in what `is_explained`, exit with `explain`'s message.

    The exit code is 1; 130 after Ctrl-C; 143 after SIGTERM. What is not explained is raised, with
    its traceback; so is all, but for those two, if HYDRA_FULL_ERROR is set.
    """
    # With this set, Hydra lets exceptions through to here instead of printing its own trace.
    wants_traceback = "HYDRA_FULL_ERROR" in os.environ
    os.environ.setdefault("HYDRA_FULL_ERROR", "1")
    # A log that cannot be written, on a full disk, is no reason for a traceback in every line.
    logging.raiseExceptions = wants_traceback
    try:
        with sigterm_as_ctrl_c():
            command()
    except Exception as error:
        if wants_traceback or not is_explained(error):
            raise
        print(explain(error), file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt as stop:
        print(explain(stop), file=sys.stderr)
        sys.exit(exit_code(stop))
    finally:
        if not wants_traceback:
            del os.environ["HYDRA_FULL_ERROR"]


def _extra(missing: str | None) -> str | None:
    """The extra with which a launcher of Hydra's comes; None for whatever else is missing."""
    group, _, name = (missing or "").rpartition("/")
    extra = name.partition("_")[0]
    return extra if group == "hydra/launcher" and extra in ("joblib", "submitit", "ray") else None


def register_resolvers() -> None:
    """Give the configs their functions, `${member_name:}` and others; safe to call again."""

    def name(seed: object, suffix: str = "") -> str:
        return member_name(check_seed(seed), suffix)

    OmegaConf.register_new_resolver("member_name", name, replace=True)

    def one_gpu(accelerator: str) -> int | None:
        return 1 if gpu_share(accelerator, 1) else None

    OmegaConf.register_new_resolver("study_folder", study_folder, replace=True)
    OmegaConf.register_new_resolver("at_once", at_once, replace=True)
    OmegaConf.register_new_resolver("gpu_share", gpu_share, replace=True)
    OmegaConf.register_new_resolver("one_gpu", one_gpu, replace=True)


register_resolvers()  # here, since a sweep's processes import this and do not call `run`
