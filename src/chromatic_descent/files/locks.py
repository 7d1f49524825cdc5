"""Locks on files: each belongs to a process and ends with it, so that none is left behind."""

from pathlib import Path

from filelock import FileLock, Timeout

_LONGEST_CHECK = 0.2  # seconds for which `is_held` may itself hold a lock, generously


def acquire(path: Path) -> FileLock | None:
    """Take the lock at `path`; None if another process holds it."""
    lock = FileLock(path)
    try:
        lock.acquire(timeout=_LONGEST_CHECK, poll_interval=_LONGEST_CHECK / 10)
    except Timeout:
        return None
    return lock


def is_held(path: Path) -> bool:
    """Whether a process holds the lock at `path`; no file is made by asking."""
    if not path.exists():
        return False
    try:
        with FileLock(path, blocking=False):
            return False
    except Timeout:
        return True
    except OSError:  # a folder that may only be read
        return False
