import importlib
import logging
import signal
import subprocess
import sys

import pytest
import torch
from hypothesis import HealthCheck, settings

# The first draw of a text builds a table of characters: slow once, and no fault of the test.
settings.register_profile("here", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("here")
torch.set_num_threads(1)  # tests are small; more threads only wait for each other


@pytest.fixture(autouse=True)
def paths_are_the_defaults(monkeypatch):
    """Whatever the shell that runs the tests has set."""
    for name in ("CHROMATIC_OUTPUTS_DIR", "CHROMATIC_MULTIRUN_DIR"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def own_modules(tmp_path, monkeypatch):
    """Forget, afterwards, what was imported from the test's folder."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.fixture
def command_line(tmp_path, monkeypatch, capfd, own_modules):
    """Run `chromatic-train` or another command in this process, from an empty folder.

    Returns (exit code, everything printed).
    """
    monkeypatch.chdir(tmp_path)

    def run(program, *arguments):
        monkeypatch.setattr(sys, "argv", [f"chromatic-{program}", *arguments])
        code = 0
        try:
            importlib.import_module(f"chromatic_descent.{program}").main()
        except SystemExit as stop:
            code = stop.code or 0
        finally:
            for handler in logging.root.handlers:  # Hydra's, onto files of this run
                handler.close()
            logging.root.handlers.clear()
        printed = capfd.readouterr()
        return code, printed.out + printed.err

    return run


@pytest.fixture
def subprocess_line(tmp_path):
    """Start `python -m chromatic_descent.<program>` as a process of its own, on a terminal's terms.

    Shells let what they start in the background ignore Ctrl-C, and so what that starts.
    """
    started = []

    def start(program, *arguments):
        process = subprocess.Popen(
            [sys.executable, "-m", f"chromatic_descent.{program}", *arguments],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        started.append(process)
        return process

    yield start
    for process in started:  # of a test that failed
        process.kill()
