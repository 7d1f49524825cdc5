"""Checkpoints that are complete or absent, and that hold only tensors and plain values."""

from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins.io.checkpoint_io import CheckpointIO
from lightning.pytorch.callbacks import ModelCheckpoint

from chromatic_descent.errors import UserError
from chromatic_descent.files.atomic import atomic_path


class AtomicCheckpointIO(CheckpointIO):
    """Writes a checkpoint to a temporary file beside it and renames that; unpickles nothing.

    Lightning's own writes to the system's temporary folder first. That is often another file
    system, from where a rename is a copy that can be interrupted.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None
    ) -> None:
        """Write `checkpoint` to `path`, whole or not at all."""
        # Opened here: given a path, torch does not report why it could not write.
        with atomic_path(Path(path)) as temporary, temporary.open("wb") as file:
            torch.save(checkpoint, file)

    def load_checkpoint(
        self, path: str | Path, map_location: Any = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Read a checkpoint, with `weights_only=True`: tensors and plain values only."""
        try:
            checkpoint: dict[str, Any] = torch.load(
                path, map_location=map_location or "cpu", weights_only=True
            )
        except Exception as error:  # torch raises many types, one for each kind of damage
            raise UserError(
                f"{path} cannot be read as a checkpoint ({type(error).__name__}). Delete it to "
                "train from the start."
            ) from error
        return checkpoint

    def remove_checkpoint(self, path: str | Path) -> None:
        """Remove a checkpoint."""
        Path(path).unlink(missing_ok=True)


def every_epoch(checkpoint: Path) -> ModelCheckpoint:
    """Keep the latest epoch's checkpoint at the path `checkpoint`."""
    return ModelCheckpoint(
        dirpath=checkpoint.parent,
        filename=checkpoint.stem,
        every_n_epochs=1,
        save_on_train_epoch_end=True,
        enable_version_counter=False,
    )
