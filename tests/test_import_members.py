import json
import pickle

import numpy as np
import pytest
import torch
import torchvision

from chromatic_descent import probe_logits
from chromatic_descent.data import ImageData, sources
from chromatic_descent.probe_logits.record import RECORD_KEYS
from chromatic_descent.study import Member, Study
from tests.makers import QUICK_OPTIONS, make_member

QUICK = (
    *QUICK_OPTIONS,
    "distances=[logit_mse]",
    "maps=[logit_mse]",
    "combiners=[mean_probability]",
    "figures=[]",
)
TINY = ("data=synthetic", "model.widths=[8,32]", "trainer.max_epochs=1", "threads=1")


@pytest.fixture
def files(tmp_path):
    """Logits of four members and their labels, in a folder of their own."""
    rng = np.random.default_rng(0)
    np.save(tmp_path / "logits.npy", rng.normal(size=(4, 30, 3)))
    np.save(tmp_path / "labels.npy", rng.integers(3, size=30))
    return tmp_path


@pytest.fixture
def bring(command_line):
    return lambda *arguments: command_line("import_members", *arguments)


GIVEN = ("study=theirs", "logits=logits.npy", "labels=labels.npy")


def test_logits_become_members_that_can_be_analysed(bring, files, command_line):
    code, printed = bring(*GIVEN, "origin=elsewhere", "dataset=toys", "classes=[a,b,c]")
    assert code == 0, printed
    study = Study(files / "multirun" / "theirs")
    assert [m.name for m in study.members()] == [f"SEED_000{s}" for s in range(4)]
    logits = np.load(files / "logits.npy")
    for place, member in enumerate(study.members()):
        loaded = probe_logits.load(member.artefact)
        assert np.array_equal(loaded.logits, logits[place].astype(np.float32))
        assert loaded.record["imported"]["file"] == "logits.npy"
        assert loaded.record["imported"]["origin"] == "elsewhere"
        assert loaded.record["dataset"] == {
            "name": "toys",
            "fingerprint": "imported",
            "classes": list("abc"),
        }
        assert set(RECORD_KEYS) <= set(loaded.record)
    code, printed = command_line("analyze", "study=theirs", *QUICK)
    assert code == 0, printed
    numbers = json.loads((study.reports / "analysis.json").read_text())
    assert numbers["provenance"]["imported"]["SEED_0003"]["place"] == 3
    assert "trained_with" not in numbers["provenance"]
    code, printed = bring(*GIVEN)  # the same again changes nothing
    assert code == 0, printed


def test_trajectories_and_files_of_one_member_each(bring, files):
    rng = np.random.default_rng(1)
    np.savez(
        files / "along.npz",
        logits=rng.normal(size=(2, 3, 30, 3)),
        labels=np.load(files / "labels.npy"),
    )
    assert bring("study=along", "logits=along.npz")[0] == 0
    loaded = probe_logits.load(files / "multirun/along/artifacts/probes/SEED_0001.npz")
    assert loaded.trajectory.logits.shape == (3, 30, 3)
    for name in "ab":
        np.save(files / f"{name}.npy", rng.normal(size=(30, 3)))
    code, printed = bring(
        "study=single", "logits=[a.npy,b.npy]", "labels=labels.npy", "recipe=vit", "seed=5"
    )
    assert code == 0, printed
    names = [m.name for m in Study(files / "multirun" / "single").members()]
    assert names == ["SEED_0005-vit", "SEED_0006-vit"]


def test_imported_members_fit_existing_ones(bring, files):
    study = Study(files / "multirun" / "mine")
    there = make_member("SEED_0000", 0, images=30)
    probe_logits.save(Member(study, "SEED_0000").artefact, there)
    np.save(files / "same.npy", there.labels)
    arguments = ("study=mine", "logits=logits.npy", "recipe=vit")
    code, printed = bring(*arguments, "labels=same.npy")
    assert code == 1
    assert "different probes" in printed
    code, printed = bring(*arguments, "labels=labels.npy", "same_probe=true")
    assert code == 1
    assert "labels, indices or shapes differ" in printed
    assert len(study.members()) == 1  # nothing was written
    code, printed = bring(*arguments, "labels=same.npy", "same_probe=true")
    assert code == 0, printed
    assert len(study.members()) == 5
    assert probe_logits.stack([probe_logits.load(m.artefact) for m in study.members()])


def test_an_existing_member_is_replaced_only_on_request(bring, files):
    assert bring(*GIVEN)[0] == 0
    np.save(files / "logits.npy", np.load(files / "logits.npy") + 1)
    code, printed = bring(*GIVEN)
    assert code == 1
    assert "has other members named SEED_0000" in printed
    assert bring(*GIVEN, "overwrite=true")[0] == 0


