"""How the members of one job are trained: `population=solo` trains one, from its seed.

An option of `configs/population/` is a function of the config. It raises UserError where the config
asks for what cannot be trained, and returns a `Train`, which does it; see `train.run_members`.
"""

import functools
import logging
import time
import warnings
from collections.abc import Sequence
from typing import Any, Protocol

import torch
from lightning import Callback, Trainer
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.pytorch.loggers import Logger
from omegaconf import DictConfig
from torch import nn

from chromatic_descent import probe_logits
from chromatic_descent.config import identity, instantiate
from chromatic_descent.data import ImageData
from chromatic_descent.data.augment import generator
from chromatic_descent.errors import UserError
from chromatic_descent.probe_logits.identity import Identity
from chromatic_descent.study import Member
from chromatic_descent.training.checkpoint import AtomicCheckpointIO, every_epoch
from chromatic_descent.training.hardware import keep_freed_memory, resolve_precision, use_threads
from chromatic_descent.training.module import Classifier
from chromatic_descent.training.progress import MemberProgress
from chromatic_descent.training.record import (
    RecordTrajectory,
    record_member,
    recorded_trajectory,
)
from chromatic_descent.training.repulsion import sequential

# What training and recording ask of a data module, besides its training batches.
_OF_DATA = (
    *("images", "channels", "image_size", "batch_size", "mean", "std"),
    *("probe", "slices", "evaluation_batches"),
)

log = logging.getLogger(__name__)


class Train(Protocol):
    """Trains a job's members and writes the probe artefacts of those that are `left`."""

    def __call__(
        self, members: Sequence[Member], left: Sequence[Member], identity: dict[str, Any]
    ) -> None:
        """Begin or go on, whichever the members' checkpoints say."""
        ...


def solo(cfg: DictConfig) -> Train:
    """One member, that of `seed`."""
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
    build = functools.partial(build_network, cfg, data)
    repel, references = sequential.plan(cfg, member, identity, data, build)
    trainer = build_trainer(cfg, member, repel)
    checkpoint = member.checkpoint if member.checkpoint.exists() else None
    started = time.perf_counter()
    trainer.fit(module, data, ckpt_path=checkpoint, weights_only=True)
    trained = time.perf_counter()
    result = record_member(
        module,
        data,
        trainer,
        Identity(member.name, cfg.seed, identity),
        tta=cfg.probe.tta,
        wall_time={"train": trained - started},
        trajectory=recorded_trajectory(trainer),
    )
    result.record["wall_time"]["record"] = time.perf_counter() - trained
    result.record["continued"] = checkpoint is not None
    if references is not None:
        result.record["references"] = references
    probe_logits.save(member.artefact, result)
    accuracy, images = result.record["accuracy"], len(result.labels)
    log.info(
        "%s: accuracy %.4f on %d probe images, trained in %.1f s",
        *(member.name, accuracy, images, trained - started),
    )


def check_data(cfg: DictConfig, data: object) -> None:
    """Raise UserError if a data module of the user's own lacks something that is needed of it."""
    if isinstance(data, ImageData):
        return
    if missing := [name for name in _OF_DATA if not hasattr(data, name)]:
        raise UserError(
            f"data._target_={cfg.data._target_} lacks {', '.join(missing)}: see docs/extending.md."
        )
    if cfg.repulsion.get("term") is not None:
        raise UserError(
            f"data._target_={cfg.data._target_}: repulsion takes its points from this project's "
            "own data module. Derive yours from chromatic_descent.data.ImageData, or leave "
            "repulsion out."
        )


def build_module(cfg: DictConfig, data: ImageData, seed: int | None = None) -> Classifier:
    """The network, initialised from `seed` (None: the config's) alone, and what trains it."""
    seed = cfg.seed if seed is None else seed
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(generator(seed, 0).initial_seed())
        network = build_network(cfg, data)
    return Classifier(
        network,
        instantiate(cfg.optim.optimizer),
        lr_scale=cfg.lr_scale,
        schedule=cfg.optim.schedule,
        warmup=cfg.optim.warmup,
        label_smoothing=cfg.label_smoothing,
        seed=seed,
        compile_network=cfg.compile,
    )


def build_network(cfg: DictConfig, data: ImageData) -> nn.Module:
    """The config's network for these images, initialised from torch's global generator."""
    network: nn.Module = instantiate(
        cfg.model,
        in_channels=data.channels,
        num_classes=len(data.images.classes),
        image_size=data.image_size,
    )
    return network


def build_trainer(cfg: DictConfig, member: Member, further: Sequence[Callback] = ()) -> Trainer:
    """Lightning's trainer with the member's checkpoint, loggers, callbacks and precision."""
    callbacks = [every_epoch(member.checkpoint), *instantiate(cfg.callbacks).values()]
    if cfg.probe.every:
        callbacks.append(RecordTrajectory(cfg.probe.every, cfg.probe.tta))
    callbacks.extend(further)
    if cfg.trainer.enable_progress_bar:
        callbacks.append(MemberProgress(member.name))
    return make_trainer(cfg, member, callbacks, member_loggers(cfg, member, cfg.seed))


def make_trainer(
    cfg: DictConfig, member: Member, callbacks: list[Callback], loggers: list[Logger]
) -> Trainer:
    """Lightning's trainer as the config says, at home in the member's folder."""
    return instantiate(  # type: ignore[no-any-return]
        cfg.trainer,
        precision=resolve_precision(cfg.trainer.precision, cfg.trainer.accelerator),
        callbacks=callbacks,
        logger=loggers,
        plugins=[AtomicCheckpointIO(), _alone()],
        default_root_dir=member.folder,
    )


def _alone() -> LightningEnvironment:
    """A job is a world of its own, whatever SLURM's or torchrun's variables say.

    Else each but the first of a cluster job's tasks would write nothing, and Lightning's requeueing
    would leave checkpoints within an epoch, from which no run ends bit for bit as it would have.
    """
    environment = LightningEnvironment()
    environment.set_global_rank(0)
    return environment


def member_loggers(cfg: DictConfig, member: Member, seed: int) -> list[Logger]:
    """The loggers of the config, writing in the member's folder, told what the member is."""
    loggers: list[Logger] = [
        make(save_dir=member.folder) for make in instantiate(cfg.logger).values()
    ]
    for logger in loggers:
        logger.log_hyperparams({"seed": seed, **identity(cfg)})
    return loggers


def prepare_process(cfg: DictConfig) -> None:
    """Set torch's threads and the process's memory; make Lightning quiet."""
    keep_freed_memory()
    use_threads(cfg.threads)
    # deterministic=True would also fill each new tensor with NaN, which only costs time.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    _quieten_lightning()


def _quieten_lightning() -> None:
    """Drop what Lightning says at every start and does not concern members trained in turn."""
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for harmless in (
        "Checkpoint directory .* exists and is not empty",  # a continued member's holds its own
        "The number of training batches .* is smaller than the logging interval",
        "`isinstance.treespec, LeafSpec.` is deprecated",  # Lightning's own, with recent torch
        ".*Starting from v1.9.0, `tensorboardX` has been removed",
    ):
        warnings.filterwarnings("ignore", message=harmless)
