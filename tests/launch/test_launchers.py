"""What launchers leave to this project. Launchers themselves: test_launchers_in_use.py."""

import json
import os
from importlib.util import find_spec
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from chromatic_descent.launch import launchers, slots


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
    monkeypatch.setenv("CHROMATIC_SLOTS", "an earlier sweep's")
    launchers.Prepare().on_multirun_start(config)
    folder = os.environ.get("CHROMATIC_SLOTS")
    return folder and json.loads((Path(folder) / "layout.json").read_text())


def test_slots_are_laid_out_for_processes_on_this_machine_alone(monkeypatch, rays):
    monkeypatch.setattr(slots, "devices", lambda accelerator: ["0", "1"])
    layout = laid_out(monkeypatch, launch(launchers._SUBMITIT_LOCAL))
    assert (layout["slots"], layout["devices"]) == (4, ["0", "1"])
    layout = laid_out(monkeypatch, launch(launchers._JOBLIB, n_jobs=3))
    assert (layout["slots"], layout["devices"]) == (3, ["0", "1"])
    config = launch(launchers._JOBLIB, n_jobs=3)
    config.trainer.devices = [1]
    assert laid_out(monkeypatch, config)["devices"] == []  # they are chosen
    assert laid_out(monkeypatch, launch(launchers._RAY, ray={"init": {"address": "local"}})) is None
    assert rays == [{"address": "local"}]
    for other in (launchers._BASIC, "SlurmLauncher"):
        assert laid_out(monkeypatch, launch(other)) is None


def test_a_wrong_number_ends_the_launch(monkeypatch):
    monkeypatch.setattr(slots, "devices", lambda accelerator: ["0"])
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


def test_rays_processes_get_absolute_paths(monkeypatch, tmp_path, rays):
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
def test_a_missing_extra_is_named(command_line, launcher):
    extra = launcher.partition("_")[0]
    if find_spec("hydra_plugins") and find_spec(f"hydra_plugins.hydra_{extra}_launcher"):
        pytest.skip("it is installed")
    code, printed = command_line("train", "-m", f"launcher={launcher}")
    assert code == 1
    assert f"pip install 'chromatic-descent[{extra}]'" in printed
    assert "Traceback" not in printed
