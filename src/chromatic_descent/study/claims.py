"""Claims: each member is worked on by one process at a time."""

from collections.abc import Iterator
from contextlib import contextmanager

from chromatic_descent.errors import UserError
from chromatic_descent.files import locks
from chromatic_descent.files.atomic import remove_leftovers
from chromatic_descent.study.study import Member


class MemberBusyError(UserError):
    """Another process is working on the member."""


@contextmanager
def claim(member: Member) -> Iterator[None]:
    """Hold a member for this process; the claim ends with the block or with the process.

    Raises MemberBusyError if another process holds it.
    """
    member.folder.mkdir(parents=True, exist_ok=True)
    lock = locks.acquire(member.lock)
    if lock is None:
        raise MemberBusyError(
            f"{member.name} of study {member.study.name} is being trained by {member.holder}: "
            "left to it. Run the same command again once it has ended, if it did not finish."
        )
    try:
        # A killed process leaves half-written files; the process that holds the member may remove
        # them.
        folders = (member.folder, member.folder / ".hydra", member.checkpoint.parent)
        for path in (*folders, member.artefact):
            if not member.study.is_link_out(path):
                remove_leftovers(path)
        yield
    finally:
        lock.release()
