"""The probe: the fixed images on which every member is recorded, never seen in training."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torchvision.transforms.v2 import functional

from chromatic_descent.data.shifts import SEVERITIES, SHIFTS, corrupt
from chromatic_descent.data.sources import Images, digits
from chromatic_descent.data.streams import Stream, stream
from chromatic_descent.errors import UserError, is_whole
from chromatic_descent.files.hashing import content_hash
from chromatic_descent.probe_logits import FOREIGN, SHIFTED

_DIGITS = 1797  # images in scikit-learn's digits


@dataclass(frozen=True)
class ProbeSlice:
    """Fixed images: a name, uint8 images [N, H, W, C], labels [N], and their indices [N]."""

    name: str
    images: Tensor
    labels: Tensor
    indices: Tensor

    def hash(self, mean: Tensor, std: Tensor) -> str:
        """SHA-256 of the images, the statistics that normalise them, labels, indices and name."""
        arrays = (self.images, self.labels, self.indices, mean, std)
        return content_hash(self.name, *(array.cpu().numpy() for array in arrays))


@dataclass(frozen=True)
class Probe:
    """The choice of images to record members on, a function of the data and of `seed` alone.

    Args:
        size: test images in the probe itself, None for all.
        seed: picks all images, independently of a member's seed.
        train: training images recorded beside the probe.
        heldout: held-out training images recorded beside the probe.
        shifted: test images recorded under each corruption at each severity, None for all.
        foreign: images of each kind of other data (digits, noise), None for all 1,797 digits.
    """

    size: int | None = None
    seed: int = 0
    train: int = 0
    heldout: int = 0
    shifted: int | None = 0
    foreign: int | None = 0

    def slices(self, data: Images, train: Tensor, heldout: Tensor) -> list[ProbeSlice]:
        """The probe, named `test`, then every further slice.

        `train` and `heldout` are the indices of the training images that are trained on and held
        out. Raises UserError, which names the config key, for more images than there are, and for
        an empty probe.
        """
        test = torch.arange(len(data.test_labels))
        probe = pick(test, self.size, self.seed, "probe.size")
        if len(probe) == 0:
            raise UserError("probe.size=0: there is nothing to record.")
        slices = [ProbeSlice("test", data.test_images[probe], data.test_labels[probe], probe)]
        for name, candidates in [("train", train), ("heldout", heldout)]:
            if (size := getattr(self, name)) != 0:
                indices = pick(candidates, size, self.seed, f"probe.{name}")
                images, labels = data.train_images[indices], data.train_labels[indices]
                slices.append(ProbeSlice(name, images, labels, indices))
        if self.shifted != 0:
            indices = pick(test, self.shifted, self.seed, "probe.shifted")
            slices.extend(_shifted(data, indices, self.seed))
        if self.foreign != 0:
            indices = pick(torch.arange(_DIGITS), self.foreign, self.seed, "probe.foreign")
            slices.extend(_foreign(data, indices, self.seed))
        return slices


def pick(candidates: Tensor, size: int | None, seed: int, key: str) -> Tensor:
    """`size` of the candidates (None: all), picked by `seed` alone, in ascending order.

    Raises UserError, naming the config key, if there are fewer or `size` is not a whole number.
    """
    size = len(candidates) if size is None else size
    if not is_whole(size, 0, len(candidates)):
        raise UserError(f"{key}={size}: expected a number from 0 to {len(candidates)}.")
    order = torch.randperm(len(candidates), generator=stream(Stream.CHOICE, seed))
    return candidates[order[:size]].sort().values


def foreign_digits(indices: Tensor, height: int, width: int, channels: int) -> Tensor:
    """scikit-learn's digits, upscaled bilinearly and repeated in every channel.

    `indices` [N] are from 0 to 1,796; the images are uint8 [N, height, width, channels].
    """
    images = torch.cat([digits().train_images, digits().test_images])[indices]
    scaled = functional.resize(images.permute(0, 3, 1, 2), [height, width], antialias=True)
    return scaled.permute(0, 2, 3, 1).expand(-1, -1, -1, channels).contiguous()  # type: ignore[no-any-return]


def foreign_noise(count: int, height: int, width: int, channels: int, seed: int) -> Tensor:
    """Noise: independent values, uniform from 0 to 255, as uint8 [N, height, width, channels]."""
    shape, draws = (count, height, width, channels), stream(Stream.FOREIGN_NOISE, seed)
    return torch.randint(256, shape, dtype=torch.uint8, generator=draws)


def _shifted(data: Images, indices: Tensor, seed: int) -> Iterator[ProbeSlice]:
    """Test images under every corruption at every severity: `shift-gaussian_blur-1`, ..."""
    images, labels = data.test_images[indices], data.test_labels[indices]
    for shift in SHIFTS:
        for severity in SEVERITIES:
            name = f"{SHIFTED}{shift}-{severity}"
            yield ProbeSlice(name, corrupt(images, shift, severity, seed), labels, indices)


def _foreign(data: Images, indices: Tensor, seed: int) -> Iterator[ProbeSlice]:
    """`foreign-digits`, unless the data are the digits, and `foreign-noise`; all labels are 0."""
    count, (_, height, width, channels) = len(indices), data.test_images.shape
    labels = torch.zeros(count, dtype=torch.int64)
    if data.name != "digits":
        images = foreign_digits(indices, height, width, channels)
        yield ProbeSlice(f"{FOREIGN}digits", images, labels, indices)
    noise = foreign_noise(count, height, width, channels, seed)
    yield ProbeSlice(f"{FOREIGN}noise", noise, labels, torch.arange(count))
