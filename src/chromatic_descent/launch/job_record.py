"""A job's config, saved in the folder of each of its members and shown once per launch."""

import io
import json
from collections.abc import Sequence
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from rich.text import Text
from rich.tree import Tree

from chromatic_descent.files.atomic import write_text
from chromatic_descent.study import Member


def record_job(cfg: DictConfig, members: Sequence[Member]) -> None:
    """Save Hydra's record and the resolved config's tree with each member; show the tree.

    Hydra would save its record before it is known whether the member may be touched at all, so
    `hydra.output_subdir` is null and it is saved here. A sweep shows the tree of its first job.
    """
    hydra_cfg = HydraConfig.get()
    tree, text = config_tree(cfg), io.StringIO()
    Console(file=text, width=100).print(tree)
    for member in members:
        folder = member.folder / ".hydra"
        write_text(folder / "config.yaml", OmegaConf.to_yaml(cfg))
        write_text(folder / "overrides.yaml", OmegaConf.to_yaml(hydra_cfg.overrides.task))
        write_text(folder / "hydra.yaml", OmegaConf.to_yaml(OmegaConf.create({"hydra": hydra_cfg})))
        write_text(member.folder / "config_tree.txt", text.getvalue())
    if OmegaConf.is_missing(hydra_cfg.job, "num") or hydra_cfg.job.num == 0:
        Console(stderr=True).print(tree)


def config_tree(cfg: DictConfig) -> Tree:
    """A resolved config as a tree, for printing."""
    return _branch(Tree("config", guide_style="dim"), OmegaConf.to_container(cfg, resolve=True))


def _branch(tree: Tree, node: Any) -> Tree:
    for key, value in node.items():  # Text, since a list such as [16, 64] would be read as markup
        if isinstance(value, dict) and value:
            _branch(tree.add(Text(str(key), style="bold")), value)
        else:
            tree.add(Text.assemble(f"{key}: ", (json.dumps(value), "cyan")))
    return tree
