import os

import numpy as np
import pytest

from chromatic_descent.errors import UserError
from chromatic_descent.files.arrays import read_array


def test_an_npy_is_mapped_and_an_npz_is_read_by_name(tmp_path):
    np.save(tmp_path / "a.npy", np.arange(3))
    np.savez_compressed(tmp_path / "a.npz", labels=np.arange(3), logits=np.zeros(2))
    assert isinstance(read_array(tmp_path / "a.npy", "labels"), np.memmap)
    for name in ("a.npy", "a.npz"):
        assert read_array(str(tmp_path / name), "labels").tolist() == [0, 1, 2]
    with pytest.raises(UserError, match=r"holds \['labels', 'logits'\]: expected an array 'x'"):
        read_array(tmp_path / "a.npz", "x")


@pytest.mark.parametrize("name", ["a.npy", "a.npz"])
def test_a_pipe_is_not_read(tmp_path, name):
    os.mkfifo(tmp_path / name)
    with pytest.raises(UserError, match=rf"labels=.*{name} cannot be read as an array.*not a file"):
        read_array(tmp_path / name, "labels")
