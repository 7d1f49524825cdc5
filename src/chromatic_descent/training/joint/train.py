"""Training several members together, and recording each of them.

Each member is initialised, sees its batches and takes its steps exactly as it would alone, and
leaves the same files. Joint training adds repulsion between all members at each step; see `module`.
"""

import functools
import logging
import time
from collections.abc import Callable, Sequence
from typing import Any, Literal, get_args

import lightning
import torch
from lightning import Trainer
from omegaconf import DictConfig
from torch import nn

from chromatic_descent import config
from chromatic_descent.config import instantiate
from chromatic_descent.data import JointData
from chromatic_descent.errors import UserError, is_whole
from chromatic_descent.probe_logits.identity import Identity
from chromatic_descent.study import Member
from chromatic_descent.training import build
from chromatic_descent.training.alone import Train
from chromatic_descent.training.checkpoint import AtomicCheckpointIO
from chromatic_descent.training.hardware import resolve_device, resolve_precision
from chromatic_descent.training.joint.callbacks import MemberLoggers, RecordTrajectories
from chromatic_descent.training.joint.engines import refuses_vmap
from chromatic_descent.training.joint.memory import available, fit, needs
from chromatic_descent.training.joint.module import Engine, JointClassifier
from chromatic_descent.training.module import Classifier
from chromatic_descent.training.record import record_member, save_member
from chromatic_descent.training.repulsion import Repulsion, from_config
from chromatic_descent.training.repulsion.repulsion import STUDY, Request

Choice = Literal["auto", "loop", "vmap"]

_INPUT_GRADIENTS = 3  # times the activations of outputs: the gradient has its own graph

log = logging.getLogger(__name__)


def joint(
    cfg: DictConfig, *, members: int, engine: Choice = "auto", chunk: int | None = None
) -> Train:
    """Train the members `seed` to `seed` + `members` − 1 together.

    Args:
        cfg: the job's config.
        members: number of members.
        engine: `loop`, one after another; `vmap`, stacked; `auto`, vmap on CUDA if the network and
            the config allow it, otherwise loop, which is faster on a CPU.
        chunk: number of members with activations in memory at once; None for as many as fit. It
            changes memory and time only.

    Raises UserError if they cannot be trained together, before anything is written.
    """
    seeds = config.seeds(cfg)
    _check_options(cfg, engine, chunk)
    repulsion = _checked_repulsion(cfg, members)
    data: JointData = instantiate(
        cfg.data, _target_="chromatic_descent.data.JointData", seeds=seeds
    )
    if repulsion is not None:
        repulsion.make_pool(data)
    network = build.build_module(cfg, data).network
    shape = (data.channels, *data.image_size)
    device = resolve_device(cfg.trainer.accelerator)
    chosen = _choose_engine(cfg, engine, network, shape, device)
    points = 0 if repulsion is None else repulsion.batch_size
    points *= _INPUT_GRADIENTS if repulsion is not None and repulsion.of != "outputs" else 1
    need = needs(network, shape, data.batch_size, points, stacked=chosen == "vmap")
    chunk = fit(need, members, chunk, available(device))
    make = functools.partial(JointClassifier, engine=chosen, chunk=chunk, repulsion=repulsion)
    return functools.partial(_train_together, cfg, data, make)


def _train_together(
    cfg: DictConfig,
    data: JointData,
    make: Callable[[list[Classifier], list[str]], JointClassifier],
    members: Sequence[Member],
    unfinished: Sequence[Member],
    identity: dict[str, Any],
) -> None:
    """Train members from their common checkpoint if there is one; record the unfinished ones."""
    build.prepare_process(cfg)
    names = [member.name for member in members]
    module = make([build.build_module(cfg, data, seed) for seed in data.seeds], names)
    trainer = build_trainer(cfg, members)
    checkpoint = members[0].joint_checkpoint if members[0].joint_checkpoint.exists() else None
    first, last, engine, chunk = names[0], names[-1], module.engine, module.chunk
    log.info("%s to %s, engine %s, %d at a time", first, last, engine, chunk)
    started = time.perf_counter()
    trainer.fit(module, data, ckpt_path=checkpoint, weights_only=True)
    seconds = (time.perf_counter() - started) / len(members)  # a member's share
    failed: list[Exception] = []
    for member, classifier, seed in zip(members, module.classifiers, data.seeds, strict=True):
        if member not in unfinished:
            continue
        own = Identity(member.name, seed, identity)
        further = {"continued": checkpoint is not None, "together": list(data.seeds)}
        try:
            _record(member, classifier, trainer, own, cfg.probe.tta, seconds, further)
        except Exception as error:  # the other members' artefacts are still to be written
            member.write_failure(error)
            failed.append(error)
    for other in failed[1:]:
        log.error("%s", other)
    if failed:
        raise failed[0]


