"""Sweeps under each launcher, with `make test-launchers`: the extras joblib, submitit and ray."""

import itertools
import os
import re
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

import numpy as np
import pytest

from chromatic_descent.study import Study

pytestmark = pytest.mark.launchers

PARALLEL = ("joblib", "submitit_local", "ray")
DEMO = ("-m", "experiment=demo", "threads=1", "seed=range(3)")
LONG = ("-m", "data=synthetic", "model.widths=[8,32]", "trainer.max_epochs=2000", "threads=1")
# Ray keeps a token in the home folder unless it is given one
RAY = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": uuid.uuid4().hex}


@pytest.fixture
def sweep(tmp_path):
    """Start `chromatic-train` in a session of its own, from an empty folder."""

    def start(*arguments, **environment):
        return subprocess.Popen(
            [sys.executable, "-m", "chromatic_descent.train", *arguments],
            cwd=tmp_path,
            env={**os.environ, **RAY, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    return start


def ended(process, seconds=200):
    """(exit code, everything printed); what hangs is ended."""
    try:
        printed = process.communicate(timeout=seconds)[0]
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        pytest.fail(f"did not end in {seconds} s:\n{process.communicate()[0]}")
    return process.returncode, printed


def processes_that_train(process, study):
    """What a sweep has started, once one of its members has a checkpoint."""
    import psutil

    deadline = time.monotonic() + 100
    while time.monotonic() < deadline and not list(study.path.glob("SEED_*/checkpoints/last.ckpt")):
        time.sleep(0.1)
    return psutil.Process(process.pid).children(recursive=True)


def logits(study):
    found = {}
    for path in sorted(study.probes.glob("*.npz")):
        with np.load(path) as arrays:
            found[path.stem] = arrays["logits"]
    return found


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    """The logits of a sweep under the basic launcher, and how long it takes."""
    folder = tmp_path_factory.mktemp("basic")
    started = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "chromatic_descent.train", *DEMO, "study=s"], cwd=folder, check=True
    )
    seconds = time.perf_counter() - started
    return logits(Study(folder / "multirun" / "s")), seconds


def same(found, wanted):
    assert found.keys() == wanted.keys()
    for name, array in found.items():
        assert np.array_equal(array, wanted[name]), name
    return True


@pytest.mark.parametrize("launcher", PARALLEL)
def test_the_launcher_makes_no_difference(sweep, tmp_path, reference, launcher, capfd):
    wanted, basic = reference
    started = time.perf_counter()
    code, printed = ended(sweep(*DEMO, "study=s", f"launcher={launcher}"))
    seconds = time.perf_counter() - started
    assert code == 0, printed
    study = Study(tmp_path / "multirun" / "s")
    assert same(logits(study), wanted)
    assert not list(study.path.rglob("*.pkl"))  # nothing in a study is to be unpickled
    started = time.perf_counter()
    code, printed = ended(sweep(*DEMO, "study=s", f"launcher={launcher}"))
    again = time.perf_counter() - started
    assert code == 0, printed
    with capfd.disabled():
        print(
            f"\n3 members of the demo: {launcher} {seconds:.1f} s, basic {basic:.1f} s; "
            f"skipping them under {launcher} {again:.1f} s"
        )


FAILS = """
import lightning
from chromatic_descent.errors import UserError

class FailSecond(lightning.Callback):
    def on_train_start(self, trainer, module):
        if trainer.default_root_dir.endswith("SEED_0001"):
            raise UserError("no luck")
"""


@pytest.mark.parametrize("launcher", PARALLEL)
def test_a_failed_member_stops_no_other_and_is_listed(sweep, tmp_path, reference, launcher):
    (tmp_path / "fails.py").write_text(FAILS)
    path = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
    code, printed = ended(
        sweep(
            *DEMO,
            "study=s",
            f"launcher={launcher}",
            "+callbacks.fails._target_=fails.FailSecond",
            PYTHONPATH=path,
        )
    )
    assert code == 1
    assert "2 of 3 complete.\n  SEED_0001 failed: no luck\n" in printed
    assert "Traceback" not in printed
    wanted = {name: array for name, array in reference[0].items() if name != "SEED_0001"}
    assert same(logits(Study(tmp_path / "multirun" / "s")), wanted)
    code, printed = ended(sweep(*DEMO, "study=s", f"launcher={launcher}"))
    assert code == 0, printed


@pytest.mark.parametrize("launcher", PARALLEL)
@pytest.mark.parametrize("stop", ["ctrl-c", "sigterm"])
def test_a_sweep_that_is_stopped_leaves_no_process(sweep, tmp_path, launcher, stop):
    import psutil

    process = sweep(*LONG, "seed=range(4)", "study=s", f"launcher={launcher}")
    study = Study(tmp_path / "multirun" / "s")
    started = processes_that_train(process, study)
    assert started
    if stop == "ctrl-c":
        os.killpg(process.pid, signal.SIGINT)  # as a terminal sends it
    else:
        process.send_signal(signal.SIGTERM)  # as `kill` and service managers do
    code, printed = ended(process, 60)
    assert code == (130 if stop == "ctrl-c" else 143), printed
    assert "Interrupted. multirun/s: 0 of" in printed
    assert re.search(r"SEED_000\d is interrupted", printed)
    assert "is being trained" not in printed
    assert "The same command with study=s continues from there." in printed
    assert not psutil.wait_procs(started, timeout=10)[1], printed
    assert {member.status for member in study.members()} == {"interrupted"}


