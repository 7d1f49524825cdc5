"""The progress bar: member, epoch, accuracy so far, and the time left."""

import sys
from typing import Any

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import ProgressBar
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from chromatic_descent.launch import launchers


class MemberProgress(ProgressBar):
    """One line per job on a terminal; none in a file, in a pipe, or in a parallel sweep.

    Args:
        name: of the member, or of the members trained together.
        every: steps between updates; each reads the accuracy off the device.
    """

    def __init__(self, name: str, every: int = 10):
        super().__init__()
        self.name, self.every = name, every
        self._progress: Progress | None = None

    def disable(self) -> None:
        """Part of Lightning's protocol for progress bars."""

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draw the bar, from the step at which a continued run starts."""
        if launchers.in_parallel() or not sys.stderr.isatty():
            return
        self._progress = Progress(
            TextColumn("[bold]{task.description}"),
            TextColumn("epoch {task.fields[epoch]}"),
            BarColumn(),
            TextColumn("accuracy {task.fields[accuracy]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
        )
        self._progress.add_task(
            self.name,
            total=trainer.estimated_stepping_batches,
            completed=self._step(trainer),
            epoch=self._epoch(trainer),
            accuracy="–",
        )
        self._progress.start()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Move the bar, every few steps."""
        step = self._step(trainer)
        if self._progress is not None and step % self.every == 0:
            accuracy = pl_module.running_metrics()["train/accuracy"]  # type: ignore[operator]
            self._progress.update(
                self._progress.task_ids[0],
                completed=step,
                epoch=self._epoch(trainer),
                accuracy=f"{accuracy:.3f}",
            )

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Leave the line as it is."""
        if self._progress is not None:
            self._progress.stop()
            self._progress = None

    def on_exception(
        self, trainer: Trainer, pl_module: LightningModule, exception: BaseException
    ) -> None:
        """Restore the terminal: Lightning calls no teardown after an error or an interruption."""
        self.teardown(trainer, pl_module, "fit")

    @staticmethod
    def _step(trainer: Trainer) -> int:
        return trainer.global_step // len(trainer.optimizers)  # Lightning sums over optimisers

    @staticmethod
    def _epoch(trainer: Trainer) -> str:
        return f"{trainer.current_epoch + 1}/{trainer.max_epochs}"
