"""A study on disk: where things are, which members are complete, and who is working on them.

<study>/
  multirun.yaml             the sweep that was launched last (Hydra's record)
  SEED_0007/                one folder per member
    .hydra/                 Hydra's record: config.yaml, hydra.yaml, overrides.yaml
    config_tree.txt         the resolved config, for reading
    member.json             what the folder is for: seed, config, and who works on it
    checkpoints/last.ckpt   where an interrupted member goes on
    checkpoints/joint.ckpt  in the first of members trained together: where all of them go on. One
                            file, so that they cannot be of different epochs; last.ckpt of each is
                            then written once, at the end
    metrics/                what was logged
    failure.txt             why it failed, if it did
  artifacts/
    probes/SEED_0007.npz    the member is complete if and only if this exists
    embeddings/  reports/   what analysis made
"""

import json
import os
import re
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from traceback import format_exception
from typing import Any, Literal

from filelock import FileLock, Timeout

from chromatic_descent.errors import UserError
from chromatic_descent.files.atomic import remove_leftovers, write_text
from chromatic_descent.files.hashing import content_hash
from chromatic_descent.files.plain_json import plain_json, regular
from chromatic_descent.probe_logits.identity import upgraded

Status = Literal["complete", "running", "failed", "interrupted"]

_NAME = re.compile(r"[\w][\w.+-]*")  # a single folder's name: no separator, no leading dot
_A_LOOK = 0.2  # seconds for which whoever asks if a member is running may hold it, generously
_LONGEST_SUFFIX = 120  # characters; file systems allow 255 in a name, artefacts add to it


class MemberBusyError(UserError):
    """Another process is working on the member."""


@dataclass(frozen=True)
class Study:
    """A study's folder and the paths in it."""

    path: Path

    @property
    def name(self) -> str:
        """The study's name."""
        return self.path.name

    @property
    def probes(self) -> Path:
        """Where the members' probe artefacts are."""
        return self.path / "artifacts" / "probes"

    @property
    def embeddings(self) -> Path:
        """Where analysis puts distances, embeddings and their figures."""
        return self.path / "artifacts" / "embeddings"

    @property
    def reports(self) -> Path:
        """Where analysis puts numbers and summaries."""
        return self.path / "artifacts" / "reports"

    @property
    def cache(self) -> Path:
        """Where analysis keeps what it need not compute again."""
        return self.path / "artifacts" / "cache"

    def members(self) -> list["Member"]:
        """Every member that was begun or is complete, by name."""
        begun = {folder.parent.name for folder in self.path.glob("SEED_*/member.json")}
        complete = {path.stem for path in self.probes.glob("*.npz") if path.name[0] != "."}
        return [Member(self, name) for name in sorted(begun | complete)]

    def check(self, further: Sequence["Member"] = ()) -> None:
        """Raise UserError if a name is none of this project's, or a link leads out of the study.

        What writes into a study that may come from anywhere asks this first, of its members and
        of `further` ones to be begun. The study's folder itself may be a link.
        """
        members = [*self.members(), *further]
        for member in members:
            if not _NAME.fullmatch(member.name):
                raise UserError(
                    f"{printable(str(self.path / member.name))} cannot be a member: expected names "
                    "of letters, digits, '_', '-', '+' and '.'. Rename or remove it."
                )
        artefacts = self.path / "artifacts"
        inside = [
            self.path / "analysis",
            artefacts,
            artefacts / "mlflow",
            self.probes,
            self.embeddings,
            self.reports,
            self.cache,
        ]
        inside += [path for member in members for path in member.written]
        for path in inside:
            if self.is_link_out(path):
                raise UserError(
                    f"{path} is a link out of the study, to {path.resolve()}: nothing is written "
                    "there. Remove it; the study's own folder may be a link."
                )

    def is_link_out(self, path: Path) -> bool:
        """Whether a path that is written as one of this study's leads elsewhere."""
        # Not Path.resolve: it raises RuntimeError for a link to itself, before Python 3.13.
        real, study = (Path(os.path.realpath(each)) for each in (path, self.path))
        return not real.is_relative_to(study)


