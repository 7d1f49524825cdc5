import multiprocessing
import os
import time

import pytest

from chromatic_descent.errors import UserError
from chromatic_descent.study import (
    Member,
    MemberBusyError,
    Study,
    check_study_name,
    claim,
    find_study,
    member_name,
)


def complete(study: Study, name: str) -> Member:
    member = Member(study, name)
    member.artefact.parent.mkdir(parents=True, exist_ok=True)
    member.artefact.touch()
    return member


@pytest.mark.parametrize(
    ("seed", "suffix", "name"),
    [
        (0, "", "SEED_0000"),
        (12345, "", "SEED_12345"),
        (1, "optim.optimizer.lr=0.1", "SEED_0001-optim.optimizer.lr_0.1"),
        (1, "model.widths=[16,64],a=../x", "SEED_0001-model.widths_16-64-a_..-x"),
    ],
)
def test_member_names_are_plain_folder_names(seed, suffix, name):
    assert member_name(seed, suffix) == name


def test_long_suffixes_are_cut_and_stay_distinct():
    names = {member_name(0, "k=" + "v" * 300 + end) for end in "ab"}
    assert len(names) == 2
    assert all(len(name) < 140 for name in names)


@pytest.mark.parametrize("name", ["", "..", "a/b", "/abs", ".hidden", "a b", "a\nb"])
def test_study_names_cannot_leave_their_folder(name):
    with pytest.raises(UserError, match="expected a plain folder name"):
        check_study_name(name)


def test_find_by_name_by_path_and_newest(tmp_path):
    for name in ["old", "new"]:
        complete(Study(tmp_path / name), "SEED_0000")
    old = tmp_path / "old" / "artifacts" / "probes" / "SEED_0000.npz"
    os.utime(old, (time.time() - 100,) * 2)
    assert find_study("old", tmp_path).path == tmp_path / "old"
    assert find_study(str(tmp_path / "old"), tmp_path / "elsewhere").path == tmp_path / "old"
    assert find_study(None, tmp_path).name == "new"


def test_no_study_and_unknown_study_are_explained(tmp_path):
    with pytest.raises(UserError, match=r"There is no study in .* Train one first"):
        find_study(None, tmp_path)
    complete(Study(tmp_path / "known"), "SEED_0000")
    with pytest.raises(UserError, match=r"study=unknown was found neither .*there: known"):
        find_study("unknown", tmp_path)


def test_status_follows_the_files(tmp_path):
    study = Study(tmp_path / "s")
    begun, failed = Member(study, "SEED_0000"), Member(study, "SEED_0001")
    for member in (begun, failed):
        member.write_manifest(0, {}, "hash")
    failed.failure.write_text("out of luck\n\ntrace")
    done = complete(study, "SEED_0002")
    assert [m.name for m in study.members()] == ["SEED_0000", "SEED_0001", "SEED_0002"]
    assert [m.status for m in study.members()] == ["interrupted", "failed", "complete"]
    assert failed.explain() == "SEED_0001 failed: out of luck"
    assert done.explain() == "SEED_0002 is complete"


def hold(path, held, release):
    member = Member(Study(path), "SEED_0000")
    with claim(member):
        member.write_manifest(0, {}, "hash")
        held.set()
        release.wait(30)


def test_a_claimed_member_is_busy_until_its_holder_ends(tmp_path):
    context = multiprocessing.get_context("spawn")
    held, release = context.Event(), context.Event()
    process = context.Process(target=hold, args=(tmp_path, held, release))
    process.start()
    member = Member(Study(tmp_path), "SEED_0000")
    assert held.wait(30)
    busy = rf"being trained by process {process.pid} on"
    with pytest.raises(MemberBusyError, match=busy), claim(member):
        pass
    assert member.status == "running"
    assert f"process {process.pid}" in member.explain()
    process.kill()  # a dead holder holds nothing
    process.join()
    with claim(member):
        pass
    assert member.status == "interrupted"


def test_who_claims_a_member_sweeps_up_after_the_dead(tmp_path):
    member, outside = Member(Study(tmp_path / "s"), "SEED_0000"), tmp_path / "outside"
    left = [
        member.folder / ".member.77.tmp.json",
        member.folder / ".failure.77.tmp.txt",
        member.folder / ".hydra" / ".config.77.tmp.yaml",
        member.artefact.with_name(".SEED_0000.77.tmp.npz"),
    ]
    others = [member.artefact.with_name(".SEED_0000-a.77.tmp.npz"), outside / ".x.77.tmp.ckpt"]
    for path in (*left, *others):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (member.folder / "checkpoints").symlink_to(outside)  # not this study's to clear up
    with claim(member):
        assert not any(path.exists() for path in left)
    assert all(path.exists() for path in others)


def test_a_pipe_or_a_device_is_not_read(tmp_path):
    member = Member(Study(tmp_path), "SEED_0000")
    member.folder.mkdir()
    os.mkfifo(member.failure)
    member.manifest.symlink_to("/dev/zero")
    for read in (member.read_manifest, member.explain):
        with pytest.raises(OSError, match="is not a file"):
            read()


def test_a_broken_manifest_is_named(tmp_path):
    member = Member(Study(tmp_path), "SEED_0000")
    member.write_manifest(3, {"a": 1}, "hash")
    manifest = member.read_manifest()
    assert manifest is not None
    assert manifest.seed == 3
    member.manifest.write_text("{")
    with pytest.raises(UserError, match=r"member\.json is not JSON"):
        member.read_manifest()
