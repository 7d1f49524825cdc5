"""What a process of a parallel sweep is given. Launchers themselves: test_launchers_in_use.py."""

import json
import os
import subprocess
import sys
import threading
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf

from chromatic_descent.errors import UserError
from chromatic_descent.launch import launchers
from chromatic_descent.training.hardware import use_threads

# a process that takes a place, says which, and keeps it until its input is closed
TAKES = """
import os, sys
from chromatic_descent.launch import launchers
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