def _record(
    member: Member,
    classifier: Classifier,
    trainer: Trainer,
    identity: Identity,
    tta: bool,
    seconds: float,
    further: dict[str, Any],
) -> None:
    """Write a trained member's checkpoint, then its probe artefact."""
    data: JointData = trainer.datamodule  # type: ignore[attr-defined]
    # Clones: saving a view would save the whole stack behind it.
    weights = {name: value.detach().clone() for name, value in classifier.state_dict().items()}
    checkpoint = {  # training continues from joint.ckpt
        "epoch": trainer.current_epoch,
        "global_step": trainer.global_step // len(trainer.optimizers),
        "pytorch-lightning_version": lightning.__version__,
        "state_dict": weights,
    }
    AtomicCheckpointIO().save_checkpoint(checkpoint, member.checkpoint)
    result = record_member(classifier, data, trainer, identity, tta=tta, seconds=seconds)
    save_member(member, result, time_spent="its share of training", **further)


def build_trainer(cfg: DictConfig, members: Sequence[Member]) -> Trainer:
    """Lightning's trainer, rooted in the first member's folder; each member has its own loggers."""
    loggers = {
        member.name: build.member_loggers(cfg, member, seed)
        for member, seed in zip(members, config.seeds(cfg), strict=True)
    }
    return build.make_trainer(
        cfg,
        f"{members[0].name} to {members[-1].name}",
        members[0].joint_checkpoint,
        functools.partial(RecordTrajectories, list(loggers)),
        [MemberLoggers(loggers)],
    )


def _check_options(cfg: DictConfig, engine: str, chunk: object) -> None:
    """Raise UserError for invalid options, and for options that joint training does not support."""
    if cfg.data._target_ != "chromatic_descent.data.ImageData":
        raise UserError(
            f"data._target_={cfg.data._target_}: population=joint works with this project's own "
            "data module only; use population=solo. (A data set of your own is possible: "
            "data.source._target_.)"
        )
    if engine not in get_args(Choice):
        options = ", ".join(get_args(Choice))
        raise UserError(f"population.engine={engine}: expected one of {options}.")
    if chunk is not None and not is_whole(chunk, 1):
        raise UserError(
            f"population.chunk={chunk}: expected a number of members from 1, or null for as many "
            "as fit in memory."
        )
    precision = resolve_precision(cfg.trainer.precision, cfg.trainer.accelerator)
    if str(precision) in ("16-mixed", "16"):
        raise UserError(
            f"trainer.precision={precision} scales losses, which population=joint does not "
            "support: expected auto, bf16-mixed or 32-true."
        )
    for key, without in [("gradient_clip_val", None), ("accumulate_grad_batches", 1)]:
        if cfg.trainer.get(key, without) not in (None, without):
            raise UserError(
                f"trainer.{key}={cfg.trainer[key]}: population=joint does not support this; leave "
                "it out, or use population=solo."
            )


def _checked_repulsion(cfg: DictConfig, members: int) -> Repulsion | None:
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
            "repelled from each other only. Leave it out, or use population=solo."
        )
    if members == 1:
        raise UserError(
            "population.members=1 leaves no other member to be repelled from: use 2 or more, or "
            "repulsion=none."
        )
    return repulsion


def _choose_engine(
    cfg: DictConfig, engine: Choice, network: nn.Module, shape: Sequence[int], device: torch.device
) -> Engine:
    """The requested engine; for `auto` the fastest engine that can train this network."""
    if engine == "loop" or (engine == "auto" and device.type != "cuda"):
        return "loop"
    half = resolve_precision(cfg.trainer.precision, cfg.trainer.accelerator) == "bf16-mixed"
    reason = "compile=true" if cfg.compile else refuses_vmap(network, shape, half)
    if reason is None:
        return "vmap"
    if engine == "vmap":
        raise UserError(
            "population.engine=vmap cannot train this network as it would be trained alone "
            f"({reason}). Use population.engine=loop."
        )
    log.info("population.engine=auto: loop, since vmap cannot train this network (%s)", reason)
    return "loop"
