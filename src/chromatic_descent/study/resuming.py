"""Resuming: which members of a job are left to train, and which folders it may touch.

A complete member of the same config is skipped. An interrupted one continues from its checkpoint.
A folder that holds another config's work is refused, unless `overwrite=true` replaces it.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from omegaconf import DictConfig

from chromatic_descent import config, probe_logits
from chromatic_descent.errors import UserError
from chromatic_descent.probe_logits.identity import config_hash, differences
from chromatic_descent.study.manifest import Manifest
from chromatic_descent.study.names import member_name
from chromatic_descent.study.study import Member, claim

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Recipe:
    """What determines members besides their seeds: their config, and which are trained together."""

    config: dict[str, Any] = field(compare=False)  # the hash is compared
    config_hash: str
    together: list[int] | None  # seeds of the members trained together; None: trained alone

    @classmethod
    def requested(cls, cfg: DictConfig) -> "Recipe":
        """The recipe of a job's config."""
        identity = config.identity(cfg)
        together = config.seeds(cfg) if "members" in cfg.population else None
        return cls(identity, config_hash(identity), together)

    @classmethod
    def on_disk(cls, entries: Mapping[str, Any]) -> "Recipe":
        """The recipe in an artefact's record or a manifest."""
        return cls(entries["config"], entries["config_hash"], entries.get("together"))

    def entries(self) -> dict[str, Any]:
        """The config and the members trained together, for listing differences."""
        seeds = self.together
        return {**self.config, "together": seeds and f"seeds {seeds[0]} to {seeds[-1]}"}


def members_of(cfg: DictConfig, first: Member) -> list[Member]:
    """The members of a job, of which Hydra has named the first."""
    names = [member_name(seed) for seed in config.seeds(cfg)]
    suffix = first.name.removeprefix(names[0])  # whatever the sweep varies besides
    return [first, *(Member(first.study, f"{name}{suffix}") for name in names[1:])]


def unfinished(members: Sequence[Member], requested: Recipe, overwrite: bool) -> list[Member]:
    """The members that are not complete; if all are, the log says so.

    Raises UserError if a member is complete with another recipe and `overwrite` is false.
    """
    left = [member for member in members if not _is_complete(member, requested, overwrite)]
    if not left:
        for member in members:
            log.info("%s is complete, skipped (%s)", member.name, member.artefact)
    return left


@contextmanager
def claimed(
    cfg: DictConfig, members: Sequence[Member], requested: Recipe
) -> Iterator[list[Member]]:
    """Claim a job's members for the block, and yield the unfinished ones, ready to be trained.

    If the block raises, the reason is written for each member that it has not completed.

    Raises UserError if a member's folder holds another recipe's work and `overwrite` is false, and
    MemberBusyError if another process holds a member.
    """
    with ExitStack() as claims:
        for member in members:
            claims.enter_context(claim(member))
        # again, since another process may have completed them meanwhile
        left = unfinished(members, requested, cfg.overwrite)
        if left:
            _begin(cfg, members, left, requested)
        try:
            yield left
        except Exception as error:
            for member in left:  # a member that failed for its own reason already has it written
                if not _is_complete(member, requested, True) and not member.failure.exists():
                    with suppress(OSError):  # the reason may be that nothing can be written
                        member.write_failure(error)
            raise


def _is_complete(member: Member, requested: Recipe, overwrite: bool) -> bool:
    """Whether the member has its artefact; UserError if the artefact has another recipe."""
    if not member.artefact.exists():
        return False
    recipe = Recipe.on_disk(probe_logits.read_record(member.artefact))
    if recipe == requested:
        return True
    if not overwrite:
        raise _refusal(member, recipe, requested, "was trained")
    return False


def _begin(
    cfg: DictConfig, members: Sequence[Member], left: Sequence[Member], requested: Recipe
) -> None:
    """Write the manifests; UserError, before any is written, if a folder has another recipe."""
    replaced, references = False, {}
    for member in members:
        manifest = member.read_manifest()
        if manifest is None:
            continue
        recipe = Recipe.on_disk(vars(manifest))
        last = member.together()[0].joint_checkpoint if manifest.together else member.checkpoint
        if recipe == requested:
            references[member] = manifest.references
        elif last.exists():  # otherwise there is nothing to lose
            if not cfg.overwrite:
                raise _refusal(member, recipe, requested, "was begun")
            log.warning("%s has another config: replaced, since overwrite=true", member.name)
            replaced = True
    if replaced:  # members trained together continue together, or not at all
        for member in members:
            member.checkpoint.unlink(missing_ok=True)
            member.joint_checkpoint.unlink(missing_ok=True)
    for member, seed in zip(members, config.seeds(cfg), strict=True):
        if member in left:
            manifest = Manifest(seed, **vars(requested), references=references.get(member))
            member.write_manifest(manifest)
            member.failure.unlink(missing_ok=True)


def _refusal(member: Member, recipe: Recipe, requested: Recipe, verb: str) -> UserError:
    """The error that names the keys in which two recipes differ."""
    keys = "\n".join(f"  {line}" for line in differences(recipe.entries(), requested.entries()))
    return UserError(
        f"{member.folder} {verb} with another config. What differs (there -> asked for):\n{keys}\n"
        "Use another study=NAME, go back to those values, or replace it with overwrite=true."
    )
