"""Sequential repulsion as it is used: through the command line, on made images."""

import csv
import json
import re
from pathlib import Path

import lightning
import numpy as np
import pytest
from hydra import compose, initialize_config_dir

import chromatic_descent.geometry as geometry
from chromatic_descent import config, probe_logits
from chromatic_descent.errors import UserError
from chromatic_descent.files.hashing import content_hash
from chromatic_descent.launch import launchers
from chromatic_descent.study import Member, Study
from chromatic_descent.training.alone import solo

TINY = ("data=synthetic", "model.widths=[8,32]", "trainer.max_epochs=2", "threads=1")
SMALL = ("repulsion.pool=64", "repulsion.batch_size=16")
DOCS = Path(__file__).parents[3] / "docs" / "repulsion.md"


class StopInSecondEpoch(lightning.Callback):
    def on_train_epoch_start(self, trainer, pl_module):
        if trainer.current_epoch == 1:
            raise UserError("stopped for a test")


STOP = f"+callbacks.stop._target_={__name__}.StopInSecondEpoch"


@pytest.fixture
def train(command_line):
    def run(*arguments, expected=0):  # Hydra wants its flags before the overrides
        flags = [a for a in arguments if a.startswith("-")]
        code, printed = command_line(
            "train", *flags, *TINY, *(a for a in arguments if a not in flags)
        )
        assert code == expected, printed
        assert "Traceback" not in printed
        return printed

    return run


@pytest.fixture
def study(tmp_path):
    return lambda name: Study(tmp_path / "multirun" / name)


def load(study, seed):
    return probe_logits.load(study.probes / f"SEED_{seed:04d}.npz")


def trained(study, seed, *overrides):
    """A member as the command trains it, without the command."""
    given = (*TINY, "trainer.enable_progress_bar=false", "study=s", f"seed={seed}", *overrides)
    with initialize_config_dir(config.configs_folder(), version_base="1.3"):
        cfg = compose("train", [*given])
    members = [Member(study, f"SEED_{seed:04d}")]
    solo(cfg)(members, members, config.identity(cfg))
    return load(study, seed)


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """Two plain members: the study's path and their logits."""
    study = Study(tmp_path_factory.mktemp("studies") / "plain")
    logits = [trained(study, seed, "trainer.max_epochs=4", "logger=none").logits for seed in (0, 1)]
    return study.path, logits


def test_each_member_is_repelled_from_those_before_it_and_says_so(train, study):
    train("-m", "seed=range(3)", "study=s", "repulsion=rbf", *SMALL)
    train("-m", "seed=range(3)", "study=plain")
    used = [load(study("s"), seed).record["references"] for seed in range(3)]
    assert [[r["member"] for r in each] for each in used] == [
        [],
        ["SEED_0000"],
        ["SEED_0000", "SEED_0001"],
    ]
    first = load(study("s"), 0)
    assert used[1][0] == {
        "study": "s",
        "member": "SEED_0000",
        "config_hash": first.record["config_hash"],
        "logits_hash": content_hash(first.logits),
    }
    assert Member(study("s"), "SEED_0002").read_manifest().references == used[2]
    # The first is trained plainly, the others are not.
    equal = [
        np.array_equal(load(study("s"), s).logits, load(study("plain"), s).logits) for s in range(3)
    ]
    assert equal == [True, False, False]
    assert "references" not in load(study("plain"), 1).record
    # Which references a member has is not its recipe.
    assert len({load(study("s"), seed).record["config_hash"] for seed in range(3)}) == 1


def test_strength_zero_equals_none_bit_for_bit(train, study):
    train("-m", "seed=0,1", "study=plain")
    train("-m", "seed=0,1", "study=zero", "repulsion=rbf", "repulsion.strength=0")
    for seed in (0, 1):
        assert np.array_equal(load(study("plain"), seed).logits, load(study("zero"), seed).logits)


