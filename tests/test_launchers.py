"""Launchers: what a process is given and, with `make test-launchers`, sweeps under each of them."""

import itertools
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import uuid
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf

from chromatic_descent import launchers
from chromatic_descent.errors import UserError
from chromatic_descent.study import Study
from chromatic_descent.training.hardware import use_threads

PARALLEL = ("joblib", "submitit_local", "ray")
DEMO = ("-m", "experiment=demo", "threads=1", "seed=range(3)")
LONG = ("-m", "data=synthetic", "model.widths=[8,32]", "trainer.max_epochs=2000", "threads=1")
# Ray keeps a token in the home folder unless it is given one
RAY = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": uuid.uuid4().hex}

# a process that takes a place, says which, and keeps it until its input is closed
TAKES = """
import os, sys
from chromatic_descent import launchers
place = launchers.place()
print(os.environ.get("CUDA_VISIBLE_DEVICES"), place.threads, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def takers(tmp_path):
    """Start processes that take places; each is asked for its device with `readline`."""
    started = []

    def start(count):
        new = [
            subprocess.Popen(
                [sys.executable, "-c", TAKES],
                env={**os.environ, "CHROMATIC_PLACES": str(tmp_path)},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for _ in range(count)
        ]
        started.extend(new)
        return new

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_every_process_has_a_device_of_its_own_and_a_dead_ones_is_free(tmp_path, takers):
    launchers.lay_out(tmp_path, 2, ["3", "GPU-b"])
    processes = takers(2)
    found = [process.stdout.readline().split()[0] for process in processes]
    assert sorted(found) == ["3", "GPU-b"]
    processes[1].kill()
    (last,) = takers(1)
    assert last.stdout.readline().split()[0] == found[1]


def test_who_finds_no_place_waits_for_one(tmp_path):
    launchers.lay_out(tmp_path, 1, ["3"])
    first, found = launchers.take(tmp_path), []
    waits = threading.Thread(target=lambda: found.append(launchers.take(tmp_path)), daemon=True)
    waits.start()
    waits.join(1)
    assert not found
    first.lock.release()
    waits.join(10)
    assert found[0].device == "3"


def test_several_on_each_device_fill_them_evenly(tmp_path):
    launchers.lay_out(tmp_path, 6, ["0", "1"])
    places = [launchers.take(tmp_path) for _ in range(6)]
    assert [place.device for place in places] == ["0", "1"] * 3
    places[3].lock.release()
    assert launchers.take(tmp_path).device == "1"


def test_without_devices_a_place_is_some_of_the_cores(tmp_path, monkeypatch):
    monkeypatch.setattr(launchers, "_cores", lambda: 8)
    launchers.lay_out(tmp_path, 3, [])
    place = launchers.take(tmp_path)
    assert (place.device, place.threads) == (None, 2)
    launchers.lay_out(tmp_path, 20, [])
    assert launchers.take(tmp_path).threads == 1


def test_nobody_has_a_place_where_none_are_laid_out(monkeypatch):
    monkeypatch.delenv("CHROMATIC_PLACES", raising=False)
    assert launchers.place.__wrapped__() is None


@pytest.mark.parametrize(
    ("gpus", "threads", "each", "wanted"),
    [(0, None, 1, 8), (0, 2, 1, 4), (0, 3, 5, 2), (0, 99, 1, 1), (4, None, 1, 4), (4, 2, 3, 12)],
)
def test_how_many_at_a_time(monkeypatch, gpus, threads, each, wanted):
    monkeypatch.setattr(launchers, "_cores", lambda: 8)
    monkeypatch.setattr(launchers, "_has_mps", lambda accelerator: False)
    monkeypatch.setattr(launchers, "devices", lambda accelerator: [str(n) for n in range(gpus)])
    assert launchers.at_once("auto", threads, each) == wanted


@pytest.mark.parametrize(
    ("accelerator", "visible", "wanted"),
    [
        ("auto", None, ["0", "1"]),
        ("gpu", "3, 7", ["3", "7"]),
        ("cuda", "GPU-a,GPU-b,-1,4", ["GPU-a", "GPU-b"]),
        ("cpu", "3,7", []),
        ("mps", None, []),
    ],
)
def test_devices_are_those_that_the_user_left_visible(monkeypatch, accelerator, visible, wanted):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert launchers.devices(accelerator) == wanted


def test_what_a_cluster_is_asked_for(monkeypatch):
    monkeypatch.setattr(launchers, "devices", lambda accelerator: [])
    assert launchers.gpu_share("auto", 1) == 0
    assert launchers.gpu_share("gpu", 4) == 0.25  # whoever launches need not have one
    monkeypatch.setattr(launchers, "devices", lambda accelerator: ["0"])
    assert launchers.gpu_share("auto", 2) == 0.5


@pytest.mark.parametrize("wrong", [0, -1, 1.5, True, "two"])
def test_what_is_no_number_of_members(wrong):
    with pytest.raises(UserError, match=r"members_per_gpu is .*: expected a whole number from 1"):
        launchers.gpu_share("gpu", wrong)


@pytest.fixture
def torch_threads():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_threads_are_those_asked_for_or_the_places(monkeypatch, torch_threads):
    torch.set_num_threads(2)
    monkeypatch.setattr(launchers, "place", lambda: launchers.Place(None, 5, None))
    use_threads(None)
    assert torch.get_num_threads() == 2  # OMP_NUM_THREADS has said less
    use_threads(3)
    assert torch.get_num_threads() == 3
    monkeypatch.setattr(launchers, "place", lambda: launchers.Place(None, 1, None))
    use_threads(None)
    assert torch.get_num_threads() == 1


def launch(target, **launcher):
    return OmegaConf.create(
        {
            "hydra": {
                "launcher": {"_target_": target, **launcher},
                "overrides": {"task": []},
                "sweep": {"dir": "multi run/s"},
            },
            "trainer": {"accelerator": "auto", "devices": 1},
            "paths": {"multirun": "multi run", "data": "/data/it's"},
            "threads": None,
            "members_per_gpu": 2,
        }
    )


@pytest.fixture
def rays(monkeypatch):
    """What Ray would be started with."""
    found = []
    monkeypatch.setattr(launchers, "_start_ray", found.append)
    return found


def laid_out(monkeypatch, config):
    monkeypatch.setenv("CHROMATIC_PLACES", "an earlier sweep's")
    launchers.Prepare().on_multirun_start(config)
    folder = os.environ.get("CHROMATIC_PLACES")
    return folder and json.loads((Path(folder) / "layout.json").read_text())


def test_places_are_laid_out_for_processes_on_this_machine_alone(monkeypatch, rays):
    monkeypatch.setattr(launchers, "devices", lambda accelerator: ["0", "1"])
    layout = laid_out(monkeypatch, launch(launchers._SUBMITIT_LOCAL))
    assert (layout["places"], layout["devices"]) == (4, ["0", "1"])
    layout = laid_out(monkeypatch, launch(launchers._JOBLIB, n_jobs=3))
    assert (layout["places"], layout["devices"]) == (3, ["0", "1"])
    config = launch(launchers._JOBLIB, n_jobs=3)
    config.trainer.devices = [1]
    assert laid_out(monkeypatch, config)["devices"] == []  # they are chosen
    assert laid_out(monkeypatch, launch(launchers._RAY, ray={"init": {"address": "local"}})) is None
    assert rays == [{"address": "local"}]
    for other in (launchers._BASIC, "SlurmLauncher"):
        assert laid_out(monkeypatch, launch(other)) is None


def test_a_wrong_number_ends_the_launch(monkeypatch):
    monkeypatch.setattr(launchers, "devices", lambda accelerator: ["0"])
    config = launch(launchers._SUBMITIT_LOCAL)
    config.members_per_gpu = 0
    with pytest.raises(SystemExit, match="members_per_gpu is 0"):
        laid_out(monkeypatch, config)


@pytest.mark.parametrize("elsewhere", ["jobs/%j", "multi run/study/%j"])
def test_pickles_of_submitit_are_in_no_study(elsewhere):
    folders = "${hydra.sweep.dir}/.submitit/%j", elsewhere
    configs = [launch("SlurmLauncher", submitit_folder=folder) for folder in folders]
    for config in configs:
        launchers.Prepare().on_multirun_start(config)
    found = [config.hydra.launcher.submitit_folder for config in configs]
    assert found == ["multi run/.submitit/%j", elsewhere]


def test_rays_processes_are_told_whole_paths(monkeypatch, tmp_path, rays):
    from hydra.core.override_parser.overrides_parser import OverridesParser

    monkeypatch.chdir(tmp_path)
    config = launch(launchers._RAY, ray={"init": {}})
    launchers.Prepare().on_multirun_start(config)
    overrides = OverridesParser.create().parse_overrides(list(config.hydra.overrides.task))
    assert {o.key_or_group: o.value() for o in overrides} == {
        "paths.multirun": str(tmp_path / "multi run"),
        "paths.data": "/data/it's",
    }


@pytest.mark.parametrize("launcher", ["joblib", "submitit_slurm", "ray_cluster"])
def test_what_is_not_installed_is_said(command_line, launcher):
    extra = launcher.partition("_")[0]
    if find_spec("hydra_plugins") and find_spec(f"hydra_plugins.hydra_{extra}_launcher"):
        pytest.skip("it is installed")
    code, printed = command_line("train", "-m", f"launcher={launcher}")
    assert code == 1
    assert f"pip install 'chromatic-descent[{extra}]'" in printed
    assert "Traceback" not in printed


# From here on with the launchers themselves.


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


@pytest.mark.launchers
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


@pytest.mark.launchers
@pytest.mark.parametrize("launcher", PARALLEL)
def test_a_member_that_fails_stops_no_other_and_is_listed(sweep, tmp_path, reference, launcher):
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


@pytest.mark.launchers
@pytest.mark.parametrize("launcher", PARALLEL)
@pytest.mark.parametrize("stop", ["ctrl-c", "sigterm"])
def test_a_sweep_that_is_stopped_leaves_no_process(sweep, tmp_path, launcher, stop):
    import psutil

    process = sweep(*LONG, "seed=range(4)", "study=s", f"launcher={launcher}")
    study = Study(tmp_path / "multirun" / "s")
    deadline = time.monotonic() + 100
    while time.monotonic() < deadline and not list(study.path.glob("SEED_*/checkpoints/last.ckpt")):
        time.sleep(0.1)
    started = psutil.Process(process.pid).children(recursive=True)
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
    assert "The same command with study=s goes on from there." in printed
    assert not psutil.wait_procs(started, timeout=10)[1], printed
    assert {member.status for member in study.members()} == {"interrupted"}


@pytest.mark.launchers
@pytest.mark.parametrize("launcher", ["joblib", "submitit_local"])
def test_a_process_that_is_killed_ends_the_sweep_with_a_message(sweep, tmp_path, launcher):
    import psutil

    process = sweep(*LONG, "seed=range(4)", "study=s", f"launcher={launcher}")
    study = Study(tmp_path / "multirun" / "s")
    deadline = time.monotonic() + 100
    while time.monotonic() < deadline and not list(study.path.glob("SEED_*/checkpoints/last.ckpt")):
        time.sleep(0.1)
    started = psutil.Process(process.pid).children(recursive=True)
    os.kill(study.members()[0].read_manifest()["process"]["pid"], signal.SIGKILL)
    code, printed = ended(process, 100)
    assert code == 1, printed
    assert "SEED_0000 is interrupted" in printed
    assert "A process that trained members is gone" in printed
    assert not psutil.wait_procs(started, timeout=10)[1], printed


@pytest.mark.launchers
@pytest.mark.parametrize("launcher", PARALLEL)
def test_members_in_parallel_are_not_repelled_from_each_other(sweep, tmp_path, launcher):
    code, printed = ended(sweep(*DEMO, "repulsion=rbf", "study=s", f"launcher={launcher}"))
    assert code == 1
    assert (
        "SEED_0000 failed: Members that are trained at the same time cannot be repelled" in printed
    )
    assert "Traceback" not in printed
    assert not logits(Study(tmp_path / "multirun" / "s"))


@pytest.mark.launchers
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
from chromatic_descent import launchers
launchers.devices = lambda accelerator: ["4", "7"]
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


@pytest.mark.launchers
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


@pytest.mark.launchers
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
