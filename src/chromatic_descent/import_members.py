"""Import networks trained elsewhere into a study: `python -m chromatic_descent.import_members`.

    chromatic-import study=theirs logits=logits.npy labels=labels.npy
    chromatic-import study=mine logits=more.npz same_probe=true recipe=vit origin='timm vit_tiny'
    chromatic-import study=mine checkpoint=[a.pt,b.pt] model=resnet18 recipe=resnet

Each network becomes a member, with seeds from `seed` on, whose record says that it was imported.
Members that do not fit those of the study are refused before anything is written.
"""

import logging
from collections.abc import Sequence
from pathlib import Path

import hydra
import numpy as np
from omegaconf import DictConfig

from chromatic_descent import config, probe_logits
from chromatic_descent.errors import UserError
from chromatic_descent.importing.arrays import from_arrays
from chromatic_descent.launch.command_line import run
from chromatic_descent.probe_logits import ProbeLogits
from chromatic_descent.study import Member, Study, check_study_name, claim

log = logging.getLogger(__name__)


@hydra.main(config_path=config.configs_folder(), config_name="import", version_base="1.3")
def run_import(cfg: DictConfig) -> list[Member]:
    """Import the networks that the config names; return them as members of the study."""
    if cfg.study is None:
        raise UserError("Give study=NAME: the study to import into, new or existing.")
    if (cfg.logits is None) == (cfg.checkpoint is None):
        raise UserError("Give either logits=FILE (and labels=FILE) or checkpoint=FILE.")
    study = Study(Path(cfg.paths.multirun) / check_study_name(str(cfg.study)))
    study.check()
    present = [probe_logits.load(m.artefact) for m in study.members() if m.status == "complete"]
    if cfg.logits is not None:
        imported = from_arrays(cfg, present)
    else:  # torch and Lightning are imported for weights only
        from chromatic_descent.importing.checkpoints import from_checkpoints

        imported = from_checkpoints(cfg)
    members = [Member(study, each.record["member"]) for each in imported]
    _check_fit(members, imported, present, cfg.overwrite)
    for member, each in zip(members, imported, strict=True):
        with claim(member):
            probe_logits.save(member.artefact, each)
        accuracy, images = each.record["accuracy"], len(each.labels)
        log.info("%s: accuracy %.4f on %d images", member.name, accuracy, images)
    return members


def main() -> None:
    """Run Hydra's command line; a user's mistake ends with one message and exit code 1."""
    run(run_import)


def _check_fit(
    members: Sequence[Member],
    imported: Sequence[ProbeLogits],
    present: Sequence[ProbeLogits],
    overwrite: bool,
) -> None:
    """Raise UserError unless the imported members fit the study's and replace none by accident."""
    known = {each.record["member"]: each for each in present}
    taken = []
    for member, each in zip(members, imported, strict=True):
        before = known.get(member.name)
        same = before is not None and np.array_equal(before.logits, each.logits)
        if not same and (before is not None or member.manifest.exists()):
            taken.append(member.name)
    if taken and not overwrite:
        raise UserError(
            f"{members[0].study.path} has other members named {', '.join(taken)}. Begin at another "
            "seed=, name a recipe=, or replace them with overwrite=true."
        )
    replaced = {member.name for member in members}
    kept = [each for name, each in known.items() if name not in replaced]
    probe_logits.stack([*kept, *imported])
    for member, each in zip(members, imported, strict=True):
        probe_logits.validate(each, member.artefact)


if __name__ == "__main__":
    main()
