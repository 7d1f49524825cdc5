"""Networks trained elsewhere, from their weights: recorded on the probe as our own members are."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omegaconf import DictConfig
from torch import Tensor, nn

from chromatic_descent import config
from chromatic_descent.config import instantiate
from chromatic_descent.data import ImageData
from chromatic_descent.errors import UserError
from chromatic_descent.importing.arrays import existing_files, imported_record
from chromatic_descent.model import ByName
from chromatic_descent.probe_logits import ProbeLogits
from chromatic_descent.probe_logits.identity import Identity
from chromatic_descent.training.build import build_module, check_data, prepare_process
from chromatic_descent.training.checkpoint import AtomicCheckpointIO
from chromatic_descent.training.hardware import resolve_precision
from chromatic_descent.training.record import record_member

_KNOWN = ("model", "data", "probe")  # config keys that also hold for networks trained elsewhere
_PREFIXES = ("network.", "module.", "model.")  # of Lightning, DataParallel and other wrappers


def from_checkpoints(cfg: DictConfig) -> list[ProbeLogits]:
    """Load each file's weights into the config's model and record it on the config's probe.

    Raises UserError if a file is not a checkpoint, needs unpickling, or is of another model.
    """
    files = existing_files(cfg.checkpoint)
    prepare_process(cfg)
    data: ImageData = instantiate(cfg.data)
    check_data(cfg, data)
    trainer = instantiate(
        cfg.trainer,
        precision=resolve_precision(cfg.trainer.precision, cfg.trainer.accelerator),
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
    )
    known = {key: value for key, value in config.identity(cfg).items() if key in _KNOWN}
    members = []
    for position, file in enumerate(files):
        module = build_module(cfg, data)
        load_weights(module.network, file)
        record = imported_record(cfg, position, file, known)
        member = Identity(record["member"], record["seed"], record["config"])
        recorded = record_member(module, data, trainer, member, tta=cfg.probe.tta)
        recorded.record.update(record)
        members.append(recorded)
    return members


def load_weights(network: nn.Module, file: Path) -> None:
    """Load a checkpoint's weights: a state dict, by itself or under `state_dict` or `model`."""
    content: Any = AtomicCheckpointIO().load_checkpoint(file)
    for key in ("state_dict", "model"):
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    is_mapping = isinstance(content, Mapping)
    if not is_mapping or not all(isinstance(value, Tensor) for value in content.values()):
        raise UserError(f"{file} is not a state dict: expected names with tensors.")
    weights = dict(content)
    for prefix in _PREFIXES:
        if weights and all(key.startswith(prefix) for key in weights):
            weights = {key.removeprefix(prefix): value for key, value in weights.items()}
    if isinstance(network, ByName) and not any(key.startswith("body.") for key in weights):
        network = network.body  # the state dict is as the network's own library saves it
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        raise UserError(
            f"{file} does not fit the model: {' '.join(str(error).split())[:300]}. Name it with "
            "model=, with all its options."
        ) from error
