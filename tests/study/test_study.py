import os

import pytest

from chromatic_descent.study import Member, Study
from tests.makers import complete_member


def test_status_follows_the_files(tmp_path):
    study = Study(tmp_path / "s")
    begun, failed = Member(study, "SEED_0000"), Member(study, "SEED_0001")
    for member in (begun, failed):
        member.write_manifest(0, {}, "hash")
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
