import multiprocessing
import os

import pytest

from chromatic_descent.study import Manifest, Member, MemberBusyError, Study, claim
from tests.makers import complete_member


def test_status_follows_the_files(tmp_path):
    study = Study(tmp_path / "s")
    begun, failed = Member(study, "SEED_0000"), Member(study, "SEED_0001")
    for member in (begun, failed):
        member.write_manifest(Manifest(0, {}, "hash"))
    failed.failure.write_text("out of luck\n\ntrace")
    done = complete_member(study, "SEED_0002")
    assert [m.name for m in study.members()] == ["SEED_0000", "SEED_0001", "SEED_0002"]
    assert [m.status for m in study.members()] == ["interrupted", "failed", "complete"]
    assert failed.explain() == "SEED_0001 failed: out of luck"
    assert done.explain() == "SEED_0002 is complete"


def test_a_pipe_or_a_device_is_not_read(tmp_path):
    member = Member(Study(tmp_path), "SEED_0000")
    member.folder.mkdir()
    os.mkfifo(member.failure)
    member.manifest.symlink_to("/dev/zero")
    for read in (member.read_manifest, member.explain):
        with pytest.raises(OSError, match="is not a file"):
            read()


def hold(path, held, release):
    member = Member(Study(path), "SEED_0000")
    with claim(member):
        member.write_manifest(Manifest(0, {}, "hash"))
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


def test_claiming_a_member_sweeps_up_after_killed_processes(tmp_path):
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
