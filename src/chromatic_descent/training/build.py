"""The process, the module and the trainer that a config asks for, for one member or several."""

import logging
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from lightning import Callback, Trainer
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import Logger
from omegaconf import DictConfig
from torch import nn

from chromatic_descent.config import identity, instantiate
from chromatic_descent.data import ImageData
from chromatic_descent.data.streams import Stream, stream
from chromatic_descent.errors import UserError
from chromatic_descent.study import Member
from chromatic_descent.training.checkpoint import AtomicCheckpointIO
from chromatic_descent.training.hardware import keep_freed_memory, resolve_precision, use_threads
from chromatic_descent.training.module import Classifier
from chromatic_descent.training.progress import MemberProgress

# The attributes of a data module that training and recording need, besides its training batches.
_NEEDED = (
    *("images", "channels", "image_size", "batch_size", "mean", "std"),
    *("probe", "slices", "evaluation_batches"),
)


def prepare_process(cfg: DictConfig) -> None:
    """Set torch's threads and the process's memory; make Lightning quiet."""
    keep_freed_memory()
    use_threads(cfg.threads)
    # deterministic=True would also fill new tensors with NaN, which only costs time.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for harmless in (
        "Checkpoint directory .* exists and is not empty",  # of a continued member
        "The number of training batches .* is smaller than the logging interval",
        "`isinstance.treespec, LeafSpec.` is deprecated",  # raised by Lightning with recent torch
        ".*Starting from v1.9.0, `tensorboardX` has been removed",
    ):
        warnings.filterwarnings("ignore", message=harmless)


def check_data(cfg: DictConfig, data: object) -> None:
    """Raise UserError if a user-supplied data module lacks attributes that training needs."""
    if isinstance(data, ImageData):
        return
    if missing := [name for name in _NEEDED if not hasattr(data, name)]:
        raise UserError(
            f"data._target_={cfg.data._target_} lacks {', '.join(missing)}: see docs/extending.md."
        )
    if cfg.repulsion.get("term") is not None:
        raise UserError(
            f"data._target_={cfg.data._target_}: repulsion takes its points from this project's "
            "own data module. Derive yours from chromatic_descent.data.ImageData, or use "
            "repulsion=none."
        )


def build_module(cfg: DictConfig, data: ImageData, seed: int | None = None) -> Classifier:
    """The network, initialised from `seed` alone (None: the config's), and its training options."""
    seed = cfg.seed if seed is None else seed
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(stream(Stream.INITIALISATION, seed).initial_seed())
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
    return instantiate(  # type: ignore[no-any-return]
        cfg.model,
        in_channels=data.channels,
        num_classes=len(data.images.classes),
        image_size=data.image_size,
    )


def make_trainer(
    cfg: DictConfig,
    name: str,
    checkpoint: Path,
    trajectory: Callable[[int, bool], Callback],
    loggers: list[Logger],
    further: Sequence[Callback] = (),
) -> Trainer:
    """Lightning's trainer with the config's options and callbacks, and with `further` callbacks.

    The progress bar shows `name`, and each epoch's checkpoint replaces `checkpoint`. `trajectory`
    makes the callback for `probe.every` epochs and `probe.tta`.
    """
    latest = ModelCheckpoint(
        dirpath=checkpoint.parent,
        filename=checkpoint.stem,
        every_n_epochs=1,
        save_on_train_epoch_end=True,
        enable_version_counter=False,
    )
    # Each job is the only one, whatever SLURM or torchrun has set. Otherwise only the first task of
    # a cluster job would write anything, and Lightning would requeue jobs from checkpoints within
    # an epoch, after which a member would end with different bits.
    alone = LightningEnvironment()
    alone.set_global_rank(0)
    callbacks = [latest, *instantiate(cfg.callbacks).values()]
    if cfg.probe.every:
        callbacks.append(trajectory(cfg.probe.every, cfg.probe.tta))
    callbacks.extend(further)
    if cfg.trainer.enable_progress_bar:
        callbacks.append(MemberProgress(name))
    return instantiate(  # type: ignore[no-any-return]
        cfg.trainer,
        precision=resolve_precision(cfg.trainer.precision, cfg.trainer.accelerator),
        callbacks=callbacks,
        logger=loggers,
        plugins=[AtomicCheckpointIO(), alone],
        default_root_dir=checkpoint.parents[1],  # the member's folder
    )


def member_loggers(cfg: DictConfig, member: Member, seed: int) -> list[Logger]:
    """The config's loggers for the member's folder, which have logged its hyperparameters."""
    makers = instantiate(cfg.logger).values()
    loggers: list[Logger] = [make(save_dir=member.folder) for make in makers]
    for logger in loggers:
        logger.log_hyperparams({"seed": seed, **identity(cfg)})
    return loggers
