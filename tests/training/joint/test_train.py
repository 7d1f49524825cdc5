"""`population=joint` from the command line: the same files as members trained alone, and no others."""

import csv
import json
import re
import signal
import time

import numpy as np
import pytest
import torch

from chromatic_descent import probe_logits
from chromatic_descent.errors import UserError
from chromatic_descent.study import Member, Study, claim
from chromatic_descent.training.joint import train as joint

DIGITS = (
    "experiment=demo",
    "trainer.max_epochs=2",
    "trainer.accelerator=cpu",
    "trainer.precision=32-true",
    "trainer.enable_progress_bar=false",
    "threads=1",
)
TINY = ("data=synthetic", "model.widths=[8,32]", *DIGITS[1:])
TOGETHER = ("population=joint", "population.members=3")
FLOAT32 = "optim.optimizer.orthogonalise_in=float32"  # in bfloat16, round-off is blown up at once


@pytest.fixture
def train(command_line):
    def run(*arguments, base=TINY):  # Hydra wants its flags before the overrides
        flags = [a for a in arguments if a.startswith("-")]
        return command_line("train", *flags, *base, *(a for a in arguments if a not in flags))

    return run


@pytest.fixture
def studies(tmp_path):
    def load(name):
        paths = sorted((tmp_path / "multirun" / name / "artifacts" / "probes").glob("*.npz"))
        return [probe_logits.load(path) for path in paths]

    return load


def weights(tmp_path, study, name):
    checkpoint = tmp_path / "multirun" / study / name / "checkpoints" / "last.ckpt"
    return torch.load(checkpoint, weights_only=True)["state_dict"]


@pytest.mark.parametrize("engine", ["loop", "vmap"])
def test_members_trained_together_leave_what_each_leaves_alone(train, studies, tmp_path, engine):
    options = (FLOAT32, "probe.every=1", "probe.train=50", "probe.tta=true")
    code, printed = train("-m", "seed=range(3)", "study=solo", *options, base=DIGITS)
    assert code == 0, printed
    code, printed = train(
        *TOGETHER, f"population.engine={engine}", "study=joint", *options, base=DIGITS
    )
    assert code == 0, printed
    alone, together = studies("solo"), studies("joint")
    assert len(together) == 3
    for seed, (a, b) in enumerate(zip(alone, together, strict=True)):
        name = f"SEED_{seed:04d}"
        assert a.logits.std() > 0.5  # trained
        near = {"loop": np.array_equal, "vmap": lambda x, y: np.abs(x - y).max() < 1e-4}[engine]
        assert near(a.logits, b.logits)
        assert near(a.slices["train"].logits, b.slices["train"].logits)
        assert near(a.trajectory.logits, b.trajectory.logits)
        assert a.trajectory.epochs.tolist() == b.trajectory.epochs.tolist()
        for key in ("member", "seed", "probe_hash", "slice_hashes", "dataset", "precision"):
            assert a.record[key] == b.record[key], key
        assert b.record.keys() - a.record.keys() == {"together"}
        assert a.record.keys() <= b.record.keys()
        different = {
            key
            for key in a.record["config"] | b.record["config"]
            if a.record["config"].get(key) != b.record["config"].get(key)
        }
        assert different == {"population"}
        assert b.record["config"]["population"].keys() == {"_target_", "_partial_", "members"}
        own, other = (weights(tmp_path, s, name) for s in ("solo", "joint"))
        assert own.keys() == other.keys()
        for key, value in own.items():
            torch.testing.assert_close(other[key], value, rtol=0, atol=1e-4)
        files = [
            {p.relative_to(tmp_path / "multirun" / s / name) for p in folder.rglob("*")}
            for s in ("solo", "joint")
            for folder in [tmp_path / "multirun" / s / name]
        ]
        assert {str(p) for p in files[0] ^ files[1]} <= {"train.log", "checkpoints/joint.ckpt"}
        if engine == "loop":
            metrics = [
                (tmp_path / "multirun" / s / name / "metrics" / "version_0" / "metrics.csv")
                for s in ("solo", "joint")
            ]
            assert metrics[0].read_text() == metrics[1].read_text()