@dataclass(frozen=True)
class Member:
    """One member's place in a study."""

    study: Study
    name: str

    @property
    def folder(self) -> Path:
        """Where the member is trained."""
        return self.study.path / self.name

    @property
    def artefact(self) -> Path:
        """The probe artefact, which exists once the member is complete."""
        return self.study.probes / f"{self.name}.npz"

    @property
    def manifest(self) -> Path:
        """What the folder is for; see `read_manifest`."""
        return self.folder / "member.json"

    @property
    def checkpoint(self) -> Path:
        """Where an interrupted member goes on."""
        return self.folder / "checkpoints" / "last.ckpt"

    @property
    def joint_checkpoint(self) -> Path:
        """Where interrupted members that are trained together go on, if this is their first."""
        return self.folder / "checkpoints" / "joint.ckpt"

    @property
    def lock(self) -> Path:
        """What the process that works on the member holds."""
        return self.folder / ".lock"

    @property
    def failure(self) -> Path:
        """Why the member failed, if its last attempt did."""
        return self.folder / "failure.txt"

    @property
    def written(self) -> list[Path]:
        """What training writes into, where links count: others are replaced by a new file."""
        names = ("checkpoints", "metrics", "tensorboard", "wandb", "train.log", ".hydra", ".lock")
        return [self.folder, *(self.folder / name for name in names)]

    @property
    def files(self) -> list[Path]:
        """Everything of the member: its folder and its artefact."""
        return [self.folder, self.artefact]

    @property
    def status(self) -> Status:
        """Complete, running (in any process that shares the file system), failed or interrupted."""
        if self.artefact.exists():
            return "complete"
        if _is_held(self):
            return "running"
        return "failed" if self.failure.exists() else "interrupted"

    def write_failure(self, error: Exception) -> None:
        """Say why the member failed: the reason, and where it was raised."""
        reason = str(error) or type(error).__name__
        write_text(self.failure, "\n\n".join([reason, "".join(format_exception(error))]))

    def explain(self) -> str:
        """The status in a line, with the reason where one is known."""
        status = self.status
        if status == "failed":
            try:
                lines = regular(self.failure).read_text("utf-8", errors="replace").splitlines()
            except FileNotFoundError:  # gone since: another process has taken it up
                return f"{self.name} is interrupted"
            reason = lines[0] if lines else "no reason was written"
            return f"{self.name} failed: {printable(reason)}"
        if status == "running":
            return f"{self.name} is being trained by {_holder(self)}"
        return f"{self.name} is {status}"

    def read_manifest(self) -> dict[str, Any] | None:
        """The member's manifest: {seed, config, config_hash, process}; None if there is none.

        Members trained together have `together` too, their seeds; a member that is repelled from
        others has `references`: which.
        """
        try:
            manifest: dict[str, Any] = plain_json(regular(self.manifest).read_text("utf-8"))
        except FileNotFoundError:
            return None
        except ValueError as error:
            raise UserError(
                f"{self.manifest} is not JSON ({error}). Move {self.folder} away to start it again."
            ) from error
        if not _is_manifest(manifest):
            raise UserError(
                f"{self.manifest} is no member's: expected its seed, config and hash. Move "
                f"{self.folder} away to start it again."
            )
        return upgraded(manifest)

    def together(self) -> list["Member"]:
        """The members that are trained together with this one, itself among them; by seed.

        The first has the checkpoint from which all of them go on.
        """
        manifest = self.read_manifest()
        if manifest is None:
            raise UserError(f"There is no {self.manifest}: nobody can tell what {self.folder} is.")
        own, together = member_name(manifest["seed"]), manifest.get("together")
        names = [member_name(seed) for seed in together] if together else [own]
        return [Member(self.study, self.name.replace(own, name, 1)) for name in names]

    def write_manifest(
        self,
        seed: int,
        config: dict[str, Any],
        config_hash: str,
        together: list[int] | None = None,
        references: list[dict[str, str]] | None = None,
    ) -> None:
        """Say what the folder is for and that this process works on it.

        `together` are the seeds of members trained together, this one among them. `references` are
        those of an earlier attempt, see `keep_references`.
        """
        manifest: dict[str, Any] = {
            "seed": seed,
            "config": config,
            "config_hash": config_hash,
            "process": {
                "pid": os.getpid(),
                "host": socket.gethostname(),
                "since": datetime.now(UTC).isoformat(timespec="seconds"),
            },
        }
        if together is not None:
            manifest["together"] = together
        if references is not None:
            manifest["references"] = references
        write_text(self.manifest, json.dumps(manifest, indent=1))

    def keep_references(self, references: list[dict[str, str]]) -> None:
        """Note which members this one is repelled from, for whoever goes on with it."""
        manifest = self.read_manifest() or {}
        write_text(self.manifest, json.dumps({**manifest, "references": references}, indent=1))


