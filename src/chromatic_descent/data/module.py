"""The data module: images on the training device, batches made there, and the fixed probe."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import lightning
import numpy as np
import torch
from torch import Tensor

from chromatic_descent.data.augment import Augment, cut_out, draw_epoch, gather, normalise
from chromatic_descent.data.probe import Probe, pick
from chromatic_descent.data.sources import Images
from chromatic_descent.errors import UserError

Batch = tuple[Tensor, Tensor]
"""Images [B, C, H, W] float32, normalised and augmented, and labels [B] int64."""


class ImageData(lightning.LightningDataModule):
    """A data set for one member: augmented training batches and the probe.

    Args:
        source: returns the data set.
        mean: per channel, of pixels in [0, 1]; None measures it on the training split.
        std: as `mean`.
        train_size: training images used, None for all that are not held out.
        heldout_size: training images kept apart from training.
        split_seed: picks both, independently of the member's seed.
        batch_size: images in a training step.
        eval_batch_size: images at a time in evaluation; does not change results.
        augment: the augmentation of training images.
        probe: the images that members are recorded on; by default every test image.
        seed: the member's: its batch order and augmentation are functions of (seed, epoch).
    """

    def __init__(
        self,
        source: Callable[[], Images],
        *,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        train_size: int | None = None,
        heldout_size: int = 0,
        split_seed: int = 0,
        batch_size: int = 500,
        eval_batch_size: int = 1000,
        augment: Augment | None = None,
        probe: Probe | None = None,
        seed: int = 0,
    ):
        super().__init__()
        self.images = source()
        self.augment = augment or Augment()
        self.seed, self.batch_size, self.eval_batch_size = seed, batch_size, eval_batch_size
        self.train_indices, self.heldout_indices = split_training(
            len(self.images.train_labels), train_size, heldout_size, split_seed
        )
        if len(self.train_indices) == 0:
            raise UserError("data.train_size=0: there is nothing to train on.")
        if not 0 <= self.augment.translate < min(self.image_size):
            raise UserError(
                f"data.augment.translate={self.augment.translate}: expected a number of pixels "
                f"from 0, smaller than the image ({self.image_size[0]}x{self.image_size[1]})."
            )
        self.mean, self.std = _statistics(self.images.train_images, mean, std)
        self.probe, *self.slices = (probe or Probe()).slices(
            self.images, self.train_indices, self.heldout_indices
        )

    @property
    def image_size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        _, height, width, _ = self.images.train_images.shape
        return height, width

    @property
    def channels(self) -> int:
        """Colour channels."""
        return self.images.train_images.shape[-1]

    @property
    def batches_per_epoch(self) -> int:
        """Training steps in an epoch; images that do not fill a last batch are left out of it."""
        return max(1, len(self.train_indices) // self.batch_size)

    def setup(self, stage: str) -> None:
        """Move the training images to the training device, once."""
        device = self.trainer.strategy.root_device if self.trainer else torch.device("cpu")
        self._train_images = self.images.train_images[self.train_indices].to(device)
        self._train_labels = self.images.train_labels[self.train_indices].to(device)

    def train_dataloader(self) -> "Epoch":
        """The batches of the trainer's current epoch, after a restart too."""
        return Epoch(self, self.batches)

    def batches(self, epoch: int, seed: int | None = None) -> Iterator[Batch]:
        """The augmented batches of one epoch, a function of (seed, epoch) alone.

        `seed` is another member's, if several members are trained together on one data module.
        """
        device = self._train_images.device
        seed = self.seed if seed is None else seed
        draws = draw_epoch(self.augment, len(self.train_indices), seed, epoch, device)
        mean, std = self.mean.to(device), self.std.to(device)
        size = min(self.batch_size, len(self.train_indices))
        for start in range(0, size * self.batches_per_epoch, size):
            now = slice(start, start + size)
            index = draws.order[now]
            pixels = gather(self._train_images, index, draws.mirrored[now], draws.shift[now])
            images = normalise(pixels, mean, std)
            if self.augment.cutout:
                images = cut_out(images, draws.centre[now], self.augment.cutout)
            yield images, self._train_labels[index]

    def evaluation_batches(self, images: Tensor, device: torch.device) -> Iterator[Tensor]:
        """Images [N, H, W, C] uint8 through the evaluation transform: normalisation only."""
        mean, std = self.mean.to(device), self.std.to(device)
        for part in torch.split(images, self.eval_batch_size):
            yield normalise(part.to(device), mean, std)


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

    def train_dataloader(self) -> "Epoch":
        """The steps of the trainer's current epoch, after a restart too."""
        return Epoch(self, self.steps)

    def steps(self, epoch: int) -> Iterator[Iterator[Batch]]:
        """For each step of an epoch an iterator over the members' batches, in the members' order.

        Each batch is made when it is drawn: a dozen members' would not fit in a CPU's cache.
        """
        streams = [self.batches(epoch, seed) for seed in self.seeds]
        for _ in range(self.batches_per_epoch):
            yield (next(stream) for stream in streams)


class Epoch:
    """An epoch's steps for Lightning: each pass asks the trainer for the current epoch."""

    def __init__(self, data: ImageData, steps: Callable[[int], Iterator[Any]]):
        self.data, self.steps = data, steps

    def __len__(self) -> int:
        return self.data.batches_per_epoch

    def __iter__(self) -> Iterator[Any]:
        # A generator, so that the trainer is asked when the first batch is drawn: Lightning makes
        # the iterator of a continued run before it knows which epoch it continues.
        assert self.data.trainer is not None
        yield from self.steps(self.data.trainer.current_epoch)


def split_training(
    images: int, train_size: int | None, heldout_size: int, seed: int
) -> tuple[Tensor, Tensor]:
    """Split the training images into those trained on and those held out, which never overlap.

    Returns two ascending int64 tensors of indices. Raises UserError if there are too few images.
    """
    everything = torch.arange(images)
    heldout = pick(everything, heldout_size, seed, "data.heldout_size")
    rest = torch.from_numpy(np.setdiff1d(everything.numpy(), heldout.numpy()))
    return pick(rest, train_size, seed, "data.train_size"), heldout


def _statistics(
    images: Tensor, mean: Sequence[float] | None, std: Sequence[float] | None
) -> tuple[Tensor, Tensor]:
    """Mean and SD of pixels in [0, 1] by channel, float32 [C]; measured unless both are given."""
    channels = images.shape[-1]
    if mean is None or std is None:
        # From a histogram of the 256 values: no float copy of the data set is made.
        values = torch.arange(256, dtype=torch.float64) / 255
        flat = (channel.reshape(-1) for channel in images.unbind(-1))
        counts = torch.stack([torch.bincount(channel, minlength=256) for channel in flat])
        share = counts.double() / counts.sum(1, keepdim=True)  # [C, 256]
        measured = share @ values
        spread = ((share @ values**2) - measured**2).clamp_min(1e-12).sqrt()
        return measured.float(), spread.float()
    for key, given in [("mean", mean), ("std", std)]:
        if len(given) != channels:
            raise UserError(f"data.{key} has {len(given)} values, images have {channels} channels.")
    return torch.tensor(list(mean)), torch.tensor(list(std))
