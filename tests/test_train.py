import json
import os
import random
import re
import signal
import time
from pathlib import Path

import numpy as np
import pytest

from chromatic_descent import probe_logits
from chromatic_descent.errors import UserError
from chromatic_descent.study import Member, Study, claim

CIFAR = Path(os.environ.get("CHROMATIC_DATA_DIR", "data")).resolve()  # tests change the folder
TINY = ("data=synthetic", "model.widths=[8,32]", "trainer.max_epochs=2", "threads=1")


@pytest.fixture
def train(command_line):
    def run(*arguments):  # Hydra wants its flags before the overrides
        flags = [a for a in arguments if a.startswith("-")]
        return command_line("train", *flags, *TINY, *(a for a in arguments if a not in flags))

    return run


def artefact(folder, name="SEED_0000"):
    return folder / "artifacts" / "probes" / f"{name}.npz"


def test_a_single_run_goes_to_outputs_and_leaves_its_record(train, tmp_path):
    code, _ = train()
    assert code == 0
    (study,) = (tmp_path / "outputs").iterdir()
    member = study / "SEED_0000"
    for name in ("config.yaml", "hydra.yaml", "overrides.yaml"):
        assert (member / ".hydra" / name).exists()
    assert "widths" in (member / "config_tree.txt").read_text()
    assert (member / "checkpoints" / "last.ckpt").exists()
    assert "train/accuracy" in (member / "metrics" / "version_0" / "metrics.csv").read_text()
    loaded = probe_logits.load(artefact(study))
    assert loaded.logits.shape == (128, 4)
    record = loaded.record
    assert record["accuracy"] == np.mean(loaded.logits.argmax(1) == loaded.labels)
    assert record["accuracy"] > 0.5  # it learned
    assert record["hardware"]["threads"] == 1
    assert record["wall_time"]["train"] > 0
    assert record["versions"]["torch"]
    assert not list(study.rglob("*.tmp*"))


def test_a_sweep_makes_a_study_and_running_it_again_skips_it(train, tmp_path):
    code, printed = train("-m", "seed=range(2)", "study=s")
    assert code == 0, printed
    study = tmp_path / "multirun" / "s"
    names = sorted(p.name for p in study.glob("SEED_*"))
    assert names == ["SEED_0000", "SEED_0001"]
    before = {p: p.read_bytes() for p in study.glob("artifacts/probes/*.npz")}
    code, printed = train("-m", "seed=range(2)", "study=s")
    assert code == 0
    assert printed.count("is complete, skipped") == 2
    assert {p: p.read_bytes() for p in study.glob("artifacts/probes/*.npz")} == before


def test_a_named_single_run_joins_its_study(train, tmp_path):
    train("study=s", "seed=0")
    train("study=s", "seed=1")
    assert len(Study(tmp_path / "multirun" / "s").members()) == 2
    assert not (tmp_path / "outputs").exists()


def test_only_what_the_sweep_varies_is_in_the_names(train, tmp_path):
    code, _ = train("-m", "seed=0,1", "study=s", "label_smoothing=0.1,0.2", "trainer.max_epochs=1")
    assert code == 0
    names = sorted(m.name for m in Study(tmp_path / "multirun" / "s").members())
    assert names == [f"SEED_000{s}-label_smoothing_0.{k}" for s in "01" for k in "12"]


def test_same_seed_same_bits_and_another_seed_other_bits(train, tmp_path):
    for arguments in [("study=a",), ("study=b",), ("study=c", "seed=1")]:
        train(*arguments)
    root = tmp_path / "multirun"
    a, b = (probe_logits.load(artefact(root / s)).logits for s in "ab")
    c = probe_logits.load(artefact(root / "c", "SEED_0001")).logits
    assert np.array_equal(a, b)
    assert not np.array_equal(a, c)


