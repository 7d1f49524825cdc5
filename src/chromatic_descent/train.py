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
from chromatic_descent.launch import end_report
from chromatic_descent.launch.callbacks import ReportFailures
from chromatic_descent.launch.command_line import run
from chromatic_descent.launch.job_record import record_job
from chromatic_descent.launch.launchers import ending_with_this
from chromatic_descent.launch.slots import own_slot
from chromatic_descent.launch.stopping import as_it_was
from chromatic_descent.study import Member, Study
from chromatic_descent.study.resuming import Recipe, members_of, taken_up, unfinished


def run_members(cfg: DictConfig, members: list[Member]) -> None:
    """Train a job's members unless they are complete: skip, continue, start, or refuse.

    `members` are in the order of their seeds: one under `population=solo`, all those trained
    together under `population=joint`.

    Raises UserError if a member's folder holds another config's work and `overwrite` is false,
    and MemberBusyError if another process holds a member.
    """
    members[0].study.check(members)
    recipe = Recipe.requested(cfg)
    if not unfinished(members, recipe, cfg.overwrite):
        return
    own_slot()  # before torch is asked for a device
    train = config.instantiate(cfg.population)(cfg)  # if this refuses, the study is untouched
    with taken_up(cfg, members, recipe) as left:
        if left:
            record_job(cfg, left)
            with as_it_was(members[0].name):
                train(members, left, recipe.config)


def main() -> None:
    """Run Hydra's command line; an error ends with one message, see `command_line.run`."""
    ReportFailures.launch = None
    run(_command_line, end_report.explain)


@ending_with_this()
@hydra.main(config_path=config.configs_folder(), config_name="train", version_base="1.3")
def _command_line(cfg: DictConfig) -> None:
    folder = Path(HydraConfig.get().runtime.output_dir)
    run_members(cfg, members_of(cfg, Member(Study(folder.parent), folder.name)))


if __name__ == "__main__":
    main()
