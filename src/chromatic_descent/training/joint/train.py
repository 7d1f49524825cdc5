"""Training several members together, and recording each of them.

Each member is initialised, sees its batches and takes its steps exactly as it would alone, and
leaves the same files. What joint training adds is repulsion between all members at each step; see
`module`.
"""

import functools
import logging
import time
from collections.abc import Sequence
from typing import Any

import lightning
from lightning import Trainer
from omegaconf import DictConfig

from chromatic_descent import config, probe_logits
from chromatic_descent.config import instantiate
from chromatic_descent.data import JointData
from chromatic_descent.probe_logits.identity import Identity
from chromatic_descent.study import Member
from chromatic_descent.training.alone import Train
from chromatic_descent.training.build import (
    build_module,
    make_trainer,
    member_loggers,
    prepare_process,
)
from chromatic_descent.training.checkpoint import AtomicCheckpointIO, every_epoch
from chromatic_descent.training.hardware import resolve_device
from chromatic_descent.training.joint.callbacks import MemberLoggers, RecordTrajectories
from chromatic_descent.training.joint.checks import (
    Choice,
    check_options,
    checked_repulsion,
    choose_engine,
)
from chromatic_descent.training.joint.memory import available, fit, needs
from chromatic_descent.training.joint.module import Engine, JointClassifier
from chromatic_descent.training.module import Classifier
from chromatic_descent.training.progress import MemberProgress
from chromatic_descent.training.record import record_member
from chromatic_descent.training.repulsion import Repulsion

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
            the config allow it, otherwise loop, which is faster on a CPU.
        chunk: how many have activations in memory at once; None for as many as fit. It changes
            memory and time only.

    Raises UserError for what cannot be trained together, before anything is written.
    """
    seeds = config.seeds(cfg)
    check_options(cfg, engine, chunk)
    repulsion = checked_repulsion(cfg, members)
    data: JointData = instantiate(
        cfg.data, _target_="chromatic_descent.data.JointData", seeds=seeds
    )
    if repulsion is not None:
        repulsion.make_pool(data)
    network = build_module(cfg, data).network
    shape = (data.channels, *data.image_size)
    device = resolve_device(cfg.trainer.accelerator)
    chosen = choose_engine(cfg, engine, network, shape, device)
    points = 0 if repulsion is None else repulsion.batch_size
    points *= _INPUT_GRADIENTS if repulsion is not None and repulsion.of != "outputs" else 1
    need = needs(network, shape, data.batch_size, points, stacked=chosen == "vmap")
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
    """Train members from their common checkpoint if there is one, and record those `left`."""
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
        own = Identity(member.name, seed, identity)
        try:
            _record(member, classifier, trainer, own, cfg.probe.tta, seconds, continued)
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
    continued: bool,
) -> None:
    """Write a trained member's checkpoint, then its probe artefact."""
    callbacks: list[lightning.Callback] = trainer.callbacks  # type: ignore[attr-defined]
    along = [c.records[member.name] for c in callbacks if isinstance(c, RecordTrajectories)]
    trajectory = along[0].trajectory if along else None
    data: JointData = trainer.datamodule  # type: ignore[attr-defined]
    _save_weights(classifier, trainer, member)
    result = record_member(
        classifier, data, trainer, identity, tta=tta, seconds=seconds, trajectory=trajectory
    )
    result.record["continued"] = continued
    result.record["together"] = list(data.seeds)
    probe_logits.save(member.artefact, result)
    accuracy, images = result.record["accuracy"], len(result.labels)
    log.info(
        "%s: accuracy %.4f on %d probe images, its share of training %.1f s",
        *(member.name, accuracy, images, seconds),
    )


def _save_weights(classifier: Classifier, trainer: Trainer, member: Member) -> None:
    """Write a member's network as its own checkpoint; training continues from joint.ckpt."""
    # clones: saving a view would save the whole stack behind it
    weights = {name: value.detach().clone() for name, value in classifier.state_dict().items()}
    checkpoint = {
        "epoch": trainer.current_epoch,
        "global_step": trainer.global_step // len(trainer.optimizers),
        "pytorch-lightning_version": lightning.__version__,
        "state_dict": weights,
    }
    AtomicCheckpointIO().save_checkpoint(checkpoint, member.checkpoint)


def build_trainer(cfg: DictConfig, members: Sequence[Member]) -> Trainer:
    """Lightning's trainer, rooted in the first member's folder; each member has its own loggers."""
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
