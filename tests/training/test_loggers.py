"""What each logger wrote is opened by its own package; `make test-extras` has all of them."""

import io
import json
import os
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.image import imread

from chromatic_descent.analysis import read_numbers
from chromatic_descent.analysis.storage import leaves
from chromatic_descent.study import Study
from tests.makers import QUICK_OPTIONS

pytestmark = pytest.mark.filterwarnings("default")  # those of the loggers are not ours to mend

TINY = ("data=synthetic", "model.widths=[8,32]", "trainer.max_epochs=2", "threads=1", "study=s")
QUICK = (
    *QUICK_OPTIONS,
    "distances=[logit_mse]",
    "maps=[logit_mse]",
    "combiners=[mean_probability]",
)
PROJECT = "chromatic_descent"  # of W&B's, the default
MEMBERS = ["SEED_0000", "SEED_0001", "SEED_0002"]
RUNS = [*MEMBERS, "analysis"]


@pytest.fixture
def logged(command_line, tmp_path):
    """Two members trained together and one alone, then their analysis, logged to CSV and one more.

    Returns the study, by member what CSV has of each metric, the numbers of `analysis.json` by
    path, and the figures by name.
    """

    def run(name, *options):
        together = ("population=joint", "population.members=2")
        for members in [(*TINY, *together), (*TINY, "seed=2")]:
            code, printed = command_line("train", *members, f"logger=[csv,{name}]", *options)
            assert code == 0, printed
        code, printed = command_line(
            "analyze", "study=s", *QUICK, "figures=[png]", f"logger={name}", *options
        )
        assert code == 0, printed
        study = Study(tmp_path / "multirun" / "s")
        metrics = {}
        for member in MEMBERS:
            (path,) = (study.path / member).glob("metrics/version_*/metrics.csv")
            table = pd.read_csv(path).drop(columns=["epoch", "step"])
            metrics[member] = {key: table[key].dropna().tolist() for key in table}
            assert len(metrics[member]["train/loss"]) == 2  # epochs
        numbers = read_numbers(study.reports / "analysis.json")
        del numbers["config"]
        found = dict(leaves(numbers, float))
        assert "maps/logit_mse/top_2_share" in found
        drawn = [*study.embeddings.glob("*.png"), *study.reports.glob("*.png")]
        assert {"map", "ensemble"} <= {path.stem for path in drawn}
        return study, metrics, found, {path.stem: path for path in drawn}

    return run


@pytest.mark.extras
def test_tensorboard(logged):
    from tensorboard.backend.event_processing.event_multiplexer import EventMultiplexer

    study, metrics, numbers, figures = logged("tensorboard")
    opened = EventMultiplexer().AddRunsFromDirectory(str(study.path)).Reload()
    assert sorted(opened.Runs()) == [f"{name}/tensorboard" for name in RUNS]
    for member, wanted in metrics.items():
        for key, values in wanted.items():
            events = opened.Scalars(f"{member}/tensorboard", key)
            assert [event.value for event in events] == pytest.approx(values), key
    for key, value in numbers.items():
        (event,) = opened.Scalars("analysis/tensorboard", key)
        assert event.value == pytest.approx(value), key
    for name, path in figures.items():
        (event,) = opened.Images("analysis/tensorboard", name)
        shown = imread(io.BytesIO(event.encoded_image_string))
        assert np.allclose(shown, imread(path), atol=1 / 255), name


def inspected(folder):
    """A run's records of each type, as W&B's own program reads them."""
    command = [sys.executable, "-m", "wandb", "leet", "inspect", "--json", str(folder)]
    offline = {**os.environ, "WANDB_MODE": "offline", "WANDB_ERROR_REPORTING": "false"}
    printed = subprocess.run(command, env=offline, capture_output=True, text=True, check=True)
    records = defaultdict(list)
    for line in printed.stdout.splitlines():
        record = json.loads(line)
        records[record["type"]].append(record[record["type"]])
    return records


@pytest.mark.extras
def test_wandb_offline(logged):
    study, metrics, numbers, figures = logged("wandb", "logger.wandb.offline=true")
    folders = {name: list((study.path / name).glob("wandb/offline-run-*")) for name in RUNS}
    runs = {name: inspected(folder) for name, (folder,) in folders.items()}
    for name, records in runs.items():
        run = records["run"][0]
        assert (run["project"], run["run_group"], run["display_name"]) == (PROJECT, "s", name)
        assert [record["exit_code"] for record in records["exit"]] == [0]
    for member, wanted in metrics.items():
        rows = [record["item"] for record in runs[member]["history"]]
        for key, values in wanted.items():
            assert [row[key] for row in rows if key in row] == pytest.approx(values), key
        config = {k: v for record in runs[member]["config"] for k, v in record["update"].items()}
        assert config["seed"] == MEMBERS.index(member)
    found = {k: v for record in runs["analysis"]["history"] for k, v in record["item"].items()}
    assert {key: found[key] for key in numbers} == pytest.approx(numbers)
    files = folders["analysis"][0] / "files"
    for name, path in figures.items():
        (kept,) = found[f"{name}.filenames"]
        assert (files / kept).read_bytes() == path.read_bytes()


@pytest.mark.extras
def test_mlflow(logged, tmp_path):
    import mlflow

    _, metrics, numbers, figures = logged("mlflow")
    client = mlflow.MlflowClient(f"sqlite:///{tmp_path / 'multirun' / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("s")
    runs = {run.info.run_name: run for run in client.search_runs([experiment.experiment_id])}
    assert sorted(runs) == RUNS
    assert {run.info.status for run in runs.values()} == {"FINISHED"}
    for member, wanted in metrics.items():
        assert runs[member].data.params["seed"] == str(MEMBERS.index(member))
        for key, values in wanted.items():
            history = client.get_metric_history(runs[member].info.run_id, key)
            assert [metric.value for metric in history] == pytest.approx(values), key
    analysis = runs["analysis"]
    assert {key: analysis.data.metrics[key] for key in numbers} == pytest.approx(numbers)
    kept = client.download_artifacts(analysis.info.run_id, "figures", str(tmp_path))
    for name, path in figures.items():
        assert (Path(kept) / f"{name}.png").read_bytes() == path.read_bytes()


@pytest.mark.parametrize("name", ["tensorboard", "wandb", "mlflow"])
def test_a_missing_extra_is_one_message(command_line, monkeypatch, name):
    import importlib.util

    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda n, *a: None if n == name else found(n, *a)
    )
    code, printed = command_line("train", *TINY, f"logger={name}")
    assert code == 1
    assert f"pip install 'chromatic-descent[{name}]'" in printed
    assert "Traceback" not in printed


def test_several_loggers_at_once_record_what_a_member_is(command_line, tmp_path):
    code, printed = command_line("train", *TINY, "logger=[none,csv]", "seed=3")
    assert code == 0, printed
    metrics = tmp_path / "multirun/s/SEED_0003/metrics/version_0"
    assert "train/loss" in (metrics / "metrics.csv").read_text()
    assert "seed: 3" in (metrics / "hparams.yaml").read_text()
