"""Checkpoints that are complete or absent, and contain only tensors and plain values."""

from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins.io.checkpoint_io import CheckpointIO

from chromatic_descent.errors import UserError
from chromatic_descent.files.atomic import atomic_path


class AtomicCheckpointIO(CheckpointIO):
    """Writes a checkpoint to a temporary file beside it, then renames it; never unpickles.

    Lightning's own class writes to the system's temporary folder first, which is often on another
    file system, so that the rename is a copy that can be interrupted.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None
    ) -> None:
        """Write `checkpoint` to `path`, whole or not at all."""
        # Opened here because, given a path, torch does not report why it could not write.
        with atomic_path(Path(path)) as temporary, temporary.open("wb") as file:
            torch.save(checkpoint, file)

    def load_checkpoint(
        self, path: str | Path, map_location: Any = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Read a checkpoint, with `weights_only=True`: tensors and plain values only."""
        try:
            return torch.load(path, map_location=map_location or "cpu", weights_only=True)  # type: ignore[no-any-return]
        except Exception as error:  # torch raises a different type for each kind of damage
            raise UserError(
                f"{path} cannot be read as a checkpoint ({type(error).__name__}). Delete it to "
                "train from the start."
            ) from error

    def remove_checkpoint(self, path: str | Path) -> None:
        """Remove a checkpoint, if it exists."""
        Path(path).unlink(missing_ok=True)
