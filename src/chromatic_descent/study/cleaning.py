"""What of a study may be removed, and removing it.

Probe artefacts are never removed, nor anything of a member that a process is working on, nor a
file that other members need to go on, nor anything that lies outside the study's folder by a link.
"""

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from chromatic_descent.errors import UserError
from chromatic_descent.study import Member, MemberBusyError, Study, claim

What = Literal["checkpoints", "failed", "interrupted", "cache"]


@dataclass(frozen=True)
class Removal:
    """A file or folder to remove, and the member it belongs to, if it is one's."""

    what: What
    path: Path
    member: Member | None = None


def removals(study: Study, wanted: Sequence[What]) -> list[Removal]:
    """What a study holds of the kinds that are wanted; nothing is changed."""
    found = []
    for member in study.members():
        status = member.status
        if status == "complete" and "checkpoints" in wanted:
            found += [Removal("checkpoints", path, member) for path in _checkpoints(member)]
        elif (status == "failed" or status == "interrupted") and status in wanted:
            found.append(Removal(status, member.folder, member))
    if "cache" in wanted:
        found.append(Removal("cache", study.cache))
    return [removal for removal in found if _is_inside(removal.path, study) and _may_go(removal)]


def remove(removal: Removal) -> bool:
    """Remove it, unless that is no longer called for; whether it was removed."""
    if removal.member is None:
        _remove(removal.path)
        return True
    try:
        with claim(removal.member):
            if not _may_go(removal):
                return False
            _remove(removal.path)
            return True
    except MemberBusyError:
        return False


def files(path: Path) -> Iterator[Path]:
    """Every file at or below a path; links are not followed."""
    if path.is_symlink() or path.is_file():
        yield path
    elif path.is_dir():
        for inner in path.iterdir():
            yield from files(inner)


def size(path: Path) -> int:
    """Bytes of everything at or below a path."""
    return sum(file.lstat().st_size for file in files(path))


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:  # also a pipe in place of a folder: rmtree would wait for its other end
        path.unlink(missing_ok=True)


def _checkpoints(member: Member) -> list[Path]:
    return [path for path in (member.checkpoint, member.joint_checkpoint) if path.exists()]


def _may_go(removal: Removal) -> bool:
    """Whether what is to be removed is still of its kind, and needed by no other member."""
    member = removal.member
    if member is None:
        return True
    complete = member.artefact.exists()
    if removal.what == "checkpoints":
        shared = removal.path == member.joint_checkpoint
        return complete and not (shared and _holds_up_others(member))
    failed = member.failure.exists()
    ended = not complete and failed == (removal.what == "failed")
    return ended and not (member.joint_checkpoint.exists() and _holds_up_others(member))


def _holds_up_others(member: Member) -> bool:
    """Whether members that were trained together with this one would go on from its checkpoint."""
    try:
        others = [other for other in member.together() if other.name != member.name]
    except UserError:  # nobody can tell
        return True
    return any(not other.artefact.exists() and not other.failure.exists() for other in others)


def _is_inside(path: Path, study: Study) -> bool:
    """Whether the path exists in the study's own folder: links may lead anywhere."""
    folder = study.path.resolve()
    return path.exists() and path.resolve() == folder / path.relative_to(study.path)
