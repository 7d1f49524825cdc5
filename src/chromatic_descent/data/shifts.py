"""What members were not trained for: test images corrupted in small steps, and images of elsewhere.

Both are made of uint8 images and stay uint8, so that they pass through the evaluation transform as
the probe does, and both are functions of `probe.seed` alone: every member is shown the same ones.

The corruptions follow those of Hendrycks & Dietterich 2019 (arXiv:1903.12261) in kind, with
strengths of this project's own: what is measured on them compares within this project only.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional

from chromatic_descent.data.augment import generator
from chromatic_descent.data.probe import ProbeSlice, pick
from chromatic_descent.data.sources import Images, digits
from chromatic_descent.probe_logits import FOREIGN, SHIFTED

SEVERITIES = (1, 2)  # mild and strong

Shift = Callable[[Tensor, float, torch.Generator], Tensor]  # images [N, C, H, W], amount, draws


DIGITS = 1797  # images that `foreign_digits` knows


def corrupt(images: Tensor, shift: str, severity: int, seed: int) -> Tensor:
    """Corrupt images: uint8 [N, H, W, C] -> uint8 [N, H, W, C].

    What is random is drawn for each image, as a function of (seed, shift, severity).

    Args:
        images: uint8 [N, H, W, C].
        shift: one of `SHIFTS`.
        severity: 1 or 2.
        seed: `probe.seed`.
    """
    apply, amounts = SHIFTS[shift]
    draws = generator(seed, 20, list(SHIFTS).index(shift), severity)
    changed = apply(images.permute(0, 3, 1, 2).contiguous(), amounts[severity - 1], draws)
    return changed.permute(0, 2, 3, 1).contiguous()


def shifted_slices(part: ProbeSlice, seed: int) -> list[ProbeSlice]:
    """A slice of images under every corruption at every severity: `shift-gaussian_blur-1`, ..."""
    return [
        ProbeSlice(
            f"{SHIFTED}{shift}-{severity}",
            corrupt(part.images, shift, severity, seed),
            part.labels,
            part.indices,
        )
        for shift in SHIFTS
        for severity in SEVERITIES
    ]


def foreign_slices(data: Images, size: int | None, seed: int) -> list[ProbeSlice]:
    """Slices of other data in the shape of `data`: `foreign-digits` and `foreign-noise`.

    Of members of the digits there is only the noise. The images have no class among those of
    `data`: their labels are 0 and mean nothing.

    Args:
        data: the data set that members are trained on.
        size: images in each slice, None for 1,797, which is every digit.
        seed: `probe.seed`.
    """
    places = pick(torch.arange(DIGITS), size, seed, "probe.foreign")
    count = len(places)
    _, height, width, channels = data.test_images.shape
    images = {"noise": foreign_noise(count, height, width, channels, seed)}
    indices = {"noise": torch.arange(count), "digits": places}
    if data.name != "digits":
        images["digits"] = foreign_digits(places, height, width, channels)
    labels = torch.zeros(count, dtype=torch.int64)
    return [
        ProbeSlice(f"{FOREIGN}{kind}", images[kind], labels, indices[kind])
        for kind in sorted(images)
    ]


def foreign_digits(indices: Tensor, height: int, width: int, channels: int) -> Tensor:
    """scikit-learn's digits, upscaled: [N] of 0 to 1,796 -> uint8 [N, height, width, channels].

    Bilinear; a grey image is the same in every channel.
    """
    source = digits()
    images = torch.cat([source.train_images, source.test_images])[indices].permute(0, 3, 1, 2)
    scaled = functional.resize(images, [height, width], antialias=True)
    return scaled.permute(0, 2, 3, 1).expand(-1, -1, -1, channels).contiguous()  # type: ignore[no-any-return]


def foreign_noise(count: int, height: int, width: int, channels: int, seed: int) -> Tensor:
    """Noise: every value of 0 to 255 as likely in every pixel, uint8 [N, height, width, channels].

    Drawn as a function of `seed`, which is `probe.seed`.
    """
    shape = (count, height, width, channels)
    return torch.randint(256, shape, dtype=torch.uint8, generator=generator(seed, 21))


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
    """Multiply what differs from the image's mean grey by `factor`."""
    return functional.adjust_contrast(images, factor)  # type: ignore[no-any-return]


def _brightness(images: Tensor, factor: float, draws: torch.Generator) -> Tensor:
    """Multiply values by `factor`; what passes 255 stays there."""
    return functional.adjust_brightness(images, factor)  # type: ignore[no-any-return]


def _rotation(images: Tensor, degrees: float, draws: torch.Generator) -> Tensor:
    """Turn each image by `degrees`, left or right as is drawn; the border is reflected."""
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


# Each with its amount at severity 1 and at 2. New ones go last: draws depend on the place.
SHIFTS: dict[str, tuple[Shift, tuple[float, float]]] = {
    "gaussian_blur": (_gaussian_blur, (0.7, 1.2)),
    "gaussian_noise": (_gaussian_noise, (0.04, 0.1)),
    "contrast": (_contrast, (0.5, 0.2)),
    "brightness": (_brightness, (1.4, 2.0)),
    "rotation": (_rotation, (10.0, 25.0)),
    "pixelate": (_pixelate, (0.6, 0.35)),
}
