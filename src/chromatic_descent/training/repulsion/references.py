"""Reference members: the trained members that a new one is repelled from, and their networks.

Networks are built from the config of the new run, never from one on disk: only weights are read.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from chromatic_descent import probe_logits
from chromatic_descent.data.streams import Stream, stream
from chromatic_descent.errors import UserError
from chromatic_descent.files.hashing import content_hash
from chromatic_descent.probe_logits.identity import Identity, differences
from chromatic_descent.study import Member, Study, find_study
from chromatic_descent.training.checkpoint import AtomicCheckpointIO
from chromatic_descent.training.repulsion.repulsion import STUDY, Request

_NETWORK = "network."  # prefix of the network's weights in a module's state


@dataclass(frozen=True)
class Reference:
    """A complete member, with hashes that show whether it has changed since it was chosen."""

    member: Member
    config_hash: str
    logits_hash: str  # SHA-256 of its logits on the probe

    @property
    def entry(self) -> dict[str, str]:
        """The reference as it is listed in a manifest and in an artefact."""
        return {
            "study": self.member.study.name,
            "member": self.member.name,
            "config_hash": self.config_hash,
            "logits_hash": self.logits_hash,
        }

    def load(self, build: Callable[[], nn.Module]) -> nn.Module:
        """The network, in evaluation mode, with the member's last weights.

        Raises UserError if the checkpoint does not fit the network that `build` makes.
        """
        with torch.random.fork_rng(devices=[]):
            network = build()
        path = self.member.checkpoint
        state = AtomicCheckpointIO().load_checkpoint(path).get("state_dict", {})
        weights = {k.removeprefix(_NETWORK): v for k, v in state.items() if k.startswith(_NETWORK)}
        try:
            network.load_state_dict(weights)
        except RuntimeError as error:
            raise UserError(
                f"{path} does not hold the weights of this run's model, although the artefact of "
                f"{self.member.name} names this model: the checkpoint is another member's. Train "
                f"{self.member.name} again."
            ) from error
        return network.eval()


def source_study(requested: Request, member: Member, root: Path) -> Study:
    """The study to take references from; raises UserError if there is no such study."""
    if requested.source == STUDY:
        return member.study
    try:
        return find_study(requested.source, root)
    except UserError as error:
        raise UserError(f"repulsion.references.from={requested.source}: {error}") from error


def choose(
    requested: Request,
    study: Study,
    member: Member,
    identity: Identity,
    probe_hash: str,
    earlier: list[dict[str, str]] | None,
) -> list[Reference]:
    """Choose the members of `study` that `member` is repelled from; [] if no other is complete.

    Args:
        requested: their number, and how to choose them. A `random` choice is made here; `nearest`
            returns all candidates, among which training chooses. Under `from=study` only members
            of the same configuration are candidates, so that a sweep over strengths makes
            independent populations.
        study: the study to choose from.
        member: the member that is repelled; never its own reference.
        identity: the member's; its seed decides the random choice, references have its model.
        probe_hash: the hash of the probe, which references were recorded on.
        earlier: entries of an earlier attempt's choice, which is repeated; None to choose.

    Raises:
        UserError: an earlier choice is gone or has changed; another model or probe; no checkpoint;
            fewer members in another study than requested.
    """
    if earlier is None:
        names = _choose_names(requested, study, member, identity)
    else:
        names = [entry["member"] for entry in earlier]
        if gone := [name for name in names if not Member(study, name).artefact.exists()]:
            raise UserError(
                f"{member.name} was begun with references that are no longer complete in study "
                f"{study.name}: {', '.join(gone)}. Put them back, or move {member.folder} away to "
                "start it again."
            )
    references = [_read(Member(study, name)) for name in names]
    _check_usable(references, identity.config["model"], probe_hash)
    chosen = [reference for reference, _ in references]
    changed = [
        reference.member.name
        for reference, entry in zip(chosen, earlier or [], strict=False)
        if reference.logits_hash != entry.get("logits_hash")
    ]
    if changed:
        raise UserError(
            f"{member.name} was begun with references that have been retrained since: "
            f"{', '.join(changed)}. Move {member.folder} away to start it again."
        )
    return chosen


def _choose_names(
    requested: Request, study: Study, member: Member, identity: Identity
) -> list[str]:
    own = study.path.resolve() == member.study.path.resolve()
    complete = [
        other
        for other in study.members()
        if other.artefact.exists() and not (own and other.name == member.name)
    ]
    names = [
        other.name
        for other in complete
        if requested.source != STUDY
        or probe_logits.read_record(other.artefact)["config_hash"] == identity.config_hash
    ]
    count = len(names) if requested.count is None else requested.count
    if not own and len(names) < max(count, 1):
        raise UserError(
            f"repulsion.references.count={requested.count}: study {study.name} has {len(names)} "
            "complete members. Lower it, or train more there."
        )
    if requested.choose == "nearest" or count >= len(names):
        return names
    order = torch.randperm(len(names), generator=stream(Stream.REFERENCES, identity.seed))
    return [names[i] for i in order[:count].sort().values.tolist()]


def _read(member: Member) -> tuple[Reference, dict[str, Any]]:
    """Read a reference and its artefact's record."""
    artefact = probe_logits.load(member.artefact)
    digest = content_hash(artefact.logits)
    return Reference(member, artefact.record["config_hash"], digest), artefact.record


def _check_usable(
    references: list[tuple[Reference, dict[str, Any]]], model: Any, probe_hash: str
) -> None:
    """Raise a UserError that lists every reason why references cannot be used."""
    problems = []
    for reference, record in references:
        name, other = reference.member.name, record["config"].get("model", {})
        if other != model:
            keys = "; ".join(differences({"model": other}, {"model": model}))
            problems.append(f"{name} has another model (there -> here): {keys}")
        if record["probe_hash"] != probe_hash:
            problems.append(f"{name} was recorded on another probe, or on other data")
        if not reference.member.checkpoint.exists():
            problems.append(f"{name} has no {reference.member.checkpoint}")
    if problems:
        listed = "\n".join(f"  {problem}" for problem in problems)
        raise UserError(
            f"Not every member can be a reference of this run:\n{listed}\n"
            "Expected members of the same model, data and probe, with their checkpoints: give "
            "this run a study of its own, or name another in repulsion.references.from."
        )
