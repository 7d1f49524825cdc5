"""What can be trained together: checks of a config, and the choice of an engine."""

import logging
from collections.abc import Sequence
from typing import Literal, get_args

import torch
from omegaconf import DictConfig
from torch import nn

from chromatic_descent.errors import UserError, is_whole
from chromatic_descent.training.hardware import resolve_precision
from chromatic_descent.training.joint.engines import refuses_vmap
from chromatic_descent.training.joint.module import Engine
from chromatic_descent.training.repulsion import Repulsion, from_config
from chromatic_descent.training.repulsion.repulsion import STUDY, Request

Choice = Literal["auto", "loop", "vmap"]

log = logging.getLogger(__name__)


def check_options(cfg: DictConfig, engine: str, chunk: object) -> None:
    """Raise UserError for options that are wrong, or that joint training does not have."""
    if cfg.data._target_ != "chromatic_descent.data.ImageData":
        raise UserError(
            f"data._target_={cfg.data._target_}: population=joint works with this project's own "
            "data module only; use population=solo. (A data set of your own is possible: "
            "data.source._target_.)"
        )
    if engine not in get_args(Choice):
        raise UserError(
            f"population.engine={engine}: expected one of {', '.join(get_args(Choice))}."
        )
    if chunk is not None and not is_whole(chunk, 1):
        raise UserError(
            f"population.chunk={chunk}: expected a number of members from 1, or null for as many "
            "as fit in memory."
        )
    precision = resolve_precision(cfg.trainer.precision, cfg.trainer.accelerator)
    if str(precision) in ("16-mixed", "16"):
        raise UserError(
            f"trainer.precision={precision} scales losses, which population=joint does not: "
            "expected auto, bf16-mixed or 32-true."
        )
    for key, without in [("gradient_clip_val", None), ("accumulate_grad_batches", 1)]:
        if cfg.trainer.get(key, without) not in (None, without):
            raise UserError(
                f"trainer.{key}={cfg.trainer[key]}: population=joint does not do this; leave it "
                "out, or use population=solo."
            )


def checked_repulsion(cfg: DictConfig, members: int) -> Repulsion | None:
    """The config's repulsion, if it can act between members that are trained together."""
    repulsion = from_config(cfg.repulsion)
    if repulsion is None:
        return None
    if not repulsion.joint:
        raise UserError(
            "This repulsion only acts against members that are already trained, and "
            "population=joint trains all at once: use population=solo, or a term whose option has "
            "joint: true (logit_mse, rbf, hellinger, kl, ...)."
        )
    if repulsion.requested != Request(STUDY, None, repulsion.requested.choose):
        raise UserError(
            f"repulsion.references={dict(repulsion.references)}: members trained together are "
            "repelled from each other and from no other members. Leave it out, or use "
            "population=solo."
        )
    if members == 1:
        raise UserError(
            "population.members=1 leaves no other member to be repelled from: ask for 2 or more, "
            "or repulsion=none."
        )
    return repulsion


def choose_engine(
    cfg: DictConfig,
    engine: Choice,
    network: nn.Module,
    shape: Sequence[int],
    device: torch.device,
) -> Engine:
    """The requested engine, or for `auto` the faster one that can train this network."""
    if engine == "loop" or (engine == "auto" and device.type != "cuda"):
        return "loop"
    half = resolve_precision(cfg.trainer.precision, cfg.trainer.accelerator) == "bf16-mixed"
    reason = "compile=true" if cfg.compile else refuses_vmap(network, shape, half)
    if reason is None:
        return "vmap"
    if engine == "vmap":
        raise UserError(
            f"population.engine=vmap cannot train this network as it would be trained alone "
            f"({reason}). Use population.engine=loop."
        )
    log.info("population.engine=auto: loop, since vmap cannot train this network (%s)", reason)
    return "loop"
