"""Shared by every command: a user's mistake ends with one clear message and a non-zero exit."""

import logging
import os
import sys
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, metadata

from hydra.errors import HydraException, MissingConfigException
from omegaconf.errors import OmegaConfBaseException

from chromatic_descent.errors import UserError, causes
from chromatic_descent.launch.stopping import exit_code, sigterm_as_ctrl_c


def is_user_error(error: BaseException) -> bool:
    """Whether an error is the user's mistake or the system's refusal: neither needs a traceback."""
    kinds = (UserError, HydraException, OmegaConfBaseException, OSError)
    return isinstance(error, kinds) or isinstance(error.__cause__, OSError)


def message(error: BaseException) -> str:
    """The error's message, without the layers that libraries wrap around it."""
    if isinstance(error, KeyboardInterrupt):
        return "Interrupted."
    for each in causes(error):  # such as one raised while OmegaConf resolved a config
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


def explain(error: BaseException) -> str | None:
    """The message to end a command with; None for an error that needs its traceback."""
    return message(error) if is_user_error(error) else None


def run(
    command: Callable[[], None], explain: Callable[[BaseException], str | None] = explain
) -> None:
    """Run a `hydra.main` command; if it ends in an error, print `explain`'s message and exit.

    The exit code is 1; 130 after Ctrl-C; 143 after SIGTERM. An error for which `explain` gives None
    is raised, with its traceback; with HYDRA_FULL_ERROR set, so is every error but those two.
    """
    # With this set, Hydra lets exceptions through to here instead of printing its own trace.
    wants_traceback = "HYDRA_FULL_ERROR" in os.environ
    os.environ.setdefault("HYDRA_FULL_ERROR", "1")
    # On a full disk, logging would print a traceback for each line that it cannot write.
    logging.raiseExceptions = wants_traceback
    try:
        with sigterm_as_ctrl_c():
            command()
    except Exception as error:
        if wants_traceback or (text := explain(error)) is None:
            raise
        print(text, file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt as stop:
        print(explain(stop) or message(stop), file=sys.stderr)
        sys.exit(exit_code(stop))
    finally:
        if not wants_traceback:
            del os.environ["HYDRA_FULL_ERROR"]


def _extra(missing: str | None) -> str | None:
    """The extra of this package that installs a missing launcher of Hydra's; None for others."""
    group, _, name = (missing or "").rpartition("/")
    extra = name.partition("_")[0]
    try:
        extras = metadata("chromatic-descent").get_all("Provides-Extra") or []
    except PackageNotFoundError:  # used from a source tree that was never installed
        return None
    return extra if group == "hydra/launcher" and extra in extras else None
