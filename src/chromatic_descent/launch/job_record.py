"""A job's config, kept in the folder of each of its members and shown once per launch."""

import io
from collections.abc import Sequence

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from chromatic_descent.config import print_tree
from chromatic_descent.files.atomic import write_text
from chromatic_descent.study import Member


def record_job(cfg: DictConfig, members: Sequence[Member]) -> None:
    """Save Hydra's record and the resolved config's tree with each member; show the tree.

    Hydra would save its record before it is known whether the member may be touched at all, so
    `hydra.output_subdir` is null and it is saved here. A sweep shows the tree of its first job.
    """
    hydra_cfg = HydraConfig.get()
    tree = io.StringIO()
    print_tree(cfg, Console(file=tree, width=100))
    for member in members:
        folder = member.folder / ".hydra"
        write_text(folder / "config.yaml", OmegaConf.to_yaml(cfg))
        write_text(folder / "overrides.yaml", OmegaConf.to_yaml(hydra_cfg.overrides.task))
        write_text(folder / "hydra.yaml", OmegaConf.to_yaml(OmegaConf.create({"hydra": hydra_cfg})))
        write_text(member.folder / "config_tree.txt", tree.getvalue())
    if OmegaConf.is_missing(hydra_cfg.job, "num") or hydra_cfg.job.num == 0:
        print_tree(cfg, Console(stderr=True))
