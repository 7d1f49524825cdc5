"""A study made by an attacker is read or refused, and nothing else happens.

Random alterations: tests/test_fuzz.py.
"""

import io
import json
import pickle
import struct
import zipfile

import numpy as np
import pytest
import torch

from chromatic_descent import probe_logits
from chromatic_descent.errors import UserError
from chromatic_descent.files.atomic import write_text
from chromatic_descent.probe_logits import ArtefactError
from chromatic_descent.study import Member, Study
from tests.makers import QUICK_OPTIONS, make_member, make_record

FEW = ("distances=[logit_mse]", "maps=[logit_mse]", "combiners=[mean_probability]", "figures=[]")
SCRIPT = "<script>alert(1)</script>"


class Executed:
    """Leaves a trace when it is unpickled."""

    def __init__(self, trace):
        self.trace = trace

    def __reduce__(self):
        return (type(self.trace).touch, (self.trace,))


@pytest.fixture
def trace(tmp_path):
    """A file that must not be created."""
    path = tmp_path / "executed"
    yield path
    assert not path.exists()


@pytest.fixture
def study(tmp_path):
    study = Study(tmp_path / "multirun" / "s")
    for seed in range(3):
        member = make_member(f"SEED_000{seed}", seed, images=30)
        probe_logits.save(Member(study, member.record["member"]).artefact, member)
    return study


def bad_artefact(study, arrays, save=np.savez):
    path = study.probes / "SEED_0009.npz"
    given = {"record": np.array(json.dumps(make_record("SEED_0009", 9))), **arrays}
    save(path, **given)
    return path


def refused(path):
    for read in (probe_logits.load, probe_logits.read_record):
        with pytest.raises(ArtefactError, match=r"SEED_0009\.npz") as caught:
            read(path)
    return str(caught.value)


def test_pickled_objects_in_an_artefact(study, trace):
    objects = np.array([Executed(trace)], dtype=object)
    path = bad_artefact(study, {"record": objects, "logits": objects})
    assert "pickled objects" in refused(path)
    path.write_bytes(pickle.dumps(Executed(trace)))  # in place of the whole file
    refused(path)


@pytest.mark.parametrize("save", [pickle.dumps, lambda o: torch_bytes(o)])
def test_a_checkpoint_that_needs_unpickling(command_line, study, trace, save):
    options = (
        "data=synthetic",
        "model.widths=[8,32]",
        "trainer.max_epochs=1",
        "threads=1",
        "study=new",
    )
    assert command_line("train", *options)[0] == 0
    member = Member(Study(study.path.parent / "new"), "SEED_0000")
    member.artefact.unlink()
    member.checkpoint.write_bytes(save({"state_dict": {}, "evil": Executed(trace)}))
    code, printed = command_line("train", *options)
    assert code == 1
    assert "last.ckpt cannot be read as a checkpoint" in printed


def torch_bytes(value):
    stream = io.BytesIO()
    torch.save(value, stream)
    return stream.getvalue()


def test_names_in_a_record_are_only_written_down(command_line, study, trace, tmp_path, monkeypatch):
    """Targets, interpolations, markup and paths wherever a record or a slice holds text."""
    monkeypatch.setenv("SECRET", "hunter2")
    (tmp_path / "precious").write_text("precious")
    study.reports.mkdir(parents=True)
    (study.reports / "analysis.json").symlink_to(tmp_path / "precious")
    for seed, member in enumerate(study.members()):
        loaded = probe_logits.load(member.artefact)
        touch = {
            "_target_": "pathlib.Path.touch",
            "_args_": [{"_target_": "pathlib.Path", "_args_": [str(trace)]}],
        }
        loaded.record["config"] = {"model": touch, "name": "${oc.env:SECRET}", SCRIPT: min(seed, 1)}
        loaded.record["dataset"]["classes"] = [SCRIPT, "../../x", "c"]
        loaded.record["dataset"]["name"] = SCRIPT
        loaded.slices["../../escaped"] = loaded.slices.pop("train")
        probe_logits.save(member.artefact, loaded)
    before = {p for p in tmp_path.rglob("*") if study.path not in p.parents}
    code, printed = command_line("analyze", "study=s", *QUICK_OPTIONS, *FEW)
    assert code == 0, printed
    assert {p for p in tmp_path.rglob("*") if study.path not in p.parents} == before
    assert (tmp_path / "precious").read_text() == "precious"
    for path in study.path.rglob("*"):
        if path.is_file() and path.suffix in (".json", ".md", ".csv", ".html"):
            text = path.read_text(encoding="utf-8")
            assert "hunter2" not in text
            assert path.suffix != ".html" or SCRIPT not in text


@pytest.mark.parametrize(
    "name", [f"SEED_0009{SCRIPT.replace('/', '')}", "SEED_0009\x1b[2J", "SEED_0009 x", "evil"]
)
def test_names_that_no_member_can_have(command_line, study, name):
    (study.probes / f"{name}.npz").write_bytes((study.probes / "SEED_0000.npz").read_bytes())
    code, printed = command_line("analyze", "study=s")
    assert code == 1
    assert "\x1b" not in printed
    assert "Traceback" not in printed
    assert not study.reports.exists()


