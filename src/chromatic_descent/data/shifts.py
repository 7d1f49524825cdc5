"""Mild corruptions of test images, which members were not trained for.

A corruption maps uint8 images to uint8 images and is a function of `probe.seed` alone: every member
is shown the same images. A new corruption is a function here and a line in `SHIFTS`. The kinds
follow Hendrycks & Dietterich 2019 (arXiv:1903.12261), but the amounts are this project's own:
measurements on them can be compared within this project only.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional

from chromatic_descent.data.streams import Stream, stream

SEVERITIES = (1, 2)  # mild and strong

Shift = Callable[[Tensor, float, torch.Generator], Tensor]  # images [N, C, H, W], amount, draws


def corrupt(images: Tensor, shift: str, severity: int, seed: int) -> Tensor:
    """Corrupt images: uint8 [N, H, W, C] -> uint8 [N, H, W, C].

    `shift` is one of `SHIFTS`, `severity` 1 or 2. Random draws differ between images and are a
    function of (seed, shift, severity); `seed` is `probe.seed`.
    """
    apply, amounts = SHIFTS[shift]
    draws = stream(Stream.CORRUPTION, seed, list(SHIFTS).index(shift), severity)
    changed = apply(images.permute(0, 3, 1, 2).contiguous(), amounts[severity - 1], draws)
    return changed.permute(0, 2, 3, 1).contiguous()


def _gaussian_blur(images: Tensor, sigma: float, draws: torch.Generator) -> Tensor:
    """Blur by a Gaussian of `sigma` pixels, cut off at three of them or at the image's border."""
    reach = math.ceil(3 * sigma)
    size = [2 * min(reach, side - 1) + 1 for side in (images.shape[-1], images.shape[-2])]
    return functional.gaussian_blur(images, size, [sigma, sigma])  # type: ignore[no-any-return]


def _gaussian_noise(images: Tensor, sd: float, draws: torch.Generator) -> Tensor:
    """Add independent Gaussian noise; `sd` is a share of the range of values."""
    noise = torch.randn(images.shape, generator=draws)
    return (images + 255 * sd * noise).round().clamp(0, 255).to(torch.uint8)


def _contrast(images: Tensor, factor: float, draws: torch.Generator) -> Tensor:
    """Multiply each value's difference from the image's mean grey by `factor`."""
    return functional.adjust_contrast(images, factor)  # type: ignore[no-any-return]


def _brightness(images: Tensor, factor: float, draws: torch.Generator) -> Tensor:
    """Multiply values by `factor`, up to 255."""
    return functional.adjust_brightness(images, factor)  # type: ignore[no-any-return]


def _rotation(images: Tensor, degrees: float, draws: torch.Generator) -> Tensor:
    """Turn each image by `degrees`, left or right at random; the border is reflected."""
    left = torch.rand(len(images), generator=draws) < 0.5
    height, width = images.shape[-2:]
    margin = [min(side // 4, side - 1) for side in (width, height)]
    padded = functional.pad(images, margin, padding_mode="reflect")
    turned = torch.empty_like(images)
    for chosen, angle in [(left, degrees), (~left, -degrees)]:
        if chosen.any():
            whole = functional.rotate(padded[chosen], angle, v2.InterpolationMode.BILINEAR)
            turned[chosen] = functional.center_crop(whole, [height, width])
    return turned


def _pixelate(images: Tensor, share: float, draws: torch.Generator) -> Tensor:
    """Keep `share` of the pixels in each direction, then repeat them."""
    height, width = images.shape[-2:]
    coarse = [max(1, round(share * side)) for side in (height, width)]
    small = functional.resize(images, coarse, antialias=True)
    nearest = v2.InterpolationMode.NEAREST
    return functional.resize(small, [height, width], nearest)  # type: ignore[no-any-return]


# Each with its amounts at severities 1 and 2. New ones go last: the draws depend on the position.
SHIFTS: dict[str, tuple[Shift, tuple[float, float]]] = {
    "gaussian_blur": (_gaussian_blur, (0.7, 1.2)),
    "gaussian_noise": (_gaussian_noise, (0.04, 0.1)),
    "contrast": (_contrast, (0.5, 0.2)),
    "brightness": (_brightness, (1.4, 2.0)),
    "rotation": (_rotation, (10.0, 25.0)),
    "pixelate": (_pixelate, (0.6, 0.35)),
}