def test_in_bfloat16_the_loop_is_still_the_same_to_the_bit(train, studies):
    options = ("trainer.precision=bf16-mixed", "trainer.max_epochs=1")
    train("-m", "seed=range(2)", "study=solo", *options)
    code, printed = train("population=joint", "population.members=2", "study=joint", *options)
    assert code == 0, printed
    for a, b in zip(studies("solo"), studies("joint"), strict=True):
        assert np.array_equal(a.logits, b.logits)


def test_one_member_is_a_population(train, studies):
    train("study=solo", "seed=4")
    code, printed = train("population=joint", "population.members=1", "study=joint", "seed=4")
    assert code == 0, printed
    assert np.array_equal(studies("solo")[0].logits, studies("joint")[0].logits)


def test_recipes_may_vary_and_the_study_has_a_name_unless_it_is_given(train, tmp_path):
    code, printed = train("-m", *TOGETHER[:1], "population.members=2", "label_smoothing=0.1,0.2")
    assert code == 0, printed
    (study,) = (tmp_path / "multirun").iterdir()
    names = [m.name for m in Study(study).members() if m.status == "complete"]
    assert names == [f"SEED_000{s}-label_smoothing_0.{k}" for s in "01" for k in "12"]
    train(*TOGETHER, "trainer.max_epochs=1")
    (study,) = (tmp_path / "outputs").iterdir()
    assert len(Study(study).members()) == 3


def test_a_complete_population_is_skipped_and_another_refused(train, tmp_path):
    train(*TOGETHER, "study=s")
    study = tmp_path / "multirun" / "s"
    before = {p: p.read_bytes() for p in study.rglob("*") if p.is_file() and p.name != "train.log"}
    code, printed = train(*TOGETHER, "study=s", "population.engine=vmap", "population.chunk=1")
    assert code == 0
    assert printed.count("is complete, skipped") == 3
    for arguments, difference in [
        (("population=joint", "population.members=2"), "population.members: 3 -> 2"),
        ((*TOGETHER, "seed=1"), "together: seeds 0 to 2 -> seeds 1 to 3"),
        (("seed=1",), "together: seeds 0 to 2 -> None"),
        ((*TOGETHER, "label_smoothing=0.3"), "label_smoothing: 0.2 -> 0.3"),
    ]:
        code, printed = train(*arguments, "study=s")
        assert code == 1
        assert difference in printed
        assert "Traceback" not in printed
    assert all(p.read_bytes() == content for p, content in before.items())
    code, printed = train(*TOGETHER, "study=s", "label_smoothing=0.3", "overwrite=true")
    assert code == 0
    records = [probe_logits.load(m.artefact).record for m in Study(study).members()[:3]]
    assert [r["config"]["label_smoothing"] for r in records] == [0.3] * 3


@pytest.mark.parametrize("engine", ["loop", "vmap"])
def test_interrupted_it_ends_with_the_same_bits(train, studies, tmp_path, monkeypatch, engine):
    options = (*TOGETHER, f"population.engine={engine}", "probe.every=1", "repulsion=rbf")
    options += ("repulsion.strength=1.0", "repulsion.pool=64", "repulsion.batch_size=16")
    assert train(*options, "study=whole")[0] == 0
    start = joint.JointClassifier.on_train_epoch_start

    def stop(module):
        if module.current_epoch == 1:
            raise UserError("interrupted")
        start(module)

    monkeypatch.setattr(joint.JointClassifier, "on_train_epoch_start", stop)
    code, printed = train(*options, "study=cut")
    monkeypatch.undo()
    assert code == 1
    monkeypatch.chdir(tmp_path)
    members = Study(tmp_path / "multirun" / "cut").members()
    assert [m.status for m in members] == ["failed"] * 3
    assert [m.failure.read_text().splitlines()[0] for m in members] == ["interrupted"] * 3
    assert [m.joint_checkpoint.exists() for m in members] == [True, False, False]
    assert not any(m.checkpoint.exists() for m in members)  # one file, so one epoch
    code, printed = train(*options, "study=cut")
    assert code == 0, printed
    for a, b in zip(studies("whole"), studies("cut"), strict=True):
        assert b.record["continued"]
        assert not a.record["continued"]
        assert np.array_equal(a.logits, b.logits)
        assert np.array_equal(a.trajectory.logits, b.trajectory.logits)
    assert not any(m.failure.exists() for m in members)