@pytest.mark.parametrize("how", ["random", "nearest"])
def test_an_interrupted_member_ends_the_same_whoever_completed_meanwhile(train, study, how):
    options = ("repulsion=rbf", *SMALL, "repulsion.references.count=1")
    options += (f"repulsion.references.choose={how}", "trainer.max_epochs=3")
    for name in ("whole", "cut"):
        train("-m", "seed=0,1", f"study={name}", *options)
    train("study=whole", "seed=2", *options)
    assert "stopped for a test" in train("study=cut", "seed=2", *options, STOP, expected=1)
    assert Member(study("cut"), "SEED_0002").checkpoint.exists()
    train("study=cut", "seed=3", *options)
    train("study=cut", "seed=2", *options)
    whole, cut = load(study("whole"), 2), load(study("cut"), 2)
    assert cut.record["continued"]
    assert [r["logits_hash"] for r in cut.record["references"]] == [
        r["logits_hash"] for r in whole.record["references"]
    ]
    assert np.array_equal(whole.logits, cut.logits)
    # And so does one that is trained again from its start.
    study("cut").probes.joinpath("SEED_0002.npz").unlink()
    Member(study("cut"), "SEED_0002").checkpoint.unlink()
    train("study=cut", "seed=2", *options)
    assert np.array_equal(whole.logits, load(study("cut"), 2).logits)


def test_a_listed_reference_that_vanished_is_named(train, study):
    options = ("study=s", "repulsion=rbf", *SMALL)
    train("-m", "seed=0,1", *options)
    train("seed=2", *options, STOP, expected=1)
    study("s").probes.joinpath("SEED_0001.npz").unlink()
    printed = train("seed=2", *options, expected=1)
    assert "no longer complete in study s: SEED_0001. Put them back" in printed


def test_references_may_be_of_another_study(train, study):
    train("-m", "seed=range(3)", "study=plain")
    options = ("repulsion=hellinger", *SMALL, "repulsion.references.from=plain")
    train("-m", "seed=5,6", "study=apart", *options, "repulsion.references.count=2")
    for seed in (5, 6):
        used = load(study("apart"), seed).record["references"]
        assert len(used) == 2
        assert {r["study"] for r in used} == {"plain"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("repulsion=svgd",), "term svgd works only between members that are trained together: use population=joint"),
        (("repulsion=ncl",), "term ncl works only between members"),
        (("repulsion.strength=-1",), "repulsion.strength=-1: expected from 0"),
        (("repulsion.points=probe",), "repulsion.points=probe: expected one of train"),
        (("repulsion.points=heldout",), "hold some out, as in data.heldout_size=2000"),
        (("repulsion.references.from=nowhere",), "repulsion.references.from=nowhere"),
        (("repulsion.references.from=other", "probe.size=64"), "SEED_0000 was recorded on another probe"),
        (("repulsion.references.from=other", "model.widths=[8,16]"), "model.widths: [8, 32] -> [8, 16]"),
        (("repulsion.references.from=other", "repulsion.references.count=2"), "study other has 1 complete"),
    ],
)  # fmt: skip
def test_each_mistake_is_one_message_before_any_training(train, study, options, message):
    if any("other" in option for option in options):
        train("study=other", "trainer.max_epochs=1")
    given = options if options[0].startswith("repulsion=") else ("repulsion=rbf", *options)
    assert message in train("study=s", *given, expected=1)
    assert not Member(study("s"), "SEED_0000").checkpoint.exists()


def test_a_study_without_a_name_is_refused(train):
    assert "this run's study has no name" in train("repulsion=rbf", expected=1)


def test_a_missing_or_foreign_checkpoint_is_named(train, study):
    train("study=other")
    options = ("study=s", "repulsion=rbf", *SMALL, "repulsion.references.from=other")
    checkpoint = Member(study("other"), "SEED_0000").checkpoint
    moved = checkpoint.rename(checkpoint.with_suffix(".moved"))
    assert re.search(r"SEED_0000 has no .*last\.ckpt", train(*options, expected=1))
    train("study=wide", "model.widths=[16,32]")
    Member(study("wide"), "SEED_0000").checkpoint.rename(checkpoint)
    assert "does not hold the weights of this run's model" in train(*options, expected=1)
    moved.replace(checkpoint)
    train(*options)


