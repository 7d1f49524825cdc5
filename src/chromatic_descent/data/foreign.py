"""Images of other data, in the shape of the data set at hand: handwritten digits, and noise.

They are uint8, so that they pass through the evaluation transform as the probe does.
"""

import torch
from torch import Tensor
from torchvision.transforms.v2 import functional

from chromatic_descent.data.sources import digits
from chromatic_descent.data.streams import Stream, stream

DIGITS = 1797  # images that `foreign_digits` has


def foreign_digits(indices: Tensor, height: int, width: int, channels: int) -> Tensor:
    """scikit-learn's digits, upscaled: [N] of 0 to 1,796 -> uint8 [N, height, width, channels].

    Bilinear; a grey image is the same in every channel.
    """
    source = digits()
    images = torch.cat([source.train_images, source.test_images])[indices].permute(0, 3, 1, 2)
    scaled = functional.resize(images, [height, width], antialias=True)
    return scaled.permute(0, 2, 3, 1).expand(-1, -1, -1, channels).contiguous()  # type: ignore[no-any-return]


def foreign_noise(count: int, height: int, width: int, channels: int, seed: int) -> Tensor:
    """Noise: every value of 0 to 255 equally likely in every pixel, uint8 [N, height, width, C].

    Drawn as a function of `seed`, which is `probe.seed`.
    """
    shape, draws = (count, height, width, channels), stream(Stream.FOREIGN_NOISE, seed)
    return torch.randint(256, shape, dtype=torch.uint8, generator=draws)
