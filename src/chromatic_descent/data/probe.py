"""The probe: the fixed images on which every member is recorded, never seen in training."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from chromatic_descent.data.foreign import DIGITS, foreign_digits, foreign_noise
from chromatic_descent.data.shifts import SEVERITIES, SHIFTS, corrupt
from chromatic_descent.data.sources import Images
from chromatic_descent.data.split import pick
from chromatic_descent.errors import UserError
from chromatic_descent.files.hashing import content_hash
from chromatic_descent.probe_logits import FOREIGN, SHIFTED


@dataclass(frozen=True)
class ProbeSlice:
    """Fixed images: a name, uint8 images [N, H, W, C], labels [N], and their indices [N]."""

    name: str
    images: Tensor
    labels: Tensor
    indices: Tensor

    def hash(self, mean: Tensor, std: Tensor) -> str:
        """SHA-256 of what the network is shown: pixels and their normalisation, labels, indices."""
        arrays = (self.images, self.labels, self.indices, mean, std)
        return content_hash(self.name, *(array.cpu().numpy() for array in arrays))


@dataclass(frozen=True)
class Probe:
    """Which images members are recorded on, a function of the data and of `seed` alone.

    Args:
        size: test images in the probe itself, None for all.
        seed: picks all of these images, independently of a member's seed.
        train: training images recorded beside the probe.
        heldout: held-out training images recorded beside the probe.
        shifted: test images recorded under each corruption at each severity, None for all.
        foreign: images of each kind of other data, None for 1,797, which is every digit.
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
        out. Raises UserError for more images than there are, or none; it names the config key.
        """
        test = torch.arange(len(data.test_labels))
        probe = pick(test, self.size, self.seed, "probe.size")
        if len(probe) == 0:
            raise UserError("probe.size=0: there is nothing to record.")
        slices = [ProbeSlice("test", data.test_images[probe], data.test_labels[probe], probe)]
        for name, candidates, size in [
            ("train", train, self.train),
            ("heldout", heldout, self.heldout),
        ]:
            if size != 0:
                indices = pick(candidates, size, self.seed, f"probe.{name}")
                images, labels = data.train_images[indices], data.train_labels[indices]
                slices.append(ProbeSlice(name, images, labels, indices))
        if self.shifted != 0:
            indices = pick(test, self.shifted, self.seed, "probe.shifted")
            slices.extend(_shifted(data, indices, self.seed))
        if self.foreign != 0:
            indices = pick(torch.arange(DIGITS), self.foreign, self.seed, "probe.foreign")
            slices.extend(_foreign(data, indices, self.seed))
        return slices


def _shifted(data: Images, indices: Tensor, seed: int) -> Iterator[ProbeSlice]:
    """Test images under every corruption at every severity: `shift-gaussian_blur-1`, ..."""
    images, labels = data.test_images[indices], data.test_labels[indices]
    for shift in SHIFTS:
        for severity in SEVERITIES:
            name = f"{SHIFTED}{shift}-{severity}"
            yield ProbeSlice(name, corrupt(images, shift, severity, seed), labels, indices)


def _foreign(data: Images, digits: Tensor, seed: int) -> Iterator[ProbeSlice]:
    """`foreign-digits`, unless the data are the digits, and as many of `foreign-noise`.

    The images belong to none of the data's classes: their labels are 0 and mean nothing.
    """
    count, (_, height, width, channels) = len(digits), data.test_images.shape
    labels = torch.zeros(count, dtype=torch.int64)
    if data.name != "digits":
        images = foreign_digits(digits, height, width, channels)
        yield ProbeSlice(f"{FOREIGN}digits", images, labels, digits)
    noise = foreign_noise(count, height, width, channels, seed)
    yield ProbeSlice(f"{FOREIGN}noise", noise, labels, torch.arange(count))