def test_under_a_parallel_launcher_only_another_studys_members_will_do(train, monkeypatch):
    train("study=other")
    monkeypatch.setattr(launchers, "_BASIC", "another")
    options = ("-m", "seed=0,1", "study=s", "repulsion=rbf", *SMALL)
    printed = train(*options, expected=1)
    assert "use population=joint, repulsion.references.from=<another study>" in printed
    options = ("-m", "seed=0,1", "study=t", "repulsion=rbf", *SMALL)
    train(*options, "repulsion.references.from=other")
    train("study=alone", "repulsion=rbf", *SMALL)  # one run is no sweep


@pytest.mark.parametrize(
    "name",
    [
        "logit_mse",
        "hellinger",
        "kl",
        "rbf",
        "rbf_hellinger",
        "dbat",
        "weight_rbf",
        "input_gradient",
    ],
)
def test_every_sequential_option_trains_and_logs(tmp_path, plain, name):
    study = Study(tmp_path / "s")
    options = (*SMALL, f"repulsion.references.from={plain[0]}", "trainer.log_every_n_steps=2")
    member = trained(study, 2, f"repulsion={name}", *options)
    assert member.record["accuracy"] > 0.5
    path = Member(study, "SEED_0002").folder / "metrics" / "version_0" / "metrics.csv"
    with path.open() as file:
        rows = [row for row in csv.DictReader(file) if row["repulsion/penalty"]]
    assert [int(row["step"]) for row in rows] == [1, 3, 5, 7]  # sparse: every second
    for key in ("penalty", "cross_entropy", "gradient_ratio", "distance_logits", "distance_hellinger", "temperature"):  # fmt: skip
        values = [float(row[f"repulsion/{key}"]) for row in rows]
        assert np.isfinite(values).all(), key
        assert key == "penalty" or min(values) > 0, key


def test_logging_changes_nothing(tmp_path, plain):
    options = ("repulsion=rbf", *SMALL, f"repulsion.references.from={plain[0]}")
    often = trained(Study(tmp_path / "often"), 2, *options, "trainer.log_every_n_steps=1")
    never = trained(Study(tmp_path / "never"), 2, *options, "logger=none")
    assert np.array_equal(often.logits, never.logits)


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        ("logit_mse", 0.1),
        ("hellinger", 0.5),
        ("kl", 0.1),
        ("rbf", 0.1),
        ("rbf_hellinger", 0.1),
        ("dbat", 0.1),
    ],
)
def test_more_strength_is_more_distance_and_the_highest_is_finite(tmp_path, plain, name, unit):
    path, logits = plain
    options = (f"repulsion={name}", f"repulsion.references.from={path}", "repulsion.pool=256")
    distances = []
    for strength in (0.0, unit / 2, 1.5 * unit, 4.5 * unit, 1000.0):
        member = trained(
            *(Study(tmp_path / str(strength)), 2, *options, f"repulsion.strength={strength}"),
            *("trainer.max_epochs=4", "logger=none"),
        )
        squared = geometry.distance_matrix(np.stack([member.logits, *logits]), "hellinger")
        distances.append(squared[0, 1:].mean())
    assert np.isfinite(distances).all()
    assert distances[:4] == sorted(distances[:4])
    assert distances[3] > 1.5 * distances[0]


def test_a_term_of_ones_own_as_the_docs_say(train, study, tmp_path, monkeypatch):
    blocks = dict(re.findall(r"^```(python|yaml)\n(.*?)^```", DOCS.read_text("utf-8"), re.S | re.M))
    (tmp_path / "mine.py").write_text(blocks["python"])
    (tmp_path / "my_configs" / "repulsion").mkdir(parents=True)
    (tmp_path / "my_configs" / "repulsion" / "cosine.yaml").write_text(blocks["yaml"])
    monkeypatch.syspath_prepend(tmp_path)
    train("study=plain")
    options = (*SMALL, "repulsion.references.from=plain", "repulsion.strength=3")
    train("--config-dir=my_configs", "study=mine", "seed=1", "repulsion=cosine", *options)
    line = ("repulsion=rbf", "repulsion.term._target_=mine.cosine")
    train("study=line", "seed=1", *line, *options)
    train("study=none", "seed=1")
    mine, on_the_line, none = (load(study(s), 1) for s in ("mine", "line", "none"))
    assert "mine.cosine" in json.dumps(mine.record["config"])
    assert np.array_equal(mine.logits, on_the_line.logits)
    assert not np.array_equal(mine.logits, none.logits)