@pytest.mark.slow
def test_killed_at_a_random_moment_it_ends_with_the_same_bits(
    train, studies, subprocess_line, tmp_path
):
    options = (*TINY, *TOGETHER, "trainer.max_epochs=30")
    assert train(*options, "study=calm")[0] == 0
    process = subprocess_line("train", *options, "study=killed")
    checkpoint = Member(Study(tmp_path / "multirun" / "killed"), "SEED_0000").joint_checkpoint
    deadline = time.monotonic() + 60
    while not checkpoint.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    time.sleep(0.2)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    process.stdout.close()
    code, printed = train(*options, "study=killed")
    assert code == 0, printed
    for a, b in zip(studies("calm"), studies("killed"), strict=True):
        assert b.record["continued"]
        assert np.array_equal(a.logits, b.logits)
    assert not list((tmp_path / "multirun").rglob(".*.tmp*"))


def test_stopped_between_two_artefacts_only_the_rest_is_written(
    train, studies, tmp_path, monkeypatch
):
    real = joint.record_member

    def fail(module, data, trainer, identity, **options):
        if identity.name == "SEED_0001":
            raise UserError("no room")
        return real(module, data, trainer, identity, **options)

    monkeypatch.setattr(joint, "record_member", fail)
    code, printed = train(*TOGETHER, "study=s")
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    assert code == 1
    study = Study(tmp_path / "multirun" / "s")
    assert [m.status for m in study.members()] == ["complete", "failed", "complete"]
    assert study.members()[1].failure.read_text().splitlines()[0] == "no room"
    written = {m.artefact: m.artefact.stat().st_mtime_ns for m in study.members()[::2]}
    code, printed = train(*TOGETHER, "study=s")
    assert code == 0, printed
    assert all(path.stat().st_mtime_ns == then for path, then in written.items())
    train("seed=1", "study=solo")
    assert np.array_equal(studies("s")[1].logits, studies("solo")[0].logits)


def test_diverged_members_fail_each_with_its_reason(train, tmp_path):
    code, printed = train(*TOGETHER, "study=s", "optim=sgd", "optim.optimizer.lr=1e30")
    assert code == 1
    assert "Training diverged: lower the learning rate" in printed
    members = Study(tmp_path / "multirun" / "s").members()
    assert [m.status for m in members] == ["failed"] * 3
    assert all(f"{m.name}.npz" in m.explain() for m in members)


def test_one_busy_member_leaves_all_untouched(train, tmp_path):
    study = Study(tmp_path / "multirun" / "s")
    with claim(Member(study, "SEED_0002")):
        code, printed = train(*TOGETHER, "study=s")
    assert code == 1
    assert "SEED_0002 of study s is being trained by another process" in printed
    assert study.members() == []


MEASURED = ("penalty", "cross_entropy", "temperature", "gradient_ratio", "distance_hellinger")