def _is_manifest(found: Any) -> bool:
    """Whether a JSON value is what `write_manifest` writes; files may come from anywhere."""
    if not isinstance(found, dict):
        return False
    together = found.get("together") or []
    return (
        isinstance(together, list)
        and all(type(seed) is int and seed >= 0 for seed in [found.get("seed"), *together])
        and isinstance(found.get("config"), dict)
        and isinstance(found.get("config_hash"), str)
        and isinstance(found.get("references") or [], list)
    )


@contextmanager
def claim(member: Member) -> Iterator[None]:
    """Hold a member for this process; the hold ends with the block or with the process.

    Raises MemberBusyError if another process holds it.
    """
    member.folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(member.lock)
    try:
        lock.acquire(timeout=_A_LOOK, poll_interval=_A_LOOK / 10)
    except Timeout:
        raise MemberBusyError(
            f"{member.name} of study {member.study.name} is being trained by {_holder(member)}: "
            "left to it. Run the same command again once it has ended, if it did not finish."
        ) from None
    try:
        # A killed process leaves its half-written files; whoever holds the member may sweep up.
        folders = (member.folder, member.folder / ".hydra", member.checkpoint.parent)
        for path in (*folders, member.artefact):
            if not member.study.is_link_out(path):
                remove_leftovers(path)
        yield
    finally:
        lock.release()


def _is_held(member: Member) -> bool:
    """Whether a process holds the member, found out without leaving a trace."""
    if not member.lock.exists():
        return False
    try:
        with FileLock(member.lock, blocking=False):
            return False
    except Timeout:
        return True
    except OSError:  # a study that may only be read
        return False


def member_name(seed: int, suffix: str = "") -> str:
    """A member's name: SEED_0007, and what else the sweep varies, fit for a file name.

    >>> member_name(7)
    'SEED_0007'
    >>> member_name(7, "model.widths=[16, 64]")
    'SEED_0007-model.widths_16-64'
    """
    # Letters that need no quoting in a shell or in Hydra's overrides, where paths may be values.
    suffix = re.sub(r"[^\w.+-]+", "-", suffix.replace("=", "_").replace("_[", "_")).strip("-")
    if len(suffix) > _LONGEST_SUFFIX:
        suffix = f"{suffix[: _LONGEST_SUFFIX - 13]}-{content_hash(suffix)[:12]}"
    return f"SEED_{seed:04d}" + (f"-{suffix}" if suffix else "")


def printable(text: str) -> str:
    """Without what would tell a terminal to do something, for text that files hold."""
    return "".join(character if character.isprintable() else "?" for character in text)


def check_study_name(name: str) -> str:
    """Return `name` if it can name a folder, else raise UserError."""
    if not _NAME.fullmatch(name):
        raise UserError(
            f"study is {name!r}: expected a plain folder name of letters, digits, and '_', '-', "
            "'+' or '.', as in study=plain."
        )
    return name


def study_folder(study: str | None, otherwise: str, root: str) -> str:
    """Where a launch goes: `root`/`study` if a study is named, else `otherwise`."""
    return otherwise if study is None else str(Path(root) / check_study_name(str(study)))


def studies(root: Path) -> list[Study]:
    """Every study under `root`, by name."""
    return [study for path in sorted(root.glob("*")) if _is_study(study := Study(path))]


def find_study(study: str | None, root: Path) -> Study:
    """Find a study by name under `root`, by path, or (None) the newest under `root`.

    The newest is the one whose newest member completed last. Raises UserError if there is none.
    """
    known = studies(root)
    if study is None:
        complete = [each for each in known if each.probes.is_dir()]
        if not complete:
            raise UserError(
                f"There is no study in {root.resolve()}. Train one first, for example: "
                "python -m chromatic_descent.train -m 'seed=range(12)' experiment=demo"
            )
        return max(complete, key=_last_completed)
    for candidate in (Study(root / study), Study(Path(study))):
        if _is_study(candidate):
            return candidate
    names = ", ".join(s.name for s in known) or "none"
    raise UserError(
        f"study={study} was found neither in {root.resolve()} (there: {names}) nor as a path, or "
        "holds no member yet."
    )


def _is_study(study: Study) -> bool:
    return study.probes.is_dir() or bool(study.members())


def _last_completed(study: Study) -> float:
    return max((path.stat().st_mtime for path in study.probes.glob("*.npz")), default=0.0)


def _holder(member: Member) -> str:
    try:
        process = (member.read_manifest() or {}).get("process", {})
        return printable(f"process {process['pid']} on {process['host']} since {process['since']}")
    except (UserError, KeyError, TypeError):
        return "another process"
