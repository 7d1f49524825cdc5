"""Configs: where they are, which keys determine a member, and the objects they describe."""

import json
from pathlib import Path
from typing import Any

import hydra
from hydra.errors import InstantiationException
from omegaconf import DictConfig, OmegaConf

from chromatic_descent.errors import UserError, is_whole
from chromatic_descent.own_code import reach
from chromatic_descent.probe_logits.identity import flatten

# Keys that set where, how fast or how visibly a member is trained, not which function it becomes.
# Every other key is hashed, so a key added later counts unless it is listed here. The seed is left
# out so that members of one recipe share their hash: seed and hash together identify a member.
NOT_IDENTITY = (
    *("seed", "study", "overwrite", "threads", "members_per_gpu", "paths", "logger", "callbacks"),
    *("data.source.root", "data.source.download", "data.eval_batch_size"),
    *("population.engine", "population.chunk"),
    *("trainer.accelerator", "trainer.devices", "trainer.default_root_dir"),
    *("trainer.logger", "trainer.callbacks", "trainer.log_every_n_steps"),
    *("trainer.enable_model_summary", "trainer.enable_progress_bar"),
)
_MOST_MEMBERS = 1000  # in one job: each holds a lock, and systems limit a process's open files


def configs_folder() -> str:
    """The absolute path of the configs: packaged in an installed wheel, `configs/` in a clone."""
    packaged = Path(__file__).parent / "configs"
    cloned = Path(__file__).parents[2] / "configs"
    return str(packaged if packaged.is_dir() else cloned)


def identity(cfg: DictConfig) -> dict[str, Any]:
    """The part of a resolved config that determines a member besides its seed, as plain data."""
    container = OmegaConf.to_container(cfg, resolve=True)
    assert isinstance(container, dict)
    for key in NOT_IDENTITY:
        *parents, leaf = key.split(".")
        node: Any = container
        for parent in parents:
            node = node.get(parent) if isinstance(node, dict) else None
        if isinstance(node, dict):
            node.pop(leaf, None)
    # Through JSON, so that it equals the copy read back from an artefact (tuples, int keys).
    plain: dict[str, Any] = json.loads(json.dumps(container))
    return plain


def check_seed(seed: Any) -> int:
    """Return `seed` if it is a whole number from 0; otherwise raise UserError."""
    if not is_whole(seed):
        raise UserError(f"seed is {seed!r}: expected a whole number from 0, as in seed=7.")
    return seed


def seeds(cfg: DictConfig) -> list[int]:
    """The seeds of a job's members: `population.members` of them (1 by default), from `seed` on.

    Raises UserError if either is not a whole number, or the number of members is out of range.
    """
    first = check_seed(cfg.seed)
    members = cfg.population.get("members", 1)
    if not is_whole(members, 1, _MOST_MEMBERS):
        raise UserError(
            f"population.members is {members!r}: expected a whole number from 1 to "
            f"{_MOST_MEMBERS}, as in population.members=12."
        )
    return list(range(first, first + members))


def instantiate(node: Any, **arguments: Any) -> Any:
    """Hydra's `instantiate`, which also finds code in the current folder; see `own_code.reach`.

    A UserError comes through as it is; a failed import becomes one.
    """
    plain = OmegaConf.to_container(node) if OmegaConf.is_config(node) else node
    for key, value in flatten(plain):
        if key.rpartition(".")[2] == "_target_" and isinstance(value, str):
            reach(value)
    try:
        return hydra.utils.instantiate(node, **arguments)
    except InstantiationException as error:
        if isinstance(error.__cause__, UserError):
            raise error.__cause__ from None
        if isinstance(error.__cause__, ImportError):
            raise UserError(
                f"{error.__cause__}\nLooked for among the installed packages, on PYTHONPATH and in "
                "this folder."
            ) from error
        raise