@pytest.mark.parametrize("member", ["../../x", "SEED_0000", "", "/etc/passwd", SCRIPT, "a\nb"])
def test_a_record_that_names_another_member(command_line, study, member):
    record = make_record(member, 9)
    arrays = {k: getattr(make_member(images=30), k) for k in ("logits", "labels", "indices")}
    bad_artefact(study, {"record": np.array(json.dumps(record)), **arrays})
    code, printed = command_line("analyze", "study=s")
    assert code == 1
    assert "SEED_0009.npz" in printed
    assert "Traceback" not in printed


def test_a_manifest_that_claims_members_were_trained_together(study):
    member = Member(study, "SEED_0009")
    for seed in ("../../x", "0", -1, None):
        manifest = {"seed": seed, "config": {}, "config_hash": "", "together": [seed]}
        write_text(member.manifest, json.dumps(manifest))
        with pytest.raises(UserError, match="is not a valid member manifest"):
            member.together()


@pytest.mark.parametrize("folder", ["artifacts/reports", "artifacts/embeddings", "artifacts/cache"])
def test_a_folder_that_is_a_link_out_of_the_study(command_line, study, tmp_path, folder):
    (tmp_path / "elsewhere").mkdir()
    (study.path / folder).symlink_to(tmp_path / "elsewhere")
    code, printed = command_line("analyze", "study=s", *QUICK_OPTIONS, *FEW)
    assert code == 1
    assert "is a link out of the study" in printed
    assert not list((tmp_path / "elsewhere").iterdir())


@pytest.mark.parametrize("place", ["", "checkpoints", "metrics", "train.log"])
@pytest.mark.parametrize("sweep", [(), ("-m",)])
def test_a_member_that_is_a_link_out_of_the_study(command_line, study, tmp_path, place, sweep):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    member = Member(study, "SEED_0009")
    if place:
        member.folder.mkdir()
    target = elsewhere / "file" if place == "train.log" else elsewhere
    (member.folder / place).symlink_to(target)
    code, printed = command_line("train", *sweep, "study=s", "seed=9", "data=synthetic")
    assert code == 1
    assert "is a link out of the study" in printed
    assert not list(elsewhere.iterdir())


def test_a_study_that_is_a_link_is_a_study(command_line, study, tmp_path):
    """On another disk, say; and links that stay inside are allowed."""
    (tmp_path / "multirun" / "link").symlink_to(study.path)
    (study.path / "kept").mkdir()
    study.cache.symlink_to(study.path / "kept")
    Study(tmp_path / "multirun" / "link").check()


def test_a_temporary_file_that_is_planted_as_a_link(tmp_path, monkeypatch):
    import os

    (tmp_path / "precious").write_text("precious")
    (tmp_path / f".file.{os.getpid()}.tmp.txt").symlink_to(tmp_path / "precious")
    write_text(tmp_path / "file.txt", "new")
    assert (tmp_path / "precious").read_text() == "precious"
    assert (tmp_path / "file.txt").read_text() == "new"


def test_a_small_file_that_unpacks_to_a_large_one(study):
    path = bad_artefact(study, {"logits": np.zeros((1000, 10_000), "f4")}, np.savez_compressed)
    assert path.stat().st_size < 10**6
    assert "compressed" in refused(path)


def test_a_header_that_claims_more_than_the_file_holds(study):
    path = study.probes / "SEED_0009.npz"
    stream = io.BytesIO()
    header = {"descr": "<f4", "fortran_order": False, "shape": (10**6, 10**9)}
    np.lib.format.write_array_header_1_0(stream, header)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("record.npy", stream.getvalue() + b"x" * 100)
    assert "claims to be float32 [1000000, 1000000000]" in refused(path)


def test_entries_that_share_their_bytes(study):
    """The directory of the zip names one entry of 40 kB a thousand times: 40 MB from 100 kB."""
    path = bad_artefact(study, {"logits": np.zeros((1000, 10), "f4")})
    content = path.read_bytes()
    start = content.rindex(b"PK\x01\x02")
    end = content.rindex(b"PK\x05\x06")
    entry = content[start:end]
    size, count = len(entry) * 1000, 1000
    tail = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, count, count, size, start, 0)
    path.write_bytes(content[:start] + entry * count + tail)
    assert "larger than the file" in refused(path)


@pytest.mark.parametrize(
    "text", ["[" * 10**5, '{"a":' * 50 + "1" + "}" * 50, "NaN", "9" * 10**4, '"\ud800"', ""]
)
def test_text_that_is_almost_json(study, text):
    encoded = np.array(text) if "\ud800" not in text else np.array('"\\ud800"')
    refused(bad_artefact(study, {"record": encoded}))