def test_weights_are_recorded_as_the_member_they_come_from(bring, files, command_line):
    """A checkpoint of ours, imported: the same logits to the bit, and the same probe."""
    assert command_line("train", *TINY, "study=s")[0] == 0
    study = Study(files / "multirun" / "s")
    member = Member(study, "SEED_0000")
    weights = torch.load(member.checkpoint, weights_only=True)["state_dict"]
    torch.save(weights, files / "plain.pt")
    code, printed = bring(
        *TINY, "study=s", f"checkpoint=[{member.checkpoint},plain.pt]", "recipe=again"
    )
    assert code == 0, printed
    wanted = probe_logits.load(member.artefact)
    for name in ("SEED_0000-again", "SEED_0001-again"):
        imported = probe_logits.load(Member(study, name).artefact)
        assert np.array_equal(imported.logits, wanted.logits)
        assert imported.record["probe_hash"] == wanted.record["probe_hash"]
        assert "optim" not in imported.record["config"]
    code, printed = bring(*TINY, "study=s", "checkpoint=plain.pt", "model.widths=[8,16]", "seed=9")
    assert code == 1
    assert "plain.pt does not fit the model" in printed
    (files / "evil.pt").write_bytes(pickle.dumps({"w": Executed(files / "touched")}))
    code, printed = bring(*TINY, "study=s", "checkpoint=evil.pt", "seed=9")
    assert code == 1
    assert "evil.pt cannot be read as a checkpoint" in printed
    assert not (files / "touched").exists()


def test_a_state_dict_that_torchvision_saved(bring, files):
    """Recorded as the network itself answers, on the probe's images."""
    theirs = torchvision.models.resnet18(num_classes=4)
    torch.save(theirs.state_dict(), files / "theirs.pt")
    options = ("data=synthetic", "threads=1", "trainer.precision=32-true", "checkpoint=theirs.pt")
    named = ("study=s", "model=torchvision", "model.name=resnet18", "recipe=resnet")
    code, printed = bring(*options, *named)
    assert code == 0, printed
    (member,) = Study(files / "multirun" / "s").members()
    imported = probe_logits.load(member.artefact)
    data = ImageData(sources.synthetic)
    with torch.no_grad():
        batches = data.evaluation_batches(data.probe.images, torch.device("cpu"))
        wanted = torch.cat([theirs.eval()(images) for images in batches])
    np.testing.assert_allclose(imported.logits, wanted.numpy(), rtol=1e-4, atol=1e-4)
    assert imported.record["config"]["model"]["name"] == "resnet18"
    code, printed = bring(*options, *named[:2], "model.name=resnet34", "seed=9")
    assert code == 1
    assert "theirs.pt does not fit the model" in printed


class Executed:
    """An object whose unpickling leaves a trace."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (type(self.path).touch, (self.path,))


def last_is_infinite(logits):
    return np.concatenate([logits[:-1], np.full_like(logits[:1], np.inf)])


def changed(path, change):
    np.save(path, change(np.load(path)))


@pytest.mark.parametrize(
    ("change", "arguments", "message"),
    [
        (lambda f: None, ("study=x",), "Give either logits=FILE"),
        (lambda f: None, ("logits=logits.npy",), "Give study=NAME"),
        (lambda f: None, ("study=x", "logits=logits.npy"), "Give labels=FILE"),
        (lambda f: None, ("study=x", "logits=none.npy"), "There is no file none.npy"),
        (lambda f: None, ("study=../x", *GIVEN[1:]), "expected a plain folder name"),
        (lambda f: None, (*GIVEN, "same_probe=true"), "has no member yet"),
        (lambda f: None, (*GIVEN, "classes=[a,b]"), "expected 3 names"),
        (
            lambda f: None,
            (*GIVEN, "indices=logits.npy"),
            "expected a whole number for each of the 30",
        ),
        (lambda f: changed(f / "labels.npy", lambda a: a + 5), GIVEN, "labels are 5 to 7"),
        (
            lambda f: changed(f / "labels.npy", lambda a: a[:9]),
            GIVEN,
            "expected a whole number for each",
        ),
        (
            lambda f: changed(f / "logits.npy", lambda a: a[0, 0]),
            GIVEN,
            "expected floating-point numbers",
        ),
        (lambda f: changed(f / "logits.npy", last_is_infinite), GIVEN, "are not finite"),
        (lambda f: (f / "logits.npy").write_bytes(b"x"), GIVEN, "cannot be read as an array"),
    ],
)
def test_each_mistake_is_one_message_and_writes_nothing(bring, files, change, arguments, message):
    change(files)
    code, printed = bring(*arguments)
    assert code == 1
    assert message in printed
    assert "Traceback" not in printed
    assert not list(files.rglob("*SEED*.npz"))
