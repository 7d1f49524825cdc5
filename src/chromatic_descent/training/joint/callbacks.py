"""Loggers and recorded trajectories of members trained together."""

from argparse import Namespace
from collections.abc import Mapping, Sequence
from typing import Any

import lightning
from lightning import Trainer
from lightning.pytorch.loggers import Logger

from chromatic_descent.probe_logits import Trajectory
from chromatic_descent.training.joint.module import JointClassifier
from chromatic_descent.training.record import RecordTrajectory


class MemberLoggers(Logger):
    """Passes each member's metrics to the member's own loggers.

    `SEED_0003/train/loss` goes to the loggers of SEED_0003, as `train/loss`; a metric without a
    member's name, like `epoch`, goes to all loggers.
    """

    def __init__(self, loggers: Mapping[str, Sequence[Logger]]):
        super().__init__()
        self.loggers = loggers
        self._all = [logger for each in loggers.values() for logger in each]

    @property
    def name(self) -> str:
        """Part of Lightning's protocol for loggers."""
        return "joint"

    @property
    def version(self) -> str:
        """Part of Lightning's protocol for loggers."""
        return ""

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        """Log each metric with the loggers of its member."""
        for name, loggers in self.loggers.items():
            others = self.loggers.keys() - {name}
            own = {
                key.removeprefix(f"{name}/"): value
                for key, value in metrics.items()
                if key.partition("/")[0] not in others
            }
            for logger in loggers:
                logger.log_metrics(own, step)

    def log_hyperparams(
        self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any
    ) -> None:
        """Log hyperparameters with every member's loggers."""
        for logger in self._all:
            logger.log_hyperparams(params, *args, **kwargs)

    def save(self) -> None:
        """Write buffered metrics."""
        for logger in self._all:
            logger.save()

    def finalize(self, status: str) -> None:
        """End each member's log."""
        for logger in self._all:
            logger.finalize(status)


class RecordTrajectories(lightning.Callback):
    """A `RecordTrajectory` for each of the members trained together."""

    def __init__(self, names: Sequence[str], every: int, tta: bool):
        self.records = {name: RecordTrajectory(every, tta) for name in names}

    def trajectory_of(self, member: str) -> Trajectory:
        """The member's recorded logits [T, N, C] after epochs [T]."""
        return self.records[member].trajectory_of(member)

    def on_train_start(self, trainer: Trainer, pl_module: lightning.LightningModule) -> None:
        """Record the untrained networks."""
        for record, member in self._members(pl_module):
            record.on_train_start(trainer, member)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: lightning.LightningModule) -> None:
        """Record after every `every` epochs; Lightning writes the checkpoint after this."""
        for record, member in self._members(pl_module):
            record.on_train_epoch_end(trainer, member)

    def state_dict(self) -> dict[str, Any]:
        """The state that a checkpoint keeps."""
        return {name: record.state_dict() for name, record in self.records.items()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from a checkpoint's state."""
        for name, record in self.records.items():
            record.load_state_dict(state_dict[name])

    def _members(self, module: lightning.LightningModule) -> Any:
        assert isinstance(module, JointClassifier)
        return zip(self.records.values(), module.classifiers, strict=True)
