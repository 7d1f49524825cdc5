"""Cleaning: which files of a study may be removed, and removing them.

These are never removed: probe artefacts; files of a member that a process is working on; files that
other members need in order to continue; and anything that a link places outside the study's folder.
"""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from chromatic_descent.errors import UserError
from chromatic_descent.study.study import Member, MemberBusyError, Study, claim

Kind = Literal["checkpoints", "failed", "interrupted", "cache"]


@dataclass(frozen=True)
class Removal:
    """A file or folder to remove, and the member it belongs to, if any."""

    kind: Kind
    path: Path
    member: Member | None = None


def removals(study: Study, kinds: Sequence[Kind]) -> list[Removal]:
    """The files and folders of some kinds that may be removed; nothing is changed."""
    candidates = []
    for member in study.members():
        status = member.status
        if status == "complete" and "checkpoints" in kinds:
            checkpoints = [member.checkpoint, member.joint_checkpoint]
            candidates += [Removal("checkpoints", path, member) for path in checkpoints]
        elif (status == "failed" or status == "interrupted") and status in kinds:
            candidates.append(Removal(status, member.folder, member))
    if "cache" in kinds:
        candidates.append(Removal("cache", study.cache))
    return [each for each in candidates if _is_inside(each.path, study) and _is_removable(each)]


def remove(removal: Removal) -> bool:
    """Remove a file or folder unless its member has changed meanwhile; whether it was removed."""
    path, member = removal.path, removal.member
    try:
        with nullcontext() if member is None else claim(member):
            if not _is_removable(removal):
                return False
            if path.is_dir():
                shutil.rmtree(path)
            else:  # also a pipe in place of a folder: rmtree would wait for its other end
                path.unlink(missing_ok=True)
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


def _is_removable(removal: Removal) -> bool:
    """Whether a file or folder is still of its kind and not needed by another member."""
    member = removal.member
    if member is None:
        return True
    complete = member.artefact.exists()
    if removal.kind == "checkpoints":
        shared = removal.path == member.joint_checkpoint
        return complete and not (shared and _others_need_it(member))
    failed = member.failure.exists()
    ended = not complete and failed == (removal.kind == "failed")
    return ended and not (member.joint_checkpoint.exists() and _others_need_it(member))


def _others_need_it(member: Member) -> bool:
    """Whether members trained together with this one would continue from its joint checkpoint."""
    try:
        others = [other for other in member.together() if other.name != member.name]
    except UserError:  # the manifest cannot be read: assume the worst
        return True
    return any(not other.artefact.exists() and not other.failure.exists() for other in others)


def _is_inside(path: Path, study: Study) -> bool:
    """Whether the path exists in the study's own folder: links may lead anywhere."""
    folder = study.path.resolve()
    return path.exists() and path.resolve() == folder / path.relative_to(study.path)
