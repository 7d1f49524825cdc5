import pytest

from chromatic_descent.errors import UserError
from chromatic_descent.study import Manifest, Member, Study


def test_a_broken_manifest_is_named(tmp_path):
    member = Member(Study(tmp_path), "SEED_0000")
    member.write_manifest(Manifest(3, {"a": 1}, "hash"))
    manifest = member.read_manifest()
    assert manifest is not None
    assert manifest.seed == 3
    member.manifest.write_text("{")
    with pytest.raises(UserError, match=r"member\.json is not JSON"):
        member.read_manifest()
