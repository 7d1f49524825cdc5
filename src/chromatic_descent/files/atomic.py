"""Files that exist whole or not at all."""

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from chromatic_descent.errors import causes

_SUFFIX = ".tmp"
_TEMPORARY = re.compile(rf"\.(.+)\.\d+{re.escape(_SUFFIX)}(\.[^.]+|)")  # as made below
_REFUSALS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EFBIG)


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path`, and rename it to `path` once it is written and flushed.

    If the block raises, the temporary file is removed and `path` stays as it was. A process that is
    killed inside the block leaves a temporary file: see `remove_leftovers`. If the system refuses
    to write (the disk is full, say), the OSError names `path`.

    >>> with atomic_path(Path("numbers.txt")) as temporary:   # doctest: +SKIP
    ...     temporary.write_text("1 2 3")
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # The original's suffix stays last: numpy and matplotlib read the format off it.
    temporary = path.parent / f".{path.stem}.{os.getpid()}{_SUFFIX}{path.suffix}"
    temporary.unlink(missing_ok=True)  # it may be a planted link
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    except Exception as error:
        # the system's error, from which libraries may have raised others
        system = (each for each in causes(error) if isinstance(each, OSError))
        refusal = next((each.errno for each in system if each.errno in _REFUSALS), None)
        if refusal is not None:
            raise OSError(refusal, os.strerror(refusal), str(path)) from error
        raise
    finally:
        temporary.unlink(missing_ok=True)
    descriptor = os.open(path.parent, os.O_RDONLY)
    try:  # flush the folder's entry too, so that the rename itself survives a power cut
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_text(path: Path, text: str) -> None:
    """Write `text` to `path`, whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def remove_leftovers(path: Path) -> None:
    """Remove the temporary files that killed writers of `path` left, or of any file in a folder.

    The caller must be the only writer.
    """
    folder = path if path.is_dir() else path.parent
    for leftover in folder.glob(f".*{_SUFFIX}*"):
        parts = _TEMPORARY.fullmatch(leftover.name)
        if parts is not None and (folder == path or parts[1] + parts[2] == path.name):
            leftover.unlink(missing_ok=True)
