"""Arrays from `.npy` and `.npz` files that may come from anywhere: nothing is unpickled.

`read_array` reads what users bring, written by any program. `open_npz` reads what this project
writes, and trusts nothing: NumPy's reader does not guard against an array compressed a
thousandfold, entries that share their bytes, or a header that claims too much. This project's
arrays are uncompressed; one larger than its file is refused before memory is taken for it.
"""

import math
import os
import tokenize
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from chromatic_descent.errors import UserError
from chromatic_descent.files.plain_json import regular

# The errors of numpy and zipfile for files that are truncated, altered or something else.
BROKEN = (
    OSError,
    ValueError,
    EOFError,
    NotImplementedError,
    RuntimeError,  # an entry that claims to be encrypted
    MemoryError,
    SyntaxError,  # a header that is not Python
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
)
_HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}


def read_array(path: os.PathLike[str] | str | NDArray[Any], key: str) -> NDArray[Any]:
    """Read the array of a `.npy` file, memory-mapped, or the array named `key` of an `.npz` file.

    An array in place of a path is returned as it is. Raises UserError, which names the option
    `key`, if there is no such file or array, or if the file cannot be read without unpickling.
    """
    if not isinstance(path, (str, os.PathLike)):
        return np.asarray(path)
    expected = f"expected a .npy file, or an .npz file with an array '{key}', no pickled objects"
    try:
        file = regular(Path(path))
        is_npz = file.suffix == ".npz" or (file.suffix != ".npy" and zipfile.is_zipfile(file))
        if not is_npz:
            return npy.open_memmap(file, mode="r")
        with file.open("rb") as stream, np.lib.npyio.NpzFile(stream) as archive:
            if key in archive.files:
                return archive[key]
            names = archive.files
    except (*BROKEN, TypeError) as error:
        raise UserError(
            f"{key}={path} cannot be read as an array ({type(error).__name__}: {error}): "
            f"{expected}."
        ) from error
    raise UserError(f"{key}={path} holds {names or 'no array'}: expected an array '{key}'.")


@contextmanager
def open_npz(path: Path) -> Iterator[Mapping[str, NDArray[Any]]]:
    """The arrays of a file, each read on access.

    Raises one of `BROKEN`, here or on access, if the file is not as NumPy's `savez` writes it.
    """
    with regular(path).open("rb") as file, zipfile.ZipFile(file) as archive:
        yield _Arrays(archive, file)


class _Arrays(Mapping[str, NDArray[Any]]):
    """The arrays of an archive, whose entries fit its file."""

    def __init__(self, archive: zipfile.ZipFile, file: IO[bytes]):
        entries = archive.infolist()
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
            raise ValueError("its arrays are compressed, and this project never compresses arrays")
        if sum(entry.file_size for entry in entries) > file.seek(0, 2):
            raise ValueError("its arrays claim to be larger than the file")
        self._archive = archive
        names = {entry.filename: entry for entry in entries if entry.filename.endswith(".npy")}
        self._entries = {name.removesuffix(".npy"): entry for name, entry in names.items()}

    def __getitem__(self, key: str) -> NDArray[Any]:
        entry = self._entries[key]
        with self._archive.open(entry) as stream:
            version = npy.read_magic(stream)
            if version not in _HEADERS:
                raise ValueError(f"array {key} has a format of version {version}")
            shape, _, dtype = _HEADERS[version](stream)
            if dtype.hasobject:
                raise ValueError(f"array {key} holds pickled objects")
            if math.prod(shape) * dtype.itemsize != entry.file_size - stream.tell():
                raise ValueError(f"array {key} claims to be {dtype} {list(shape)}, and is not")
        with self._archive.open(entry) as stream:
            return npy.read_array(stream, allow_pickle=False)

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)
