"""Members trained together, in one process: `population=joint`.

Each is initialised, sees its batches and takes its steps exactly as it would alone, and leaves the
same files. What it adds is repulsion between all of them at each step; see `joint_module`.
"""

import functools
import logging
import time
from collections.abc import Sequence
from typing import Any, Literal, get_args

import lightning
import torch
from lightning import Trainer
from omegaconf import DictConfig

from chromatic_descent import config, probe_logits
from chromatic_descent.config import instantiate
from chromatic_descent.data import JointData
from chromatic_descent.errors import UserError
from chromatic_descent.probe_logits.identity import Identity
from chromatic_descent.study import Member
from chromatic_descent.training.checkpoint import AtomicCheckpointIO, every_epoch
from chromatic_descent.training.engines import refuses_vmap
from chromatic_descent.training.hardware import resolve_device, resolve_precision
from chromatic_descent.training.joint_callbacks import MemberLoggers, RecordTrajectories
from chromatic_descent.training.joint_module import Engine, JointClassifier
from chromatic_descent.training.memory import available, fit, needs
from chromatic_descent.training.module import Classifier
from chromatic_descent.training.population import (
    Train,
    build_module,
    make_trainer,
    member_loggers,
    prepare_process,
)
from chromatic_descent.training.progress import MemberProgress
from chromatic_descent.training.record import record_member
from chromatic_descent.training.repulsion import Repulsion, from_config
from chromatic_descent.training.repulsion.repulsion import STUDY, Wanted

Choice = Literal["auto", "loop", "vmap"]

_INPUT_GRADIENTS = 3  # times the activations of outputs: the gradient has a graph of its own

log = logging.getLogger(__name__)


def joint(
    cfg: DictConfig, *, members: int, engine: Choice = "auto", chunk: int | None = None
) -> Train:
    """Members `seed` to `seed` + `members` − 1, together.

    Args:
        cfg: the job's config.
        members: how many.
        engine: `loop`, one after another; `vmap`, stacked; `auto`, vmap on CUDA if the network and
            the config let it, else loop, which is faster on a CPU.
        chunk: how many are in memory at once beyond their weights; None for as many as fit. It
            changes nothing but memory and time.

    Raises UserError for what cannot be trained together, before anything is written.
    """
    seeds = config.seeds(cfg)
    _check_options(cfg, engine, chunk)
    repulsion = _checked_repulsion(cfg, members)
    data: JointData = instantiate(
        cfg.data, _target_="chromatic_descent.data.JointData", seeds=seeds
    )
    if repulsion is not None:
        repulsion.make_pool(data)
    first = build_module(cfg, data)
    shape = (data.channels, *data.image_size)
    device = resolve_device(cfg.trainer.accelerator)
    chosen = _choose(cfg, engine, first, shape, device)
    points = 0 if repulsion is None else repulsion.batch_size
    points *= _INPUT_GRADIENTS if repulsion is not None and repulsion.of != "outputs" else 1
    need = needs(first.network, shape, data.batch_size, points, stacked=chosen == "vmap")
    chunk = fit(need, members, chunk, available(device))
    return functools.partial(
        _train_together, cfg, data, engine=chosen, chunk=chunk, repulsion=repulsion
    )


def _train_together(
    cfg: DictConfig,
    data: JointData,
    members: Sequence[Member],
    left: Sequence[Member],
    identity: dict[str, Any],
    *,
    engine: Engine,
    chunk: int,
    repulsion: Repulsion | None,
) -> None:
    """Train members from their common checkpoint if there is one, and write what is `left`."""
    prepare_process(cfg)
    names = [member.name for member in members]
    module = JointClassifier(
        [build_module(cfg, data, seed) for seed in data.seeds],
        names,
        engine=engine,
        chunk=chunk,
        repulsion=repulsion,
    )
    trainer = build_trainer(cfg, members)
    checkpoint = members[0].joint_checkpoint
    continued = checkpoint.exists()
    log.info("%s to %s, engine %s, %d at a time", names[0], names[-1], engine, chunk)
    started = time.perf_counter()
    trainer.fit(module, data, ckpt_path=checkpoint if continued else None, weights_only=True)
    seconds = (time.perf_counter() - started) / len(members)  # a member's share
    failed: list[Exception] = []
    for member, classifier, seed in zip(members, module.classifiers, data.seeds, strict=True):
        if member not in left:
            continue
        try:
            _record(cfg, member, classifier, seed, data, trainer, identity, seconds, continued)
        except Exception as error:  # the others' artefacts are still to be written
            member.write_failure(error)
            failed.append(error)
    for other in failed[1:]:
        log.error("%s", other)
    if failed:
        raise failed[0]


