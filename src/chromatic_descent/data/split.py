"""Which images of a data set are trained on, held out or recorded: choices by a seed alone."""

import numpy as np
import torch
from torch import Tensor

from chromatic_descent.data.streams import Stream, stream
from chromatic_descent.errors import UserError, is_whole


def pick(candidates: Tensor, size: int | None, seed: int, key: str) -> Tensor:
    """`size` of the candidates (all for None) by `seed` alone, in ascending order.

    Raises UserError, naming the config key, if there are fewer or `size` is not a whole number.
    """
    if size is None:
        size = len(candidates)
    if not is_whole(size, 0, len(candidates)):
        raise UserError(f"{key}={size}: expected a number from 0 to {len(candidates)}.")
    order = torch.randperm(len(candidates), generator=stream(Stream.CHOICE, seed))
    return candidates[order[:size]].sort().values


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