def test_a_trajectory_is_recorded_and_changes_nothing(train, tmp_path):
    train("study=plain")
    train("study=along", "probe.every=1")
    plain, along = (
        probe_logits.load(artefact(tmp_path / "multirun" / s)) for s in ("plain", "along")
    )
    assert plain.trajectory is None
    assert along.trajectory.epochs.tolist() == [0, 1, 2]
    assert along.trajectory.logits.shape == (3, *plain.logits.shape)
    assert np.array_equal(along.trajectory.logits[-1], along.logits)
    assert np.array_equal(along.logits, plain.logits)
    accuracy = (along.trajectory.logits.argmax(2) == along.labels).mean(1)
    assert accuracy[0] < accuracy[-1]


def test_a_trajectory_outlives_an_interruption(train, tmp_path, monkeypatch):
    train("study=whole", "probe.every=1")

    def stop(*arguments, **options):
        raise UserError("interrupted")

    monkeypatch.setattr("chromatic_descent.training.alone.record_member", stop)
    train("study=cut", "probe.every=1")
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    checkpoint = Member(Study(tmp_path / "multirun" / "cut"), "SEED_0000").checkpoint
    assert checkpoint.exists()
    train("study=cut", "probe.every=1")
    whole, cut = (probe_logits.load(artefact(tmp_path / "multirun" / s)) for s in ("whole", "cut"))
    assert cut.record["continued"]
    assert np.array_equal(whole.trajectory.logits, cut.trajectory.logits)
    assert whole.trajectory.epochs.tolist() == cut.trajectory.epochs.tolist()


def test_a_negative_interval_is_refused(train):
    code, printed = train("probe.every=-1")
    assert code == 1
    assert "probe.every=-1: expected a number of epochs" in printed


def test_seed_zero_is_a_seed(train, tmp_path):
    train("study=s", "seed=0")
    assert probe_logits.load(artefact(tmp_path / "multirun" / "s")).record["seed"] == 0


def test_another_config_is_refused_by_its_keys_and_harms_nothing(train, tmp_path):
    train("study=s")
    study = tmp_path / "multirun" / "s"
    before = {p: p.read_bytes() for p in study.rglob("*") if p.is_file() and p.name != "train.log"}
    code, printed = train("study=s", "label_smoothing=0.3", "optim.optimizer.lr=0.1")
    assert code == 1
    assert "label_smoothing: 0.2 -> 0.3" in printed
    assert "optim.optimizer.lr: 0.24 -> 0.1" in printed
    assert "overwrite=true" in printed
    assert "Traceback" not in printed
    assert all(p.read_bytes() == content for p, content in before.items())
    code, printed = train("study=s", "label_smoothing=0.3", "overwrite=true")
    assert code == 0
    record = probe_logits.load(artefact(study)).record
    assert record["config"]["label_smoothing"] == 0.3


def test_the_machine_is_no_difference_between_configs(train):
    train("study=s")
    code, printed = train("study=s", "trainer.accelerator=cpu", "trainer.log_every_n_steps=7")
    assert code == 0
    assert "skipped" in printed


def test_one_failed_member_does_not_stop_the_others(train, tmp_path):
    study = Study(tmp_path / "multirun" / "s")
    blocked = Member(study, "SEED_0001")
    blocked.folder.mkdir(parents=True)
    blocked.manifest.write_text("{")
    code, printed = train("-m", "seed=range(3)", "study=s")
    assert code == 1
    assert "member.json is not JSON" in printed
    assert "2 of 3 complete" in printed
    assert [m.status for m in study.members()] == ["complete", "interrupted", "complete"]


def test_a_sweep_that_fails_by_a_bug_ends_with_its_members_too(train, tmp_path, monkeypatch):
    def broken(self, batch, index):
        raise RuntimeError("out of luck")

    monkeypatch.setattr("chromatic_descent.training.module.Classifier.training_step", broken)
    code, printed = train("-m", "seed=range(2)", "study=s")
    assert code == 1
    assert printed.count("Traceback") == 2  # in the log, one for each member
    told = printed.splitlines()[-3:]
    assert told[0].endswith("0 of 2 complete.")
    assert told[1:] == [f"  SEED_000{seed} failed: out of luck" for seed in range(2)]
    with pytest.raises(RuntimeError, match="out of luck"):
        train("study=alone")


