"""One member trained alone, from its seed: `population=solo`.

An option of `configs/population/` is a function of the config. It raises UserError where the config
asks for something that cannot be trained, and returns a `Train`; see `train.run_members`.
"""

import functools
import logging
import time
from collections.abc import Callable, Sequence
from typing import Any

from lightning import Callback, Trainer
from omegaconf import DictConfig

from chromatic_descent import probe_logits
from chromatic_descent.config import instantiate
from chromatic_descent.data import ImageData
from chromatic_descent.probe_logits.identity import Identity
from chromatic_descent.study import Member
from chromatic_descent.training.build import (
    build_module,
    build_network,
    check_data,
    make_trainer,
    member_loggers,
    prepare_process,
)
from chromatic_descent.training.checkpoint import every_epoch
from chromatic_descent.training.progress import MemberProgress
from chromatic_descent.training.record import RecordTrajectory, record_member, recorded_trajectory
from chromatic_descent.training.repulsion import sequential

log = logging.getLogger(__name__)


# Trains a job's members, from their checkpoints if there are any, and writes the probe artefacts of
# those that are left: (members, left, config less the seed).
Train = Callable[[Sequence[Member], Sequence[Member], dict[str, Any]], None]


def solo(cfg: DictConfig) -> Train:
    """The one member of `seed`."""
    return functools.partial(_train_alone, cfg)


def _train_alone(
    cfg: DictConfig, members: Sequence[Member], left: Sequence[Member], identity: dict[str, Any]
) -> None:
    """Train one member, from its checkpoint if it has one, and write its probe artefact."""
    (member,) = members
    prepare_process(cfg)
    data: ImageData = instantiate(cfg.data, seed=cfg.seed)
    check_data(cfg, data)
    module = build_module(cfg, data)
    own = Identity(member.name, cfg.seed, identity)
    build = functools.partial(build_network, cfg, data)
    repel, references = sequential.plan(cfg, member, own, data, build)
    trainer = build_trainer(cfg, member, repel)
    checkpoint = member.checkpoint if member.checkpoint.exists() else None
    started = time.perf_counter()
    trainer.fit(module, data, ckpt_path=checkpoint, weights_only=True)
    seconds = time.perf_counter() - started
    trajectory = recorded_trajectory(trainer)
    result = record_member(
        module, data, trainer, own, tta=cfg.probe.tta, seconds=seconds, trajectory=trajectory
    )
    result.record["continued"] = checkpoint is not None
    if references is not None:
        result.record["references"] = references
    probe_logits.save(member.artefact, result)
    accuracy, images = result.record["accuracy"], len(result.labels)
    log.info(
        "%s: accuracy %.4f on %d probe images, trained in %.1f s",
        *(member.name, accuracy, images, seconds),
    )


def build_trainer(cfg: DictConfig, member: Member, further: Sequence[Callback] = ()) -> Trainer:
    """Lightning's trainer with the member's checkpoint, loggers, callbacks and precision."""
    callbacks = [every_epoch(member.checkpoint), *instantiate(cfg.callbacks).values()]
    if cfg.probe.every:
        callbacks.append(RecordTrajectory(cfg.probe.every, cfg.probe.tta))
    callbacks.extend(further)
    if cfg.trainer.enable_progress_bar:
        callbacks.append(MemberProgress(member.name))
    return make_trainer(cfg, member, callbacks, member_loggers(cfg, member, cfg.seed))