@pytest.mark.parametrize("launcher", ["joblib", "submitit_local"])
def test_a_process_that_is_killed_ends_the_sweep_with_a_message(sweep, tmp_path, launcher):
    import psutil

    process = sweep(*LONG, "seed=range(4)", "study=s", f"launcher={launcher}")
    study = Study(tmp_path / "multirun" / "s")
    started = processes_that_train(process, study)
    os.kill(study.members()[0].read_manifest().process["pid"], signal.SIGKILL)
    code, printed = ended(process, 100)
    assert code == 1, printed
    assert "SEED_0000 is interrupted" in printed
    assert "A process that trained members is gone" in printed
    assert not psutil.wait_procs(started, timeout=10)[1], printed


@pytest.mark.parametrize("launcher", PARALLEL)
def test_members_in_parallel_are_not_repelled_from_each_other(sweep, tmp_path, launcher):
    code, printed = ended(sweep(*DEMO, "repulsion=rbf", "study=s", f"launcher={launcher}"))
    assert code == 1
    assert (
        "SEED_0000 failed: Members that are trained at the same time cannot be repelled" in printed
    )
    assert "Traceback" not in printed
    assert not logits(Study(tmp_path / "multirun" / "s"))


def test_two_launchers_on_one_study_share_its_members(sweep, tmp_path, reference):
    both = [sweep(*DEMO, "study=s", f"launcher={name}") for name in ("joblib", "submitit_local")]
    for process in both:
        code, printed = ended(process)
        assert code == 0 or "is being trained by process" in printed, printed
    code, printed = ended(sweep(*DEMO, "study=s"))
    assert code == 0, printed
    study = Study(tmp_path / "multirun" / "s")
    assert same(logits(study), reference[0])
    for member in study.members():  # trained once: one file of metrics
        assert len(list(member.folder.rglob("metrics.csv"))) == 1


GPUS = """
import sys
from chromatic_descent.launch import slots
slots.devices = lambda accelerator: ["4", "7"]
from chromatic_descent.train import main
main()
"""

SAYS = """
import os, time
from pathlib import Path
import lightning

class SayDevice(lightning.Callback):
    def on_train_start(self, trainer, module):
        self.start = time.time()

    def on_train_end(self, trainer, module):
        device = os.environ["CUDA_VISIBLE_DEVICES"]
        text = f"{device} {self.start} {time.time()}"
        Path(trainer.default_root_dir, "device.txt").write_text(text)
"""


@pytest.mark.parametrize("launcher", ["joblib", "submitit_local"])
def test_no_two_members_are_on_a_device_at_a_time(tmp_path, launcher):
    (tmp_path / "says.py").write_text(SAYS)
    path = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
    subprocess.run(
        [
            *(sys.executable, "-c", GPUS, "-m", "data=synthetic", "model.widths=[8,32]"),
            *("threads=1", "seed=range(6)", f"launcher={launcher}"),
            *("trainer.accelerator=cpu", "+callbacks.says._target_=says.SayDevice"),
        ],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": path},
        check=True,
        timeout=200,
    )
    (study,) = tmp_path.glob("multirun/[0-9]*")  # each process knows the one time stamp
    said = [file.read_text().split() for file in study.glob("SEED_*/device.txt")]
    assert len(said) == 6
    assert {device for device, _, _ in said} == {"4", "7"}
    for device in ("4", "7"):
        spans = sorted((float(start), float(end)) for name, start, end in said if name == device)
        assert all(end <= start for (_, end), (start, _) in itertools.pairwise(spans))


def test_a_cluster_of_rays_is_joined_from_any_folder(sweep, tmp_path, reference):
    (tmp_path / "elsewhere").mkdir()
    ray = Path(sys.executable).with_name("ray")
    head = subprocess.Popen(
        [ray, "start", "--head", "--block", "--port=0", "--include-dashboard=false"],
        cwd=tmp_path / "elsewhere",
        env={**os.environ, **RAY},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        address = next(
            found.group(1) for line in head.stdout if (found := re.search(r"address='(.*?)'", line))
        )
        code, printed = ended(sweep(*DEMO, "study=s", "launcher=ray_cluster", RAY_ADDRESS=address))
        assert code == 0, printed
        assert same(logits(Study(tmp_path / "multirun" / "s")), reference[0])
    finally:
        head.send_signal(signal.SIGTERM)
        head.communicate(timeout=60)
