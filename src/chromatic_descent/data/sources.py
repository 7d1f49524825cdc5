"""Data sets as tensors: every image of a data set is in memory, as uint8.

A source is a function that returns `Images` and needs no arguments once Hydra has bound those of
its config. Sources are cached, so that a sweep in one process reads the disk once.
"""

import functools
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError

import numpy as np
import torch
import torchvision
from torch import Tensor
from torchvision.transforms import v2

from chromatic_descent.errors import UserError, first_line
from chromatic_descent.files.hashing import content_hash


@dataclass(frozen=True, eq=False)
class Images:
    """A data set: uint8 images [N, H, W, C], int64 labels [N], for training and for testing."""

    name: str
    classes: tuple[str, ...]
    train_images: Tensor
    train_labels: Tensor
    test_images: Tensor
    test_labels: Tensor

    @functools.cached_property
    def fingerprint(self) -> str:
        """SHA-256 of every image and label."""
        tensors = (self.train_images, self.train_labels, self.test_images, self.test_labels)
        return content_hash(*(tensor.numpy() for tensor in tensors))


@functools.lru_cache(maxsize=4)
def torchvision_images(name: str, root: str, download: bool = False) -> Images:
    """A data set of torchvision: CIFAR10, CIFAR100, SVHN, MNIST or FashionMNIST.

    Raises UserError if it is not under `root` and `download` is false, or downloading fails.
    """
    dataset = getattr(torchvision.datasets, name)
    by_split = name == "SVHN"
    options = [{"split": p} if by_split else {"train": p == "train"} for p in ("train", "test")]
    try:
        train, test = (dataset(root, download=download, **part) for part in options)
    except (RuntimeError, URLError, OSError) as error:
        raise UserError(
            f"{name} was not found in {Path(root).resolve()} ({first_line(error)}).\n"
            "  to download it there:    data.source.download=true\n"
            "  to use a copy, offline:  paths.data=FOLDER or CHROMATIC_DATA_DIR=FOLDER, where\n"
            "                           FOLDER is what torchvision would download into\n"
            "  to try without any data: experiment=demo"
        ) from error
    labels = [
        torch.as_tensor(np.asarray(d.labels if by_split else d.targets)) for d in (train, test)
    ]
    images = [_channels_last(torch.as_tensor(np.asarray(d.data)), by_split) for d in (train, test)]
    classes = tuple(str(c) for c in getattr(train, "classes", range(int(labels[0].max()) + 1)))
    return Images(name, classes, images[0], labels[0].long(), images[1], labels[1].long())


@functools.lru_cache(maxsize=1)
def digits(test_images: int = 500) -> Images:
    """scikit-learn's digits: 1,797 real handwritten digits of 8x8 pixels, no download.

    They come sorted by writer, so they are shuffled before the split, always in the same way.
    """
    from sklearn.datasets import load_digits

    bunch = load_digits()
    order = np.random.default_rng(0).permutation(len(bunch.target))
    images = (bunch.images[order] * (255 / 16)).round().astype(np.uint8)[..., None]  # [N, 8, 8, 1]
    labels = bunch.target[order].astype(np.int64)
    x, y, n = torch.from_numpy(images), torch.from_numpy(labels), len(labels) - test_images
    return Images("digits", tuple("0123456789"), x[:n], y[:n], x[n:], y[n:])


@functools.lru_cache(maxsize=1)
def folder(root: str, image_size: int) -> Images:
    """Images in `root`/train/CLASS/* and `root`/test/CLASS/*, resized to a square of `image_size`.

    Raises UserError if a folder is missing or empty, or the classes differ between the two.
    """
    transform = v2.Compose([v2.PILToTensor(), v2.Resize((image_size, image_size), antialias=True)])
    try:
        train, test = (
            torchvision.datasets.ImageFolder(str(Path(root) / part), transform)
            for part in ("train", "test")
        )
    except OSError as error:
        raise UserError(
            f"No image folder in {Path(root).resolve()} ({first_line(error)}). Expected "
            "train/CLASS/*.png and test/CLASS/*.png (or .jpg, ...) in data.source.root."
        ) from error
    if train.classes != test.classes:
        raise UserError(
            f"{root}: train has the classes {train.classes}, test has {test.classes}: "
            "they must be the same."
        )
    images = [torch.stack([image.permute(1, 2, 0) for image, _ in d]) for d in (train, test)]
    labels = [torch.tensor(d.targets) for d in (train, test)]
    return Images(Path(root).name, tuple(train.classes), images[0], labels[0], images[1], labels[1])


@functools.lru_cache(maxsize=1)
def synthetic(
    train_images: int = 512, test_images: int = 128, image_size: int = 16, classes: int = 4
) -> Images:
    """Generated images for tests: each class is a fixed smooth pattern under noise."""
    rng = np.random.default_rng(0)
    coarse = rng.uniform(60, 195, (classes, 4, 4, 3))
    patterns = coarse.repeat(image_size // 4, axis=1).repeat(image_size // 4, axis=2)
    total = train_images + test_images
    labels = rng.integers(classes, size=total)
    noise = rng.normal(0, 60, (total, *patterns.shape[1:]))
    images = (patterns[labels] + noise).clip(0, 255).astype(np.uint8)
    x, y, n = torch.from_numpy(images), torch.from_numpy(labels), train_images
    names = tuple(f"class {c}" for c in range(classes))
    return Images("synthetic", names, x[:n], y[:n], x[n:], y[n:])


def _channels_last(images: Tensor, channels_first: bool) -> Tensor:
    """[N, H, W], [N, C, H, W] or [N, H, W, C] uint8 -> contiguous [N, H, W, C]."""
    if images.ndim == 3:
        images = images[..., None]
    elif channels_first:
        images = images.permute(0, 2, 3, 1)
    # torchvision's CIFAR is a transposed view; gathering pixels needs their channels side by side.
    return images.contiguous()
