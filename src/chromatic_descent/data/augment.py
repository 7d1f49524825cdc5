"""Augmentation of whole batches, drawn separately for each image.

Every draw is a function of (seed, epoch) and of the image's index alone, and is made on the CPU:
a continued run, another device or another batch size sees the same augmentations.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from chromatic_descent.data.streams import Stream, stream

Flip = Literal["alternating", "random", "none"]


@dataclass(frozen=True)
class Augment:
    """The augmentation of training images, drawn again in each epoch.

    Args:
        flip: `random` mirrors each image with probability 1/2 in each epoch. `alternating` draws
            once, in epoch 0, and mirrors every other epoch from there: each image is seen both
            ways as evenly as can be (Jordan 2024, arXiv:2404.00498, section 3.3).
        translate: largest shift in pixels, each axis, uniform; the border is reflected.
        cutout: side of a square set to the mean, in pixels; its centre is uniform over the image
            (DeVries & Taylor 2017, arXiv:1708.04552). 0 for none.
    """

    flip: Flip = "alternating"
    translate: int = 2
    cutout: int = 0


@dataclass(frozen=True)
class Draws:
    """One epoch's draws, on the images' device, by position in the order of the images."""

    order: Tensor  # [N] int64, the images' indices
    mirrored: Tensor  # [N] bool
    shift: Tensor  # [N, 2] int64, pixels down and right
    centre: Tensor  # [N, 2] float32, in [0, 1)


def draw_epoch(
    augment: Augment, images: int, seed: int, epoch: int, device: torch.device | str = "cpu"
) -> Draws:
    """Draw the order and the augmentation of every image for one epoch."""
    draws = stream(Stream.EPOCH, seed, epoch)
    order = torch.randperm(images, generator=draws)
    reach = augment.translate
    shift = torch.randint(-reach, reach + 1, (images, 2), generator=draws)
    centre = torch.rand(images, 2, generator=draws)
    if augment.flip == "alternating":
        first = torch.rand(images, generator=stream(Stream.FLIPS, seed)) < 0.5  # in epoch 0
        mirrored = first[order] ^ (epoch % 2 == 1)
    elif augment.flip == "random":
        mirrored = torch.rand(images, generator=draws) < 0.5
    else:
        mirrored = torch.zeros(images, dtype=torch.bool)
    return Draws(*(t.to(device) for t in (order, mirrored, shift, centre)))


def gather(images: Tensor, index: Tensor, mirrored: Tensor, shift: Tensor) -> Tensor:
    """Pick images and mirror and translate each by its own draw: [N, H, W, C] -> [B, H, W, C].

    Selection, mirroring and reflected translation only decide where to read pixels, so they are one
    gather from the data set. Shifts must be smaller than the image.
    """
    _, height, width, channels = images.shape
    rows = _reflect(torch.arange(height, device=images.device) - shift[:, :1], height)  # [B, H]
    columns = _reflect(torch.arange(width, device=images.device) - shift[:, 1:], width)  # [B, W]
    columns = torch.where(mirrored[:, None], width - 1 - columns, columns)
    pixels = (index[:, None, None] * height + rows[:, :, None]) * width + columns[:, None, :]
    return images.view(-1, channels)[pixels.view(-1)].view(-1, height, width, channels)


def normalise(images: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """uint8 [B, H, W, C] -> (x/255 − mean) / std, float32 [B, C, H, W] in channels-last memory."""
    scale = 1 / (255 * std)
    return torch.addcmul(-mean / std, images.float(), scale).permute(0, 3, 1, 2)


def cut_out(images: Tensor, centre: Tensor, side: int) -> Tensor:
    """Set a square of `side` pixels around each image's `centre` [B, 2] to zero, which is the mean.

    images [B, C, H, W] normalised; the square is cut off where it leaves the image.
    """
    size = torch.tensor(images.shape[-2:], device=images.device)
    low = (centre * size).floor() - side // 2  # [B, 2]
    inside = [
        (pixel >= low[:, axis, None]) & (pixel < low[:, axis, None] + side)
        for axis, pixel in enumerate(torch.arange(n, device=images.device) for n in size.tolist())
    ]  # [B, H], [B, W]
    return images.masked_fill((inside[0][:, :, None] & inside[1][:, None, :])[:, None], 0.0)


def _reflect(positions: Tensor, length: int) -> Tensor:
    """Fold positions outside 0..length-1 back in, without repeating the border pixel."""
    positions = positions.abs()
    return length - 1 - (length - 1 - positions).abs()
