"""The images at which members are pushed apart: a fixed pool of points outside the probe."""

from typing import Literal, NamedTuple, get_args

import numpy as np
import torch
from torch import Tensor

from chromatic_descent.data import ImageData
from chromatic_descent.data.augment import normalise
from chromatic_descent.data.streams import Stream, stream
from chromatic_descent.errors import UserError

Kind = Literal["train", "heldout", "noise", "mixup", "patches"]
KINDS: tuple[str, ...] = get_args(Kind)
LABELLED = ("train",)  # kinds whose classes may be used
_GRID = 4  # patches per side, fewer where the image's size is not divisible


class Points(NamedTuple):
    """A pool of images [P, C, H, W] float32, normalised as for evaluation; labels [P] or None."""

    images: Tensor
    labels: Tensor | None

    def to(self, device: torch.device) -> "Points":
        """The same points on `device`."""
        labels = None if self.labels is None else self.labels.to(device)
        return Points(self.images.to(device), labels)

    def at(self, index: Tensor) -> "Points":
        """The points with these indices [b]."""
        return Points(self.images[index], None if self.labels is None else self.labels[index])


def pool(kind: str, data: ImageData, size: int, seed: int) -> Points:
    """A pool of at most `size` points, which depends on the data's split and on `seed` alone.

    - `train`: training images, with their labels;
    - `heldout`: images held out of training (`data.heldout_size`) and of `probe.heldout`;
    - `noise`: independent Gaussian pixels of each channel's mean and SD, from black to white;
    - `mixup`: λ a + (1 − λ) b of two training images, λ uniform (Zhang et al. 2018, with α = 1);
    - `patches`: training images cut into 4x4 squares that are shuffled.

    None of these points is in the probe. Raises UserError for another kind, and without images.
    """
    if kind not in KINDS:
        raise unknown_kind(kind)
    draws = stream(Stream.POOL, seed, KINDS.index(kind))
    if kind == "heldout":
        return Points(_normalised(data, _some(_free_heldout(data), size, draws)), None)
    if kind == "noise":
        noise = torch.randn((size, *data.image_size, data.channels), generator=draws)
        pixels = (data.mean + data.std * noise).clamp(0, 1)
        return Points(((pixels - data.mean) / data.std).permute(0, 3, 1, 2), None)
    indices = _some(data.train_indices, size, draws)
    images = _normalised(data, indices)
    if kind == "mixup":
        partners = _normalised(data, indices[torch.randperm(len(indices), generator=draws)])
        share = torch.rand(len(indices), 1, 1, 1, generator=draws)
        return Points(share * images + (1 - share) * partners, None)
    if kind == "patches":
        return Points(_shuffle_patches(images, draws), None)
    return Points(images, data.images.train_labels[indices])


def at_step(points: Points, batch_size: int, seed: int, epoch: int, step: int) -> Tensor:
    """Indices [b] of a step's points, which (seed, epoch, step) and the pool's size determine."""
    order = torch.randperm(len(points.images), generator=stream(Stream.POINTS, seed, epoch, step))
    return order[:batch_size].to(points.images.device)


def unknown_kind(kind: str) -> UserError:
    """The error for an unknown kind."""
    reason = " The probe is recorded, never trained on." if kind == "probe" else ""
    return UserError(f"repulsion.points={kind}: expected one of {', '.join(KINDS)}.{reason}")


def _some(indices: Tensor, size: int, draws: torch.Generator) -> Tensor:
    return indices[torch.randperm(len(indices), generator=draws)[:size]]


def _normalised(data: ImageData, indices: Tensor) -> Tensor:
    """Training images, through the evaluation transform."""
    return normalise(data.images.train_images[indices], data.mean, data.std)


def _free_heldout(data: ImageData) -> Tensor:
    """Held-out images that are not recorded beside the probe."""
    recorded = [part.indices.numpy() for part in data.slices if part.name == "heldout"]
    free = np.setdiff1d(data.heldout_indices.numpy(), np.concatenate([*recorded, []]))
    if len(free) == 0:
        raise UserError(
            "repulsion.points=heldout, but no image is held out of training and of probe.heldout: "
            "hold some out, as in data.heldout_size=2000."
        )
    return torch.from_numpy(free.astype(np.int64))


def _shuffle_patches(images: Tensor, draws: torch.Generator) -> Tensor:
    """Cut each image [P, C, H, W] into squares and shuffle them, each image in its own order."""
    size, channels, height, width = images.shape
    grid = max(n for n in range(1, _GRID + 1) if height % n == 0 and width % n == 0)
    if grid == 1:
        raise UserError(
            f"repulsion.points=patches: images of {height}x{width} pixels cannot be cut into 2x2, "
            "3x3 or 4x4 equal patches. Use other points."
        )
    patches = images.reshape(size, channels, grid, height // grid, grid, width // grid)
    patches = patches.permute(0, 2, 4, 1, 3, 5).flatten(1, 2)  # [P, g·g, C, h, w]
    order = torch.rand(size, grid * grid, generator=draws).argsort(1)
    patches = patches[torch.arange(size)[:, None], order]
    patches = patches.view(size, grid, grid, *patches.shape[2:])
    return patches.permute(0, 3, 1, 4, 2, 5).reshape(size, channels, height, width)
