"""The probe: the fixed images on which every member is recorded, never seen in training."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from chromatic_descent.data.augment import generator
from chromatic_descent.errors import UserError
from chromatic_descent.files.hashing import content_hash


@dataclass(frozen=True)
class ProbeSlice:
    """Fixed images: a name, uint8 images [N, H, W, C], labels [N], and their places [N]."""

    name: str
    images: Tensor
    labels: Tensor
    indices: Tensor

    def hash(self, mean: Tensor, std: Tensor) -> str:
        """SHA-256 of what the network is shown: pixels and their normalisation, labels, places."""
        arrays = (self.images, self.labels, self.indices, mean, std)
        return content_hash(self.name, *(array.cpu().numpy() for array in arrays))


def pick(candidates: Tensor, size: int | None, seed: int, key: str) -> Tensor:
    """`size` of the candidates (all for None) by `seed` alone, in ascending order.

    Raises UserError, naming the config key, if there are fewer or `size` is no whole number.
    """
    if size is None:
        size = len(candidates)
    if isinstance(size, bool) or not isinstance(size, int) or not 0 <= size <= len(candidates):
        raise UserError(f"{key}={size}: expected a number from 0 to {len(candidates)}.")
    order = torch.randperm(len(candidates), generator=generator(seed, 3))
    return candidates[order[:size]].sort().values


def split_training(
    images: int, train_size: int | None, heldout_size: int, seed: int
) -> tuple[Tensor, Tensor]:
    """Split the training images into those trained on and those held out, which never overlap.

    Returns two ascending int64 tensors of places. Raises UserError if there are too few images.
    """
    everything = torch.arange(images)
    heldout = pick(everything, heldout_size, seed, "data.heldout_size")
    rest = torch.from_numpy(np.setdiff1d(everything.numpy(), heldout.numpy()))
    return pick(rest, train_size, seed, "data.train_size"), heldout
