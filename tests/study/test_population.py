import os
import time

import pytest

from chromatic_descent.errors import UserError
from chromatic_descent.study import Study, find_study
from tests.makers import complete_member


def test_find_by_name_by_path_and_newest(tmp_path):
    for name in ["old", "new"]:
        complete_member(Study(tmp_path / name), "SEED_0000")
    old = tmp_path / "old" / "artifacts" / "probes" / "SEED_0000.npz"
    os.utime(old, (time.time() - 100,) * 2)
    assert find_study("old", tmp_path).path == tmp_path / "old"
    assert find_study(str(tmp_path / "old"), tmp_path / "elsewhere").path == tmp_path / "old"
    assert find_study(None, tmp_path).name == "new"


def test_no_study_and_unknown_study_are_explained(tmp_path):
    with pytest.raises(UserError, match=r"There is no study in .* Train one first"):
        find_study(None, tmp_path)
    complete_member(Study(tmp_path / "known"), "SEED_0000")
    with pytest.raises(UserError, match=r"study=unknown was found neither .*there: known"):
        find_study("unknown", tmp_path)