def test_diverged_member_fails_with_its_reason_on_disk(train, tmp_path):
    code, printed = train("study=s", "optim=sgd", "optim.optimizer.lr=1e30")
    assert code == 1
    assert "Training diverged: lower the learning rate" in printed
    member = Member(Study(tmp_path / "multirun" / "s"), "SEED_0000")
    assert member.status == "failed"
    assert "diverged" in member.failure.read_text().splitlines()[0]


def test_a_broken_artefact_is_named_and_kept(train, tmp_path):
    train("study=s")
    path = artefact(tmp_path / "multirun" / "s")
    path.write_bytes(path.read_bytes()[:100])
    code, printed = train("study=s")
    assert code == 1
    assert "SEED_0000.npz cannot be read as a probe artefact" in printed
    assert "Traceback" not in printed
    assert path.stat().st_size == 100


def test_a_broken_checkpoint_is_named(train, tmp_path):
    train("study=s")
    study = tmp_path / "multirun" / "s"
    artefact(study).unlink()
    (study / "SEED_0000" / "checkpoints" / "last.ckpt").write_bytes(b"nonsense")
    code, printed = train("study=s")
    assert code == 1
    assert re.search(r"last\.ckpt cannot be read as a checkpoint.*Delete it", printed)
    assert "Traceback" not in printed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nonsense=1",), "Could not override 'nonsense'"),
        (("model=nonsense",), "nonsense"),
        (("seed=-1",), "seed is -1: expected a whole number from 0"),
        (("seed=abc",), "seed is 'abc'"),
        (("study=../x",), "expected a plain folder name"),
        (("probe.size=1000000",), "probe.size=1000000: expected a number from 0 to 128"),
        (("model.widths=[4,4,4,4,4]",), "model.widths=[4, 4, 4, 4, 4] halves the image 5 times"),
        (("data=cifar10", "paths.data=nowhere"), "CIFAR10 was not found in"),
        (("trainer.accelerator=tpu",), "tpu"),
    ],
)
def test_each_mistake_is_one_message(train, arguments, message):
    code, printed = train(*arguments, "study=s" if "study=../x" not in arguments else "seed=0")
    assert code == 1
    assert message in printed
    assert "Traceback" not in printed


def test_a_folder_that_cannot_be_written_is_one_message(train, tmp_path):
    (tmp_path / "file").touch()
    code, printed = train("paths.multirun=file", "study=s")
    assert code == 1
    assert "file" in printed
    assert "Traceback" not in printed


def test_the_advice_of_a_refusal_can_be_followed_in_the_same_study(train, tmp_path):
    code, printed = train("repulsion=svgd", "study=s")
    assert code == 1
    assert "use population=joint" in printed
    code, printed = train("repulsion=svgd", "population=joint", "population.members=2", "study=s")
    assert code == 0, printed
    assert artefact(tmp_path / "multirun" / "s", "SEED_0001").exists()


def test_a_member_with_a_checkpoint_is_not_begun_anew_with_another_config(train, tmp_path):
    assert train("study=s")[0] == 0
    artefact(tmp_path / "multirun" / "s").unlink()  # as if interrupted before it was recorded
    code, printed = train("lr_scale=0.5", "study=s")
    assert code == 1
    assert "was begun with another config" in printed
    assert "lr_scale: 1.0 -> 0.5" in printed


def test_a_traceback_is_shown_on_request(monkeypatch, command_line):
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    with pytest.raises(UserError, match=r"data\.train_size=0"):
        command_line("train", *TINY, "data.train_size=0")


def test_a_busy_member_is_left_alone(train, tmp_path):
    study = Study(tmp_path / "multirun" / "s")
    with claim(Member(study, "SEED_0000")):
        code, printed = train("-m", "seed=0,1", "study=s")
    assert code == 1
    assert "SEED_0000 of study s is being trained by another process: left to it" in printed
    assert artefact(study.path, "SEED_0001").exists()
    assert not artefact(study.path, "SEED_0000").exists()


