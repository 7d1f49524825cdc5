"""Run commands on altered files, and check that they keep to the rules."""

import contextlib
import faulthandler
import io
import os
import signal
import sys
import warnings
from pathlib import Path
from unittest.mock import patch

from hydra import compose, initialize_config_dir

from chromatic_descent.config import configs_folder
from chromatic_descent.launch.command_line import run

LONGEST = 20  # seconds for one case; a whole analysis of a good study takes less than one,
# and two or three with its figures
# Audit events of Python that no command may cause; writes are checked by their path.
FORBIDDEN = (
    *("os.system", "os.exec", "os.posix_spawn", "os.fork", "subprocess.Popen", "pty.spawn"),
    *("pickle.find_class", "socket.connect", "os.kill", "webbrowser.open"),
)
WRITES = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.symlink")
OPENS_TO_WRITE = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class Hang(BaseException):
    """Nothing that catches an Exception catches this."""


class _Guard:
    """Records forbidden actions of this process while `inside` names where it may write; PEP 578."""

    def __init__(self):
        self.inside = None
        self.trespasses = []
        sys.addaudithook(self)  # for good: Python cannot remove a hook

    def __call__(self, event, arguments):
        if self.inside is None:
            return
        if event in FORBIDDEN:
            self.trespasses.append(f"{event} {arguments}")
        elif event == "open":
            path, _, flags = arguments
            if (flags or 0) & OPENS_TO_WRITE and not isinstance(path, int):
                self.look(event, path, follow=not flags & os.O_NOFOLLOW)
        elif event in WRITES:
            folder = arguments[-1]  # a descriptor, or -1
            *_, path = (a for a in arguments if isinstance(a, (str, bytes, os.PathLike)))
            self.look(event, path, folder=folder)

    def look(self, event, path, follow=False, folder=-1):
        base = Path(f"/proc/self/fd/{folder}").readlink() if folder >= 0 else Path.cwd()
        path = base / os.fsdecode(path)
        real = Path(os.path.realpath(path)) if follow else path.parent.resolve() / path.name
        if not real.is_relative_to(self.inside) and str(real) != os.devnull:
            self.trespasses.append(f"{event} {real}")


_GUARD = _Guard()


@contextlib.contextmanager
def guarded(case, folder):
    """Within the block nothing is written outside the folder, nothing executed, nothing hangs."""

    def stop(number, frame):
        raise Hang(f"{case} took more than {LONGEST} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, LONGEST)
    faulthandler.dump_traceback_later(
        3 * LONGEST, exit=True, file=sys.__stderr__
    )  # where no signal comes through
    _GUARD.trespasses.clear()
    _GUARD.inside = folder.resolve()
    try:
        # Power cuts and NumPy's warnings are tested elsewhere.
        with patch("os.fsync"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        _GUARD.inside = None
        signal.setitimer(signal.ITIMER_REAL, 0)
        faulthandler.cancel_dump_traceback_later()
        signal.signal(signal.SIGALRM, before)
    assert not _GUARD.trespasses, case


def outcome(case, command, cfg):
    """Whether the command succeeded; if it failed, check that it printed one message.

    An error that is not the user's passes through `run`: the test ends with its traceback.
    """
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            run(lambda: command(cfg))
            return True
        except SystemExit as stop:
            code = stop.code
    printed = err.getvalue().strip()
    assert code == 1, case
    assert printed, f"{case}: no message"
    assert "Traceback" not in printed, case
    assert len(printed) < 20_000, case
    assert all(c.isprintable() or c == "\n" for c in printed), (case, printed)
    return False


def composed(name, *overrides):
    """A command's config, as its command line would compose it."""
    with initialize_config_dir(config_dir=configs_folder(), version_base="1.3"):
        return compose(name, overrides=[*overrides, "paths.data=nowhere"])
