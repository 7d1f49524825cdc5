"""A study on disk: its files, the status of each member, and the process that works on each.

<study>/
  multirun.yaml             the latest sweep (Hydra's record)
  SEED_0007/                one folder per member
    .hydra/                 Hydra's record: config.yaml, hydra.yaml, overrides.yaml
    config_tree.txt         the resolved config, for reading
    member.json             the manifest: seed, config, and the process that works on the member
    checkpoints/last.ckpt   from which an interrupted member continues
    checkpoints/joint.ckpt  from which members trained together continue: one file, in the folder of
                            the first, so that all continue from the same epoch. The last.ckpt of
                            each is then written once, at the end
    metrics/                logged metrics
    failure.txt             why the member failed, if it did
  artifacts/
    probes/SEED_0007.npz    the member is complete if and only if this exists
    embeddings/  reports/   written by the analysis
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from traceback import format_exception
from typing import Any, Literal

from filelock import FileLock, Timeout

from chromatic_descent.errors import UserError
from chromatic_descent.files.atomic import remove_leftovers, write_text
from chromatic_descent.files.plain_json import regular
from chromatic_descent.study import manifest as manifests
from chromatic_descent.study.manifest import Manifest
from chromatic_descent.study.names import is_plain, member_name, printable

Status = Literal["complete", "running", "failed", "interrupted"]
# Of a member, training writes through these if they are links; other files are replaced whole.
_WRITTEN = ("", "checkpoints", "metrics", "tensorboard", "wandb", "train.log", ".hydra", ".lock")
_LONGEST_CHECK = 0.2  # seconds for which `Member.status` may itself hold a lock, generously


class MemberBusyError(UserError):
    """Another process is working on the member."""


class _Inside:
    """A path inside the folder of a study or a member."""

    def __init__(self, *parts: str):
        self._parts = parts

    def __get__(self, owner: "Study | Member", kind: object = None) -> Path:
        folder = owner.path if isinstance(owner, Study) else owner.folder
        return folder.joinpath(*self._parts)


@dataclass(frozen=True)
class Study:
    """A study's folder and the paths in it."""

    path: Path
    probes = _Inside("artifacts", "probes")  # the members' probe artefacts
    embeddings = _Inside("artifacts", "embeddings")  # distances, embeddings and their figures
    reports = _Inside("artifacts", "reports")  # the analysis's numbers and summaries
    cache = _Inside("artifacts", "cache")  # results that the analysis need not compute again

    @property
    def name(self) -> str:
        """The study's name."""
        return self.path.name

    def members(self) -> list["Member"]:
        """Every member that was begun or is complete, by name."""
        begun = {folder.parent.name for folder in self.path.glob("SEED_*/member.json")}
        complete = {path.stem for path in self.probes.glob("*.npz") if path.name[0] != "."}
        return [Member(self, name) for name in sorted(begun | complete)]

    def check(self, further: Sequence["Member"] = ()) -> None:
        """Raise UserError if a member's name is not plain, or if a link leads out of the study.

        Studies may come from anywhere, so every command that writes into one calls this first,
        with the `further` members that it begins. The study's own folder may be a link.
        """
        members = [*self.members(), *further]
        for member in members:
            if not is_plain(member.name):
                raise UserError(
                    f"{printable(str(self.path / member.name))} cannot be a member: expected names "
                    "of letters, digits, '_', '-', '+' and '.'. Rename or remove it."
                )
        artefacts = self.path / "artifacts"
        written = [
            *(self.path / "analysis", artefacts, artefacts / "mlflow"),
            *(self.probes, self.embeddings, self.reports, self.cache),
            *(member.folder / name for member in members for name in _WRITTEN),
        ]
        for path in written:
            if self.is_link_out(path):
                raise UserError(
                    f"{path} is a link out of the study, to {path.resolve()}: nothing is written "
                    "there. Remove it; the study's own folder may be a link."
                )

    def is_link_out(self, path: Path) -> bool:
        """Whether a path in this study leads elsewhere."""
        # Not Path.resolve: it raises RuntimeError for a link to itself, before Python 3.13.
        real, study = (Path(os.path.realpath(each)) for each in (path, self.path))
        return not real.is_relative_to(study)


