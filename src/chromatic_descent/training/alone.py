"""One member trained alone, from its seed: `population=solo`.

An option of `configs/population/` is a function that takes the config and returns a `Train`; it
raises UserError if the config cannot be trained. See `train.run_members`.
"""

import functools
import time
from collections.abc import Callable, Sequence
from typing import Any

from lightning import Callback, Trainer
from omegaconf import DictConfig

from chromatic_descent.config import instantiate
from chromatic_descent.data import ImageData
from chromatic_descent.probe_logits.identity import Identity
from chromatic_descent.study import Member
from chromatic_descent.training import build
from chromatic_descent.training.record import RecordTrajectory, record_member, save_member
from chromatic_descent.training.repulsion import sequential

# (members, unfinished members, config less the seed): trains a job's members, from a checkpoint if
# there is one, and writes the probe artefacts of the unfinished ones.
Train = Callable[[Sequence[Member], Sequence[Member], dict[str, Any]], None]


def solo(cfg: DictConfig) -> Train:
    """Train one member, from `seed`."""
    return functools.partial(_train_alone, cfg)


def _train_alone(
    cfg: DictConfig, members: Sequence[Member], _: Sequence[Member], identity: dict[str, Any]
) -> None:
    """Train one member, from its checkpoint if it has one, and write its probe artefact."""
    (member,) = members
    build.prepare_process(cfg)
    data: ImageData = instantiate(cfg.data, seed=cfg.seed)
    build.check_data(cfg, data)
    module = build.build_module(cfg, data)
    own = Identity(member.name, cfg.seed, identity)
    network = functools.partial(build.build_network, cfg, data)
    repel, references = sequential.plan(cfg, member, own, data, network)
    trainer = build_trainer(cfg, member, repel)
    checkpoint = member.checkpoint if member.checkpoint.exists() else None
    started = time.perf_counter()
    trainer.fit(module, data, ckpt_path=checkpoint, weights_only=True)
    seconds = time.perf_counter() - started
    result = record_member(module, data, trainer, own, tta=cfg.probe.tta, seconds=seconds)
    further: dict[str, Any] = {} if references is None else {"references": references}
    save_member(member, result, continued=checkpoint is not None, **further)


def build_trainer(cfg: DictConfig, member: Member, further: Sequence[Callback] = ()) -> Trainer:
    """Lightning's trainer for one member, with further callbacks."""
    name, checkpoint = member.name, member.checkpoint
    loggers = build.member_loggers(cfg, member, cfg.seed)
    return build.make_trainer(cfg, name, checkpoint, RecordTrajectory, loggers, further)
