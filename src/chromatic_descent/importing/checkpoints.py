"""Networks trained elsewhere, from their weights: recorded on the probe as members trained here."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig
from torch import Tensor, nn

from chromatic_descent import config
from chromatic_descent.config import instantiate
from chromatic_descent.data import ImageData
from chromatic_descent.errors import UserError
from chromatic_descent.import_members import imported_record
from chromatic_descent.model import ByName
from chromatic_descent.probe_logits import ProbeLogits
from chromatic_descent.probe_logits.identity import Identity
from chromatic_descent.training.build import build_module, check_data, prepare_process
from chromatic_descent.training.checkpoint import AtomicCheckpointIO
from chromatic_descent.training.hardware import resolve_precision
from chromatic_descent.training.record import record_member

_KNOWN = ("model", "data", "probe")  # what of the config is true of a network trained elsewhere
_PREFIXES = ("network.", "module.", "model.")  # of Lightning's, DataParallel's and other wrappers


def from_checkpoints(cfg: DictConfig, files: Sequence[Path]) -> list[ProbeLogits]:
    """Load each file's weights into the config's model and record it on the config's probe.

    Raises UserError if a file is no checkpoint, needs unpickling, or is not of this model.
    """
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
    made = []
    for place, file in enumerate(files):
        module = build_module(cfg, data)
        load_weights(module.network, file)
        record = imported_record(cfg, place, file, known)
        recorded = record_member(
            module,
            data,
            trainer,
            Identity(record["member"], record["seed"], record["config"]),
            tta=cfg.probe.tta,
        )
        recorded.record.update(record)
        made.append(recorded)
    return made


def load_weights(network: nn.Module, file: Path) -> None:
    """Load a checkpoint's weights: a state dict, by itself or under `state_dict` or `model`."""
    found: Any = AtomicCheckpointIO().load_checkpoint(file)
    for key in ("state_dict", "model"):
        if isinstance(found, Mapping) and isinstance(found.get(key), Mapping):
            found = found[key]
    if not isinstance(found, Mapping) or not all(isinstance(v, Tensor) for v in found.values()):
        raise UserError(f"{file} holds no state dict: expected names with tensors.")
    weights = dict(found)
    for prefix in _PREFIXES:
        if weights and all(key.startswith(prefix) for key in weights):
            weights = {key.removeprefix(prefix): value for key, value in weights.items()}
    if isinstance(network, ByName) and not any(key.startswith("body.") for key in weights):
        network = network.body  # as its own library saves it
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        raise UserError(
            f"{file} is not of this model: {' '.join(str(error).split())[:300]}. Name it with "
            "model=, with all its options."
        ) from error