def test_two_processes_on_one_study_share_its_members(subprocess_line, train, tmp_path):
    options = ("-m", *TINY, "trainer.max_epochs=20", "study=shared", "seed=range(4)")
    both = [subprocess_line("train", *options) for _ in range(2)]
    printed = [process.communicate(timeout=120)[0] for process in both]
    assert not any("Traceback" in text for text in printed)
    trained = [re.findall(r"(SEED_\d+): accuracy", text) for text in printed]
    assert sorted(trained[0] + trained[1]) == sorted(set(trained[0] + trained[1]))  # none twice
    code, again = train(*options[1:], "-m")
    assert code == 0, again
    assert len(list((tmp_path / "multirun" / "shared" / "artifacts" / "probes").iterdir())) == 4


def kill_and_run_again(command_line, subprocess_line, tmp_path, options, kills):
    """Train one member undisturbed, and one killed at random moments; check that they are equal."""
    assert command_line("train", *options, "study=calm")[0] == 0
    wanted = probe_logits.load(artefact(tmp_path / "multirun" / "calm"))
    study = tmp_path / "multirun" / "killed"
    checkpoint = study / "SEED_0000" / "checkpoints" / "last.ckpt"
    share = wanted.record["wall_time"]["train"] / (kills + 1)  # so that no try gets to the end
    dice, killed = random.Random(0), 0
    for _ in range(kills):
        process = subprocess_line("train", *options, "study=killed")
        before = checkpoint.stat().st_mtime_ns if checkpoint.exists() else 0
        deadline = time.monotonic() + 120
        while process.poll() is None and time.monotonic() < deadline:
            if checkpoint.exists() and checkpoint.stat().st_mtime_ns > before:
                break  # it has begun to train
            time.sleep(0.005)
        time.sleep(dice.uniform(0, share))
        process.send_signal(signal.SIGKILL)
        killed += process.wait() == -signal.SIGKILL
        process.stdout.close()
    assert killed == kills
    code, printed = command_line("train", *options, "study=killed")
    assert code == 0, printed
    member = probe_logits.load(artefact(study))
    assert member.record["continued"]
    assert wanted.logits.std(axis=0).min() > 0.01  # not a dead network, which is easy to equal
    assert np.array_equal(member.logits, wanted.logits)
    assert not list(study.rglob(".*.tmp*"))


@pytest.mark.slow
def test_killed_at_random_moments_it_ends_with_the_same_bits(
    command_line, subprocess_line, tmp_path
):
    options = (*TINY, "trainer.max_epochs=60", "trainer.accelerator=cpu")
    kill_and_run_again(command_line, subprocess_line, tmp_path, options, kills=2)


@pytest.mark.slow
def test_killed_five_times_on_cifar10_it_ends_with_the_same_bits(
    command_line, subprocess_line, tmp_path
):
    options = (f"paths.data={CIFAR}", "experiment=fast", "threads=1", "trainer.accelerator=cpu")
    options += ("data.train_size=1500", "trainer.max_epochs=24")
    kill_and_run_again(command_line, subprocess_line, tmp_path, options, kills=5)


def test_dry_commands_need_no_torch(subprocess_line, tmp_path):
    for arguments in (("--help",), ("--cfg", "job", "--resolve"), ("--info", "defaults")):
        process = subprocess_line("train", *arguments)
        assert process.wait() == 0
        process.stdout.close()
    code = (
        "import sys, chromatic_descent.train as t; assert 'torch' not in sys.modules; "
        "assert 'lightning' not in sys.modules"
    )
    import subprocess
    import sys

    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_the_identity_holds_no_path_of_the_machine(train, tmp_path):
    train("study=s")
    record = probe_logits.read_record(artefact(tmp_path / "multirun" / "s"))
    assert str(tmp_path) not in json.dumps(record["config"])
    assert "seed" not in record["config"]
