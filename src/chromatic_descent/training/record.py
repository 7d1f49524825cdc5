"""Recording: a trained network's logits on the probe, as a probe artefact."""

import logging
import time
from datetime import UTC, datetime
from typing import Any

import lightning
import numpy as np
import torch
from lightning import Trainer
from torch import Tensor

from chromatic_descent import probe_logits
from chromatic_descent.data import ImageData, ProbeSlice
from chromatic_descent.errors import UserError, is_whole
from chromatic_descent.probe_logits import ProbeLogits, ProbeSliceLogits, Trajectory
from chromatic_descent.probe_logits.identity import Identity
from chromatic_descent.probe_logits.record import SCHEMA_VERSION
from chromatic_descent.study import Member
from chromatic_descent.training.hardware import describe_hardware, describe_versions
from chromatic_descent.training.module import Classifier

log = logging.getLogger(__name__)


class RecordTrajectory(lightning.Callback):
    """Records the probe along training: untrained, and after every `every` epochs.

    Checkpoints keep the recorded logits, so that a continued member has them. Recording neither
    draws random numbers nor changes the network: the member ends the same without it.
    """

    def __init__(self, every: int, tta: bool):
        if not is_whole(every, 1):
            raise UserError(f"probe.every={every}: expected a number of epochs, or 0 for none.")
        self.every, self.tta = every, tta
        self._logits: list[Tensor] = []  # [N, C] each
        self._epochs: list[int] = []

    def trajectory_of(self, member: str) -> Trajectory:
        """The member's recorded logits [T, N, C] after epochs [T]."""
        return Trajectory(torch.stack(self._logits).numpy(), np.array(self._epochs, dtype=np.int64))

    def on_train_start(self, trainer: Trainer, pl_module: lightning.LightningModule) -> None:
        """Record the untrained network."""
        if not self._epochs:
            self._record(trainer, pl_module, 0)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: lightning.LightningModule) -> None:
        """Record after every `every` epochs; Lightning writes the checkpoint after this."""
        trained = trainer.current_epoch + 1
        if trained % self.every == 0:
            self._record(trainer, pl_module, trained)

    def state_dict(self) -> dict[str, Any]:
        """The state that a checkpoint keeps."""
        return {"logits": list(self._logits), "epochs": list(self._epochs)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from a checkpoint's state."""
        self._logits, self._epochs = state_dict["logits"], state_dict["epochs"]

    def _record(self, trainer: Trainer, module: lightning.LightningModule, epoch: int) -> None:
        assert isinstance(module, Classifier)
        data: ImageData = trainer.datamodule  # type: ignore[attr-defined]
        outputs = slice_logits(module, data, data.probe, trainer, self.tta).logits
        module.network.train()
        self._logits.append(torch.from_numpy(outputs))
        self._epochs.append(epoch)


@torch.inference_mode()
def slice_logits(
    module: Classifier, data: ImageData, part: ProbeSlice, trainer: Trainer, tta: bool
) -> ProbeSliceLogits:
    """The network's logits on one probe slice [N, classes], in evaluation mode.

    Images are only normalised, and pass in the precision of training. `tta` averages the logits of
    each image and its mirror image.
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
    identity: Identity,
    *,
    tta: bool,
    seconds: float = 0.0,
) -> ProbeLogits:
    """Record a member, trained in `seconds`, on every probe slice; for `tta` see `slice_logits`."""
    started = time.perf_counter()
    recorded = {
        p.name: slice_logits(module, data, p, trainer, tta) for p in [data.probe, *data.slices]
    }
    probe = recorded.pop(data.probe.name)
    record = {
        "schema_version": SCHEMA_VERSION,
        **identity.record(),
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
        "wall_time": {"train": seconds, "record": time.perf_counter() - started},
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    callbacks: list[Any] = trainer.callbacks  # type: ignore[attr-defined]
    along = [c.trajectory_of(identity.name) for c in callbacks if hasattr(c, "trajectory_of")]
    trajectory = along[0] if along else None
    return ProbeLogits(probe.logits, probe.labels, probe.indices, record, recorded, trajectory)


def save_member(
    member: Member, result: ProbeLogits, *, time_spent: str = "trained in", **further: Any
) -> None:
    """Write a member's probe artefact, with further entries of its record, and log the accuracy."""
    result.record.update(further)
    probe_logits.save(member.artefact, result)
    accuracy, seconds = result.record["accuracy"], result.record["wall_time"]["train"]
    values = member.name, accuracy, len(result.labels), time_spent, seconds
    log.info("%s: accuracy %.4f on %d probe images, %s %.1f s", *values)
