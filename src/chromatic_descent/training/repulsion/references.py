"""Reference members: which already trained members a new one is repelled from, and their networks.

Networks are built from the config of the run that asks, never from one read on disk; only their
weights come from there.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from chromatic_descent import probe_logits
from chromatic_descent.data.augment import generator
from chromatic_descent.errors import UserError
from chromatic_descent.files.hashing import content_hash
from chromatic_descent.probe_logits.identity import differences
from chromatic_descent.study import Member, Study, find_study
from chromatic_descent.training.checkpoint import AtomicCheckpointIO
from chromatic_descent.training.repulsion.repulsion import STUDY, Wanted

_NETWORK = "network."  # what a module's state calls the network's


@dataclass(frozen=True)
class Reference:
    """A complete member, and what says that it is still the one that was chosen."""

    member: Member
    config_hash: str
    logits_hash: str  # SHA-256 of its logits on the probe

    @property
    def entry(self) -> dict[str, str]:
        """What a manifest and an artefact say of it."""
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
                f"{path} does not hold the weights of this run's model, though its artefact says "
                f"so: it is not the checkpoint of {self.member.name}. Train that member again."
            ) from error
        return network.eval()


def source_study(wanted: Wanted, member: Member, root: Path) -> Study:
    """The study that references are from; raises UserError if there is no such study."""
    if wanted.source == STUDY:
        return member.study
    try:
        return find_study(wanted.source, root)
    except UserError as error:
        raise UserError(f"repulsion.references.from={wanted.source}: {error}") from error


def choose(
    wanted: Wanted,
    study: Study,
    member: Member,
    seed: int,
    config_hash: str,
    model: Any,
    probe_hash: str,
    kept: list[dict[str, str]] | None,
) -> list[Reference]:
    """The members of `study` that `member` is repelled from; none if no other is complete.

    Args:
        wanted: how many, and how they are chosen. `nearest` ones are chosen along training, from
            all that are returned here; `random` ones here. Under `from=study` only those of the
            member's own configuration count, so that a sweep over strengths makes populations that
            know nothing of each other.
        study: whose.
        member: the one that is repelled; never its own reference.
        seed: its seed, which decides the random choice.
        config_hash: its configuration's.
        model: the model's config, which theirs must equal.
        probe_hash: the probe's, which theirs must equal.
        kept: entries of an earlier attempt's choice, which is repeated; None to choose.

    Raises:
        UserError: one that was chosen is gone or another; another model or probe; no checkpoint;
            fewer in another study than were asked for.
    """
    if kept is None:
        names = _choose_names(wanted, study, member, seed, config_hash)
    else:
        names = [entry["member"] for entry in kept]
        _check_still_there(kept, study, member)
    references = [_read(Member(study, name)) for name in names]
    _check_usable(references, model, probe_hash)
    chosen = [reference for reference, _ in references]
    changed = [r.member.name for r in chosen if kept is not None and r.entry not in kept]
    if changed:
        raise UserError(
            f"{member.name} was begun with references that have been trained anew since: "
            f"{', '.join(changed)}. Move {member.folder} away to start it again."
        )
    return chosen


def _choose_names(
    wanted: Wanted, study: Study, member: Member, seed: int, config_hash: str
) -> list[str]:
    own = study.path.resolve() == member.study.path.resolve()
    names = [
        other.name
        for other in study.members()
        if other.artefact.exists() and not (own and other.name == member.name)
    ]
    if wanted.source == STUDY:
        names = [
            name
            for name in names
            if probe_logits.read_record(Member(study, name).artefact)["config_hash"] == config_hash
        ]
    count = len(names) if wanted.count is None else wanted.count
    if not own and len(names) < max(count, 1):
        raise UserError(
            f"repulsion.references.count={wanted.count}: study {study.name} has {len(names)} "
            "complete members. Lower it, or train more there."
        )
    if wanted.choose == "nearest" or count >= len(names):
        return names
    order = torch.randperm(len(names), generator=generator(seed, 7))
    return [names[i] for i in order[:count].sort().values.tolist()]


def _check_still_there(kept: list[dict[str, str]], study: Study, member: Member) -> None:
    gone = [e["member"] for e in kept if not Member(study, e["member"]).artefact.exists()]
    if gone:
        raise UserError(
            f"{member.name} was begun with references that are no longer complete in study "
            f"{study.name}: {', '.join(gone)}. Put them back, or move {member.folder} away to "
            "start it again."
        )


def _read(member: Member) -> tuple[Reference, dict[str, Any]]:
    """A reference and its artefact's record."""
    artefact = probe_logits.load(member.artefact)
    digest = content_hash(artefact.logits)
    return Reference(member, artefact.record["config_hash"], digest), artefact.record


def _check_usable(
    references: list[tuple[Reference, dict[str, Any]]], model: Any, probe_hash: str
) -> None:
    """Raise one UserError that names everything that keeps references from being used."""
    problems = []
    for reference, record in references:
        name, found = reference.member.name, record["config"].get("model", {})
        if found != model:
            keys = "; ".join(differences({"model": found}, {"model": model}))
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
