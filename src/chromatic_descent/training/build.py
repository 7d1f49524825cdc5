"""What both kinds of training build from a config: the process, the network, the trainer."""

import logging
import warnings

import torch
from lightning import Callback, Trainer
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
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

# What training and recording read from a data module, besides its training batches.
_OF_DATA = (
    *("images", "channels", "image_size", "batch_size", "mean", "std"),
    *("probe", "slices", "evaluation_batches"),
)


def prepare_process(cfg: DictConfig) -> None:
    """Set torch's threads and the process's memory; make Lightning quiet."""
    keep_freed_memory()
    use_threads(cfg.threads)
    # deterministic=True would also fill each new tensor with NaN, which only costs time.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for harmless in (
        "Checkpoint directory .* exists and is not empty",  # that of a continued member
        "The number of training batches .* is smaller than the logging interval",
        "`isinstance.treespec, LeafSpec.` is deprecated",  # raised by Lightning with recent torch
        ".*Starting from v1.9.0, `tensorboardX` has been removed",
    ):
        warnings.filterwarnings("ignore", message=harmless)


def check_data(cfg: DictConfig, data: object) -> None:
    """Raise UserError if a user-supplied data module lacks something that training needs."""
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
    """The network, drawn from `seed` (None: the config's) alone, and its training options."""
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
    network: nn.Module = instantiate(
        cfg.model,
        in_channels=data.channels,
        num_classes=len(data.images.classes),
        image_size=data.image_size,
    )
    return network


def make_trainer(
    cfg: DictConfig, member: Member, callbacks: list[Callback], loggers: list[Logger]
) -> Trainer:
    """Lightning's trainer with the config's options, rooted in the member's folder."""
    return instantiate(  # type: ignore[no-any-return]
        cfg.trainer,
        precision=resolve_precision(cfg.trainer.precision, cfg.trainer.accelerator),
        callbacks=callbacks,
        logger=loggers,
        plugins=[AtomicCheckpointIO(), _alone()],
        default_root_dir=member.folder,
    )


def member_loggers(cfg: DictConfig, member: Member, seed: int) -> list[Logger]:
    """The config's loggers, writing in the member's folder, with the member's hyperparameters."""
    loggers: list[Logger] = [
        make(save_dir=member.folder) for make in instantiate(cfg.logger).values()
    ]
    for logger in loggers:
        logger.log_hyperparams({"seed": seed, **identity(cfg)})
    return loggers


def _alone() -> LightningEnvironment:
    """An environment in which each job is the only one, whatever SLURM or torchrun has set.

    Otherwise only the first of a cluster job's tasks would write anything, and Lightning would
    requeue jobs from checkpoints within an epoch, after which a member would end with other bits.
    """
    environment = LightningEnvironment()
    environment.set_global_rank(0)
    return environment
