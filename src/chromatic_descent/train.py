"""Train members: `python -m chromatic_descent.train`, or `chromatic-train`.

    python -m chromatic_descent.train seed=3 experiment=fast
    python -m chromatic_descent.train -m 'seed=range(12)' study=plain trainer.accelerator=auto

torch and Lightning are imported only once there is a member to train: help, tab completion and
skipping complete members stay quick.
"""

from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from chromatic_descent import config
from chromatic_descent.launch import callbacks, job_record, launchers, slots, stopping
from chromatic_descent.launch.command_line import run
from chromatic_descent.study import Member, Study, resuming


def run_members(cfg: DictConfig, members: list[Member]) -> None:
    """Train a job's members unless they are complete: skip, continue, start, or refuse.

    `members` are in the order of their seeds: one under `population=solo`, all those trained
    together under `population=joint`. Raises UserError if a member's folder holds another config's
    work and `overwrite` is false, and MemberBusyError if another process holds a member.
    """
    members[0].study.check(members)
    recipe = resuming.Recipe.requested(cfg)
    if not resuming.unfinished(members, recipe, cfg.overwrite):
        return
    slots.own_slot()  # before torch is asked for a device
    train = config.instantiate(cfg.population)(cfg)  # if this refuses, the study is untouched
    with resuming.claimed(cfg, members, recipe) as left:
        if left:
            job_record.record_job(cfg, left)
            with stopping.readable_errors(members[0].name):
                train(members, left, recipe.config)


def main() -> None:
    """Run Hydra's command line; an error ends with one message, see `command_line.run`."""
    callbacks.ReportFailures.launch = None
    run(_command_line, callbacks.explain_end)


@launchers.no_orphans()
@hydra.main(config_path=config.configs_folder(), config_name="train", version_base="1.3")
def _command_line(cfg: DictConfig) -> None:
    folder = Path(HydraConfig.get().runtime.output_dir)
    run_members(cfg, resuming.members_of(cfg, Member(Study(folder.parent), folder.name)))


if __name__ == "__main__":
    main()
