"""Sequential repulsion before a member is trained: is it possible, and from which references?"""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning
from omegaconf import DictConfig
from torch import nn

from chromatic_descent.data import ImageData
from chromatic_descent.errors import UserError
from chromatic_descent.launch import launchers
from chromatic_descent.probe_logits.identity import config_hash
from chromatic_descent.study import Member
from chromatic_descent.training.repulsion.callback import Repel
from chromatic_descent.training.repulsion.references import choose, source_study
from chromatic_descent.training.repulsion.repulsion import STUDY, from_config

log = logging.getLogger(__name__)


def plan(
    cfg: DictConfig,
    member: Member,
    identity: dict[str, Any],
    data: ImageData,
    build: Callable[[], nn.Module],
) -> tuple[list[lightning.Callback], list[dict[str, str]] | None]:
    """The callbacks of the config's repulsion, and the references to record; None if it has none.

    The references are kept in the member's manifest: a later attempt uses the same. The first
    member of a configuration has none and is trained plainly.

    Raises:
        UserError: what cannot be, before any training.
    """
    repulsion = from_config(cfg.repulsion)
    if repulsion is None:
        return [], None
    if not repulsion.sequential:
        name = getattr(getattr(repulsion.term, "func", repulsion.term), "__name__", "this one")
        raise UserError(
            f"The repulsion term {name} works only between members that are trained together: "
            "use population=joint, or another repulsion."
        )
    wanted = repulsion.wanted
    if wanted.source == STUDY and cfg.study is None:
        raise UserError(
            "repulsion.references.from=study, but the study has no name by which a member could "
            "find those before it: add study=NAME, or name another in repulsion.references.from."
        )
    study = source_study(wanted, member, Path(cfg.paths.multirun))
    if study.path.resolve() == member.study.path.resolve() and launchers.in_parallel():
        raise UserError(
            "Members that are trained at the same time cannot be repelled from each other one by "
            "one: use population=joint, repulsion.references.from=<another study>, or no parallel "
            "launcher (launcher=basic)."
        )
    points = repulsion.make_pool(data)
    references = choose(
        wanted,
        study,
        member,
        cfg.seed,
        config_hash(identity),
        identity["model"],
        data.probe.hash(data.mean, data.std),
        getattr(member.read_manifest(), "references", None),
    )
    entries = [reference.entry for reference in references]
    member.keep_references(entries)
    if not references:
        log.info("%s is the first of its configuration: trained plainly", member.name)
        return [], entries
    return [Repel(repulsion, points, references, build, cfg.seed)], entries
