"""The progress bar: member, epoch, accuracy so far, and the time left."""

import sys
from typing import Any

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import ProgressBar
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from chromatic_descent.launch import launchers

_EVERY = 10  # steps between updates; each reads the accuracy off the device


class MemberProgress(ProgressBar):
    """One line per job on a terminal, named `name`; none in a file, a pipe or a parallel sweep."""

    def __init__(self, name: str):
        super().__init__()
        self.name = name
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
        total, state = trainer.estimated_stepping_batches, self._state(trainer)
        self._progress.add_task(self.name, total=total, accuracy="–", **state)
        self._progress.start()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Update the bar every few steps."""
        state = self._state(trainer)
        if self._progress is not None and state["completed"] % _EVERY == 0:
            accuracy = pl_module.running_metrics()["train/accuracy"]  # type: ignore[operator]
            task = self._progress.task_ids[0]
            self._progress.update(task, accuracy=f"{accuracy:.3f}", **state)

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Stop the bar and leave its last line."""
        if self._progress is not None:
            self._progress.stop()
            self._progress = None

    def on_exception(
        self, trainer: Trainer, pl_module: LightningModule, exception: BaseException
    ) -> None:
        """Restore the terminal: Lightning calls no teardown after an error or an interruption."""
        self.teardown(trainer, pl_module, "fit")

    @staticmethod
    def _state(trainer: Trainer) -> dict[str, Any]:
        step = trainer.global_step // len(trainer.optimizers)  # Lightning sums over optimisers
        return {"completed": step, "epoch": f"{trainer.current_epoch + 1}/{trainer.max_epochs}"}
