"""What each logger wrote is opened by its own package. Skipped where the extra is not installed."""

import json
import struct

import pytest

from chromatic_descent.study import Study

pytestmark = pytest.mark.filterwarnings("default")  # those of the loggers are not ours to mend

TINY = ("data=synthetic", "model.widths=[8,32]", "trainer.max_epochs=2", "threads=1", "study=s")
QUICK = ("bootstrap=5", "permutations=9", "draws=9", "splits=2", "subsets=3", "tsne=0")
QUICK += ("distances=[logit_mse]", "maps=[logit_mse]", "combiners=[mean_probability]")
RUNS = ["SEED_0000", "SEED_0001", "SEED_0002", "analysis"]


@pytest.fixture
def logged(command_line, tmp_path):
    """Two members trained together and one alone, then their analysis, all with one logger."""

    def run(*logger):
        together = ("population=joint", "population.members=2")
        for options in [(*TINY, *together), (*TINY, "seed=2")]:
            code, printed = command_line("train", *options, *logger)
            assert code == 0, printed
        code, printed = command_line("analyze", "study=s", *QUICK, "figures=[png]", *logger)
        assert code == 0, printed
        numbers = json.loads((tmp_path / "multirun/s/artifacts/reports/analysis.json").read_text())
        return Study(tmp_path / "multirun" / "s"), numbers["maps"]["logit_mse"]["top_2_share"]

    return run


def test_tensorboard(logged):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    study, share = logged("logger=tensorboard")
    for name in RUNS:
        events = accumulator.EventAccumulator(str(study.path / name / "tensorboard")).Reload()
        if name == "analysis":
            assert events.Scalars("maps/logit_mse/top_2_share")[0].value == pytest.approx(share)
            assert "map" in events.Tags()["images"]
        else:
            losses = [event.value for event in events.Scalars("train/loss")]
            assert len(losses) == 2  # epochs
            assert losses[1] < losses[0]


def wandb_records(path):
    """A run's records; W&B's file is LevelDB's log of its messages, after a header of 7 bytes."""
    from wandb.proto import wandb_internal_pb2

    content, block, message = path.read_bytes(), 32768, b""
    place = 7
    while place + 7 <= len(content):
        if block - place % block < 7:
            place += block - place % block
            continue
        _, length, kind = struct.unpack("<IHB", content[place : place + 7])
        message += content[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):  # whole, or the last part
            record = wandb_internal_pb2.Record()
            record.ParseFromString(message)
            yield record
            message = b""


def test_wandb_offline(logged):
    pytest.importorskip("wandb")
    study, share = logged("logger=wandb", "logger.wandb.offline=true")
    for name in RUNS:
        (path,) = (study.path / name).glob("wandb/offline-run-*/*.wandb")
        records = list(wandb_records(path))
        (run,) = [record.run for record in records if record.WhichOneof("record_type") == "run"][:1]
        assert (run.project, run.run_group, run.display_name) == ("chromatic_descent", "s", name)
        history = [
            {
                (item.key or "/".join(item.nested_key)): json.loads(item.value_json)
                for item in r.history.item
            }
            for r in records
            if r.WhichOneof("record_type") == "history"
        ]
        if name == "analysis":
            assert any(
                row.get("maps/logit_mse/top_2_share") == pytest.approx(share) for row in history
            )
            assert list(path.parent.glob("files/media/images/map_*.png"))
        else:
            assert len([row for row in history if "train/loss" in row]) == 2
            config = {item.key: json.loads(item.value_json) for item in run.config.update}
            config |= {i.key: json.loads(i.value_json) for r in records for i in r.config.update}
            assert config["seed"] == RUNS.index(name)
        assert any(record.WhichOneof("record_type") == "exit" for record in records)  # ended


def test_mlflow(logged, tmp_path):
    mlflow = pytest.importorskip("mlflow")
    _, share = logged("logger=mlflow")
    client = mlflow.MlflowClient(f"sqlite:///{tmp_path / 'multirun' / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("s")
    runs = {run.info.run_name: run for run in client.search_runs([experiment.experiment_id])}
    assert sorted(runs) == RUNS
    for name, run in runs.items():
        assert run.info.status == "FINISHED"
        if name == "analysis":
            assert run.data.metrics["maps/logit_mse/top_2_share"] == pytest.approx(share)
            figures = [file.path for file in client.list_artifacts(run.info.run_id, "figures")]
            assert "figures/map.png" in figures
        else:
            assert len(client.get_metric_history(run.info.run_id, "train/loss")) == 2
            assert run.data.params["seed"] == str(RUNS.index(name))


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


def test_several_loggers_at_once_and_what_a_member_is(command_line, tmp_path):
    code, printed = command_line("train", *TINY, "logger=[none,csv]", "seed=3")
    assert code == 0, printed
    metrics = tmp_path / "multirun/s/SEED_0003/metrics/version_0"
    assert "train/loss" in (metrics / "metrics.csv").read_text()
    assert "seed: 3" in (metrics / "hparams.yaml").read_text()
