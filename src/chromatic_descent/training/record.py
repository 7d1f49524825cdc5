"""Recording: a trained network's logits on the probe, as the probe artefact."""

from datetime import UTC, datetime
from typing import Any

import numpy as np
import torch
from lightning import Trainer
from torch import Tensor

from chromatic_descent.data import ImageData, ProbeSlice
from chromatic_descent.probe_logits import SCHEMA_VERSION, ProbeLogits, ProbeSliceLogits
from chromatic_descent.training.hardware import describe_hardware, describe_versions
from chromatic_descent.training.module import Classifier


@torch.inference_mode()
def slice_logits(
    module: Classifier, data: ImageData, part: ProbeSlice, trainer: Trainer, tta: bool
) -> ProbeSliceLogits:
    """The network's logits on one probe slice [N, classes], in evaluation mode.

    Images pass through the evaluation transform only, in the precision of training. With `tta`
    the logits are the mean of the image's and its mirror image's.
    """
    device = trainer.strategy.root_device
    network = module.network.to(device).eval()
    outputs: list[Tensor] = []
    with trainer.precision_plugin.forward_context():
        for images in data.evaluation_batches(part.images, device):
            logits = network(images)  # [B, classes]
            if tta:
                logits = (logits + network(images.flip(3))) / 2
            outputs.append(logits.float().cpu())
    return ProbeSliceLogits(torch.cat(outputs).numpy(), part.labels.numpy(), part.indices.numpy())


def record_member(
    module: Classifier,
    data: ImageData,
    trainer: Trainer,
    *,
    name: str,
    seed: int,
    config: dict[str, Any],
    config_hash: str,
    tta: bool,
    wall_time: dict[str, float],
) -> ProbeLogits:
    """Record a trained member on the probe and on every further slice, with its provenance."""
    recorded = {
        p.name: slice_logits(module, data, p, trainer, tta) for p in [data.probe, *data.slices]
    }
    probe = recorded.pop(data.probe.name)
    record = {
        "schema_version": SCHEMA_VERSION,
        "member": name,
        "seed": seed,
        "config": config,
        "config_hash": config_hash,
        "probe_hash": data.probe.hash(data.mean, data.std),
        "slice_hashes": {part.name: part.hash(data.mean, data.std) for part in data.slices},
        "dataset": {
            "name": data.images.name,
            "fingerprint": data.images.fingerprint,
            "classes": list(data.images.classes),
        },
        "accuracy": float(np.mean(probe.logits.argmax(1) == probe.labels)),
        "precision": str(trainer.precision),
        "versions": describe_versions(),
        "hardware": describe_hardware(trainer),
        "wall_time": wall_time,
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    return ProbeLogits(probe.logits, probe.labels, probe.indices, record, recorded)
