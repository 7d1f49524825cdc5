"""A study on disk: where things are, and what has become of each member.

<study>/
  multirun.yaml             the latest sweep (Hydra's record)
  SEED_0007/                one folder per member
    .hydra/                 Hydra's record: config.yaml, hydra.yaml, overrides.yaml
    config_tree.txt         the resolved config, for reading
    member.json             the manifest: seed, config, and which process works on the member
    checkpoints/last.ckpt   from which an interrupted member continues
    checkpoints/joint.ckpt  in the first of members trained together: from which all of them
                            continue. It is one file, so that they cannot be of different epochs;
                            last.ckpt of each is then written once, at the end
    metrics/                what was logged
    failure.txt             why the member failed, if it did
  artifacts/
    probes/SEED_0007.npz    the member is complete if and only if this exists
    embeddings/  reports/   written by the analysis
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from traceback import format_exception
from typing import Any, Literal

from chromatic_descent.errors import UserError
from chromatic_descent.files import locks
from chromatic_descent.files.atomic import write_text
from chromatic_descent.files.plain_json import regular
from chromatic_descent.study import manifest as manifests
from chromatic_descent.study.manifest import Manifest
from chromatic_descent.study.names import is_plain, member_name, printable

Status = Literal["complete", "running", "failed", "interrupted"]


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
        """The folder of the members' probe artefacts."""
        return self.path / "artifacts" / "probes"

    @property
    def embeddings(self) -> Path:
        """The folder of distances, embeddings and their figures."""
        return self.path / "artifacts" / "embeddings"

    @property
    def reports(self) -> Path:
        """The folder of the analysis's numbers and summaries."""
        return self.path / "artifacts" / "reports"

    @property
    def cache(self) -> Path:
        """The folder of results that the analysis need not compute again."""
        return self.path / "artifacts" / "cache"

    def members(self) -> list["Member"]:
        """Every member that was begun or is complete, by name."""
        begun = {folder.parent.name for folder in self.path.glob("SEED_*/member.json")}
        complete = {path.stem for path in self.probes.glob("*.npz") if path.name[0] != "."}
        return [Member(self, name) for name in sorted(begun | complete)]

    def check(self, further: Sequence["Member"] = ()) -> None:
        """Raise UserError if a member's name is not plain, or if a link leads out of the study.

        Every command that writes into a study, which may come from anywhere, asks this first, of
        the study's members and of `further` ones to be begun. The study's own folder may be a link.
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
            *(path for member in members for path in member.written),
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

    @property
    def folder(self) -> Path:
        """The folder in which the member is trained."""
        return self.study.path / self.name

    @property
    def artefact(self) -> Path:
        """The probe artefact, which exists once the member is complete."""
        return self.study.probes / f"{self.name}.npz"

    @property
    def manifest(self) -> Path:
        """The file that says what the folder is for; see `read_manifest`."""
        return self.folder / "member.json"

    @property
    def checkpoint(self) -> Path:
        """The checkpoint from which an interrupted member continues."""
        return self.folder / "checkpoints" / "last.ckpt"

    @property
    def joint_checkpoint(self) -> Path:
        """The checkpoint from which members trained together continue; in the first of them."""
        return self.folder / "checkpoints" / "joint.ckpt"

    @property
    def lock(self) -> Path:
        """The lock that the process working on the member holds."""
        return self.folder / ".lock"

    @property
    def failure(self) -> Path:
        """Why the member failed, if its last attempt did."""
        return self.folder / "failure.txt"

    @property
    def written(self) -> list[Path]:
        """Paths that training writes through if they are links; other files are replaced whole."""
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
        if locks.is_held(self.lock):
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

    def write_manifest(
        self,
        seed: int,
        config: dict[str, Any],
        config_hash: str,
        together: list[int] | None = None,
        references: list[dict[str, str]] | None = None,
    ) -> None:
        """Say what the folder is for, and that this process works on it; see `Manifest`."""
        manifest = Manifest(seed, config, config_hash, together=together, references=references)
        manifests.write(self.manifest, manifest)

    def keep_references(self, references: list[dict[str, str]]) -> None:
        """Keep in the manifest which members this one is repelled from, for later attempts."""
        if (manifest := self.read_manifest()) is not None:
            manifests.write(self.manifest, replace(manifest, references=references))

    def together(self) -> list["Member"]:
        """The members that are trained together with this one, itself among them; by seed.

        The first has the checkpoint from which all of them continue.
        """
        manifest = self.read_manifest()
        if manifest is None:
            raise UserError(f"{self.manifest} is missing: the purpose of {self.folder} is unknown.")
        own = member_name(manifest.seed)
        names = [member_name(seed) for seed in manifest.together or [manifest.seed]]
        return [Member(self.study, self.name.replace(own, name, 1)) for name in names]