@dataclass(frozen=True)
class Member:
    """One member of a study: its paths and its status."""

    study: Study
    name: str
    manifest = _Inside("member.json")  # see `read_manifest`
    checkpoint = _Inside("checkpoints", "last.ckpt")
    joint_checkpoint = _Inside("checkpoints", "joint.ckpt")  # in the first of `together()`
    lock = _Inside(".lock")  # held by the process that works on the member
    failure = _Inside("failure.txt")  # why the last attempt failed, if it did

    @property
    def folder(self) -> Path:
        """The folder in which the member is trained."""
        return self.study.path / self.name

    @property
    def artefact(self) -> Path:
        """The probe artefact, which exists once the member is complete."""
        return self.study.probes / f"{self.name}.npz"

    @property
    def status(self) -> Status:
        """Complete, running (in any process that shares the file system), failed or interrupted."""
        if self.artefact.exists():
            return "complete"
        if _is_held(self.lock):
            return "running"
        return "failed" if self.failure.exists() else "interrupted"

    def write_failure(self, error: Exception) -> None:
        """Keep why the member failed: the reason, then the traceback."""
        reason = str(error) or type(error).__name__
        write_text(self.failure, "\n\n".join([reason, "".join(format_exception(error))]))

    def explain(self) -> str:
        """The status in a line, with the reason where one is known."""
        status = self.status
        if status == "failed":
            try:
                lines = regular(self.failure).read_text("utf-8", errors="replace").splitlines()
            except FileNotFoundError:  # removed meanwhile: another process has taken the member up
                return f"{self.name} is interrupted"
            reason = lines[0] if lines else "no reason was written"
            return f"{self.name} failed: {printable(reason)}"
        if status == "running":
            return f"{self.name} is being trained by {self.holder}"
        return f"{self.name} is {status}"

    @property
    def holder(self) -> str:
        """The process that works on the member, as far as the manifest names it."""
        try:
            process: Any = getattr(self.read_manifest(), "process", None)
            return printable("process {pid} on {host} since {since}".format(**process))
        except (UserError, KeyError, TypeError):
            return "another process"

    def read_manifest(self) -> Manifest | None:
        """The member's manifest; None if the member was not begun."""
        return manifests.read(self.manifest)

    def write_manifest(self, manifest: Manifest) -> None:
        """Write the member's manifest, whole or not at all."""
        manifests.write(self.manifest, manifest)

    def keep_references(self, references: list[dict[str, str]]) -> None:
        """Keep in the manifest which members this one is repelled from, for later attempts."""
        if (manifest := self.read_manifest()) is not None:
            self.write_manifest(replace(manifest, references=references))

    def together(self) -> list["Member"]:
        """Members trained together, this one included, by seed; the first has the checkpoint."""
        manifest = self.read_manifest()
        if manifest is None:
            raise UserError(f"{self.manifest} is missing: the purpose of {self.folder} is unknown.")
        own = member_name(manifest.seed)
        names = [member_name(seed) for seed in manifest.together or [manifest.seed]]
        return [Member(self.study, self.name.replace(own, name, 1)) for name in names]


@contextmanager
def claim(member: Member) -> Iterator[None]:
    """Hold a member for this process; the claim ends with the block or with the process.

    Raises MemberBusyError if another process holds it.
    """
    member.folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(member.lock)
    try:
        lock.acquire(timeout=_LONGEST_CHECK, poll_interval=_LONGEST_CHECK / 10)
    except Timeout:
        raise MemberBusyError(
            f"{member.name} of study {member.study.name} is being trained by {member.holder}: "
            "left to it. Run the same command again once it has ended, if it did not finish."
        ) from None
    try:
        # Killed processes leave half-written files, which only the member's holder may remove.
        folders = (member.folder, member.folder / ".hydra", member.checkpoint.parent)
        for path in (*folders, member.artefact):
            if not member.study.is_link_out(path):
                remove_leftovers(path)
        yield
    finally:
        lock.release()


def _is_held(lock: Path) -> bool:
    """Whether a process holds a lock; the check creates no file."""
    if not lock.exists():
        return False
    try:
        with FileLock(lock, blocking=False):
            return False
    except Timeout:
        return True
    except OSError:  # a folder that may only be read
        return False