def _record(
    cfg: DictConfig,
    member: Member,
    classifier: Classifier,
    seed: int,
    data: JointData,
    trainer: Trainer,
    identity: dict[str, Any],
    seconds: float,
    continued: bool,
) -> None:
    """Write a trained member's checkpoint, then its probe artefact."""
    along = [c for c in _callbacks(trainer) if isinstance(c, RecordTrajectories)]
    trajectory = along[0].records[member.name].trajectory if along else None
    started = time.perf_counter()
    _save_weights(classifier, trainer, member)
    result = record_member(
        classifier,
        data,
        trainer,
        Identity(member.name, seed, identity),
        tta=cfg.probe.tta,
        wall_time={"train": seconds},
        trajectory=trajectory,
    )
    result.record["wall_time"]["record"] = time.perf_counter() - started
    result.record["continued"] = continued
    result.record["together"] = list(data.seeds)
    probe_logits.save(member.artefact, result)
    accuracy, images = result.record["accuracy"], len(result.labels)
    log.info(
        "%s: accuracy %.4f on %d probe images, its share of training %.1f s",
        *(member.name, accuracy, images, seconds),
    )


def _save_weights(classifier: Classifier, trainer: Trainer, member: Member) -> None:
    """Write what a member's own checkpoint has of its network; what goes on is joint.ckpt."""
    # clones: a view would be saved with the whole stack it looks into
    weights = {name: value.detach().clone() for name, value in classifier.state_dict().items()}
    checkpoint = {
        "epoch": trainer.current_epoch,
        "global_step": trainer.global_step // len(trainer.optimizers),
        "pytorch-lightning_version": lightning.__version__,
        "state_dict": weights,
    }
    AtomicCheckpointIO().save_checkpoint(checkpoint, member.checkpoint)


def build_trainer(cfg: DictConfig, members: Sequence[Member]) -> Trainer:
    """Lightning's trainer, at home with the first member; each has its own loggers."""
    first, names = members[0], [member.name for member in members]
    callbacks = [every_epoch(first.joint_checkpoint), *instantiate(cfg.callbacks).values()]
    if cfg.probe.every:
        callbacks.append(RecordTrajectories(names, cfg.probe.every, cfg.probe.tta))
    if cfg.trainer.enable_progress_bar:
        callbacks.append(MemberProgress(f"{names[0]} to {names[-1]}"))
    loggers = {
        member.name: member_loggers(cfg, member, seed)
        for member, seed in zip(members, config.seeds(cfg), strict=True)
    }
    return make_trainer(cfg, first, callbacks, [MemberLoggers(loggers)] if loggers else [])


def _check_options(cfg: DictConfig, engine: str, chunk: object) -> None:
    """Raise UserError for options that are wrong, or that members trained together lack."""
    if cfg.data._target_ != "chromatic_descent.data.ImageData":
        raise UserError(
            f"data._target_={cfg.data._target_}: population=joint deals out this project's own "
            "data module to its members; use population=solo. (A data set of your own is no "
            "obstacle: data.source._target_.)"
        )
    if engine not in get_args(Choice):
        raise UserError(
            f"population.engine={engine}: expected one of {', '.join(get_args(Choice))}."
        )
    if chunk is not None and (isinstance(chunk, bool) or not isinstance(chunk, int) or chunk < 1):
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


def _checked_repulsion(cfg: DictConfig, members: int) -> Repulsion | None:
    repulsion = from_config(cfg.repulsion)
    if repulsion is None:
        return None
    if not repulsion.joint:
        raise UserError(
            "This repulsion is only against members that are already trained, and population=joint "
            "trains all at once: use population=solo, or a term whose option has joint: true "
            "(logit_mse, rbf, hellinger, kl, ...)."
        )
    if repulsion.wanted != Wanted(STUDY, None, repulsion.wanted.choose):
        raise UserError(
            f"repulsion.references={dict(repulsion.references)}: members trained together are "
            "repelled from each other and from nobody else. Leave it out, or use population=solo."
        )
    if members == 1:
        raise UserError(
            "population.members=1 leaves nobody to be pushed away from: ask for 2 or more, or "
            "repulsion=none."
        )
    return repulsion


def _choose(
    cfg: DictConfig,
    engine: Choice,
    module: Classifier,
    shape: Sequence[int],
    device: torch.device,
) -> Engine:
    """The engine that is asked for, or the faster one that can train this network."""
    if engine == "loop" or (engine == "auto" and device.type != "cuda"):
        return "loop"
    half = resolve_precision(cfg.trainer.precision, cfg.trainer.accelerator) == "bf16-mixed"
    reason = "compile=true" if cfg.compile else refuses_vmap(module.network, shape, half)
    if reason is None:
        return "vmap"
    if engine == "vmap":
        raise UserError(
            f"population.engine=vmap cannot train this network as it would be trained alone "
            f"({reason}). Use population.engine=loop."
        )
    log.info("population.engine=auto: loop, since vmap cannot train this network (%s)", reason)
    return "loop"


def _callbacks(trainer: Trainer) -> list[lightning.Callback]:
    return trainer.callbacks  # type: ignore[attr-defined, no-any-return]
