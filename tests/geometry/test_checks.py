import pickle

import numpy as np
import pytest

from chromatic_descent.errors import UserError
from chromatic_descent.geometry import check_logits


def population(dtype=np.float32):
    return np.random.default_rng(0).normal(size=(3, 5, 4)).astype(dtype)


def test_npy_is_mapped_and_npz_is_read(tmp_path):
    np.save(tmp_path / "a.npy", population())
    np.savez_compressed(tmp_path / "a.npz", logits=population(), other=np.zeros(2))
    mapped = check_logits(tmp_path / "a.npy")
    assert isinstance(mapped.base, np.memmap)
    assert not mapped.flags.writeable
    for read in (mapped, check_logits(str(tmp_path / "a.npz"))):
        np.testing.assert_array_equal(read, population())
        assert read.dtype == np.float32


def test_whole_numbers_become_floats():
    assert check_logits(np.ones((2, 1, 2), dtype=np.int8)).dtype == np.float64


class Trap:
    def __reduce__(self):
        return pytest.fail, ("was unpickled",)


def write(path, content):
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif isinstance(content, dict):
        np.savez(path, **content)
    else:
        with path.open("wb") as file:  # given a path, np.save would add a suffix
            np.save(file, content)
    return path


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.npy", b"", "cannot be read"),
        ("a.npy", b"not numbers", "cannot be read"),
        ("a.npz", b"not an archive", "cannot be read"),
        ("a.txt", b"1 2 3", "expected a .npy file"),
        ("a.npy", pickle.dumps(Trap()), "cannot be read"),
        ("a.npz", {"values": np.zeros(3)}, r"holds \['values'\]"),
        ("a.npz", {}, "holds no array"),
        ("a.npz", population(), "cannot be read"),
        ("a.npy", np.zeros((2, 3)), r"found shape \[2, 3\] in '.*a.npy'"),
        ("a.npz", {"logits": np.full((2, 3, 4), np.nan)}, "member 0 in '.*a.npz' are NaN"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path, name, content, message):
    path = write(tmp_path / name, content)
    with pytest.raises(UserError, match=message):
        check_logits(path)


def test_objects_are_never_unpickled(tmp_path):
    trap = np.empty((2, 1, 2), dtype=object)
    trap[:] = Trap()
    np.save(tmp_path / "a.npy", trap, allow_pickle=True)
    np.savez(tmp_path / "a.npz", logits=trap)
    for name in ("a.npy", "a.npz"):
        with pytest.raises(UserError, match="cannot be read"):
            check_logits(tmp_path / name)


@pytest.mark.parametrize("name", ["a.npy", "a.npz"])
def test_truncated_files_are_named(tmp_path, name):
    save = np.save if name.endswith("npy") else lambda path, x: np.savez_compressed(path, logits=x)
    save(tmp_path / name, population())
    whole = (tmp_path / name).read_bytes()
    for length in range(0, len(whole), 23):
        (tmp_path / name).write_bytes(whole[:length])
        with pytest.raises(UserError, match="cannot be read"):
            check_logits(tmp_path / name)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match=r"nowhere.npy.*No such file"):
        check_logits(tmp_path / "nowhere.npy")
