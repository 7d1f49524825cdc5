"""The data module of members that are trained together: one copy of the images for all."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from chromatic_descent.data.module import Batch, EpochBatches, ImageData
from chromatic_descent.data.sources import Images


class JointData(ImageData):
    """A data set for members trained together, each with the batches it would have alone.

    Args:
        source: returns the data set.
        seeds: the members'.
        options: as for `ImageData`.
    """

    def __init__(self, source: Callable[[], Images], *, seeds: Sequence[int], **options: Any):
        super().__init__(source, seed=seeds[0], **options)
        self.seeds = tuple(seeds)

    def train_dataloader(self) -> "JointBatches":
        """The steps of the trainer's current epoch, after a restart too."""
        return JointBatches(self)


class JointBatches(EpochBatches):
    """For each step an iterator over the members' batches, in the members' order.

    Each batch is made when it is drawn: those of a dozen members would not fit in a CPU's cache.
    """

    data: JointData

    def __iter__(self) -> Iterator[Iterator[Batch]]:  # type: ignore[override]
        assert self.data.trainer is not None
        epoch = self.data.trainer.current_epoch
        streams = [self.data.batches(epoch, seed) for seed in self.data.seeds]
        for _ in range(len(self)):
            yield (next(stream) for stream in streams)
