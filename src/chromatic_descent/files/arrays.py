"""Arrays that users bring: `.npy` and `.npz` files from any program, read without unpickling."""

import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chromatic_descent.errors import UserError
from chromatic_descent.files.npz import BROKEN
from chromatic_descent.files.plain_json import regular


def read_array(path: os.PathLike[str] | str, key: str) -> NDArray[Any]:
    """Read the array of a `.npy` file, memory-mapped, or the array named `key` of an `.npz` file.

    Raises UserError, with `key` as the name of the option, if there is no such file or array, or
    if the file cannot be read without unpickling.
    """
    expected = f"expected a .npy file, or an .npz file with an array '{key}', no pickled objects"
    try:
        file = regular(Path(path))
        is_npz = file.suffix == ".npz" or (file.suffix != ".npy" and zipfile.is_zipfile(file))
        if not is_npz:
            mapped: NDArray[Any] = np.lib.format.open_memmap(file, mode="r")
            return mapped
        with file.open("rb") as stream, np.lib.npyio.NpzFile(stream) as archive:
            if key in archive.files:
                array: NDArray[Any] = archive[key]
                return array
            names = archive.files
    except (*BROKEN, TypeError) as error:
        raise UserError(
            f"{key}={path} cannot be read as an array ({type(error).__name__}: {error}): "
            f"{expected}."
        ) from error
    raise UserError(f"{key}={path} holds {names or 'no array'}: expected an array '{key}'.")