@pytest.mark.parametrize("of", ["hellinger", "weight_rbf"])
def test_what_repulsion_does_is_logged_for_each_member(train, tmp_path, of):
    options = (*TOGETHER, f"repulsion={of}", "repulsion.schedule=constant", FLOAT32)
    options += ("repulsion.pool=64", "repulsion.batch_size=32", "trainer.log_every_n_steps=2")
    logged = {}
    for engine in ("loop", "vmap"):
        asked = (f"population.engine={engine}", "population.chunk=2", f"study={engine}")
        code, printed = train(*options, "repulsion.strength=0.5", *asked)
        assert code == 0, printed
        for seed in range(3):
            folder = tmp_path / "multirun" / engine / f"SEED_{seed:04d}" / "metrics" / "version_0"
            with (folder / "metrics.csv").open() as file:
                rows = list(csv.DictReader(file))
            steps = [row for row in rows if row["repulsion/penalty"]]
            assert [row["step"] for row in steps] == ["1", "3", "5", "7"]
            logged[engine, seed] = np.array(
                [[float(row[f"repulsion/{key}"]) for key in MEASURED] for row in steps]
            )
            assert np.isfinite(logged[engine, seed]).all()
            assert all(row["train/accuracy"] for row in rows if row not in steps)
            assert not any("SEED" in key for key in rows[0])
    for seed in range(3):
        np.testing.assert_allclose(logged["loop", seed], logged["vmap", seed], rtol=2e-2, atol=1e-3)
    assert not np.allclose(logged["loop", 0], logged["loop", 1], rtol=1e-3)


def test_who_was_trained_together_is_in_the_manifest(train, tmp_path):
    train(*TOGETHER, "study=s", "seed=5")
    manifests = sorted((tmp_path / "multirun" / "s").glob("*/member.json"))
    read = [json.loads(path.read_text()) for path in manifests]
    assert [m["seed"] for m in read] == [5, 6, 7]
    assert all(m["together"] == [5, 6, 7] for m in read)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("population.members=0",), "population.members is 0: expected a whole number from 1"),
        (("population.members=two",), "population.members is 'two'"),
        (("population.engine=fast",), "population.engine=fast: expected one of auto, loop, vmap"),
        (("population.chunk=0",), "population.chunk=0: expected a number of members from 1"),
        (("population.members=1001",), "population.members is 1001: .* from 1 to 1000"),
        (("population.engine=vmap", "compile=true"), r"vmap cannot train .* \(compile=true\)"),
        (("+trainer.gradient_clip_val=1.0",), "trainer.gradient_clip_val=1.0: population=joint"),
        (("trainer.precision=16-mixed",), "trainer.precision=16-mixed scales losses"),
        (("repulsion=dbat", "repulsion.strength=1"), "repulsion only acts against members"),
        (("repulsion=rbf", "repulsion.strength=-1"), "repulsion.strength=-1: expected"),
        (
            ("repulsion=rbf", "repulsion.strength=1", "repulsion.references.count=2"),
            "repelled from each other only",
        ),
        (
            ("repulsion=rbf", "repulsion.strength=1", "population.members=1"),
            "population.members=1 leaves no other member",
        ),
        (
            ("repulsion=rbf", "repulsion.strength=1", "repulsion.points=heldout"),
            "no image is held out",
        ),
        (("model.widths=[4,4,4,4,4]",), "halves the image 5 times"),
        (("probe.size=1000000",), "probe.size=1000000"),
    ],
)
def test_each_mistake_is_one_message_and_nothing_is_begun(train, tmp_path, arguments, message):
    code, printed = train("population=joint", *arguments, "study=s")
    assert code == 1
    assert re.search(message, printed), printed
    assert "Traceback" not in printed
    assert not list((tmp_path / "multirun").rglob("member.json"))


def test_more_members_than_memory_are_refused(train, tmp_path, monkeypatch):
    monkeypatch.setattr(joint, "available", lambda device: 50 * 2**20)
    code, printed = train("population=joint", "population.members=1000", "study=s")
    monkeypatch.undo()
    assert code == 1
    assert re.search(r"population\.members=1000, .* 50 MiB are available", printed), printed
    assert "Traceback" not in printed
    assert not list((tmp_path / "multirun").rglob("SEED_0001"))
