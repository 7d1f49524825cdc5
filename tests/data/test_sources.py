import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from chromatic_descent.data import sources
from chromatic_descent.errors import UserError


def check(images, channels, size, classes):
    for part in ("train", "test"):
        pixels, labels = getattr(images, f"{part}_images"), getattr(images, f"{part}_labels")
        assert pixels.dtype == torch.uint8
        assert pixels.shape == (len(labels), *size, channels)
        assert pixels.is_contiguous()
        assert labels.dtype == torch.int64
        assert set(labels.tolist()) == set(range(classes))
    assert len(images.classes) == classes


def test_digits_are_all_there_and_not_twice():
    images = sources.digits()
    check(images, 1, (8, 8), 10)
    assert len(images.train_labels) + len(images.test_labels) == 1797
    assert sources.digits() is images


def test_synthetic_classes_can_be_told_apart():
    images = sources.synthetic(classes=3, image_size=8)
    check(images, 3, (8, 8), 3)
    means = torch.stack(
        [images.train_images[images.train_labels == c].float().mean(0) for c in range(3)]
    )
    distance = (images.test_images.float()[:, None] - means).square().sum((2, 3, 4))
    assert (distance.argmin(1) == images.test_labels).float().mean() > 0.9


def test_image_folder(tmp_path):
    rng = np.random.default_rng(0)
    for part in ("train", "test"):
        for label in ("cat", "dog"):
            folder = tmp_path / part / label
            folder.mkdir(parents=True)
            for k in range(2):
                pixels = rng.integers(0, 256, (10, 12, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / f"{k}.png")
    images = sources.folder(str(tmp_path), 8)
    check(images, 3, (8, 8), 2)
    assert images.classes == ("cat", "dog")


def test_image_folder_missing_or_uneven(tmp_path):
    with pytest.raises(UserError, match=r"No image folder in .*train/CLASS/\*\.png"):
        sources.folder(str(tmp_path), 8)
    for part, label in [("train", "cat"), ("test", "dog")]:
        (tmp_path / part / label).mkdir(parents=True)
        Image.new("RGB", (4, 4)).save(tmp_path / part / label / "0.png")
    with pytest.raises(UserError, match="must be the same"):
        sources.folder(str(tmp_path), 8)


@pytest.mark.parametrize("name", ["CIFAR10", "CIFAR100", "SVHN", "MNIST", "FashionMNIST"])
def test_missing_data_says_where_and_what_to_do(tmp_path, name):
    with pytest.raises(UserError) as caught:
        sources.torchvision_images(name, str(tmp_path))
    for part in (
        str(tmp_path),
        "data.source.download=true",
        "CHROMATIC_DATA_DIR",
        "experiment=demo",
    ):
        assert part in str(caught.value)


@pytest.mark.parametrize(
    ("channels_first", "shape", "wanted"),
    [
        (False, (5, 4, 3), (5, 4, 3, 1)),
        (False, (5, 4, 6, 3), (5, 4, 6, 3)),
        (True, (5, 3, 4, 6), (5, 4, 6, 3)),
    ],
)
def test_every_layout_becomes_channels_last(channels_first, shape, wanted):
    assert sources._channels_last(torch.zeros(shape), channels_first).shape == wanted


def test_the_fingerprint_sees_every_pixel_and_label():
    images = sources.synthetic(train_images=8, test_images=8)
    parts = {k: v for k, v in vars(images).items() if k != "fingerprint"}
    changed = images.test_labels.clone()
    changed[-1] = (changed[-1] + 1) % 4
    other = sources.Images(**{**parts, "test_labels": changed})
    assert sources.Images(**parts).fingerprint == images.fingerprint != other.fingerprint


@pytest.mark.slow
def test_real_cifar10_and_its_statistics():
    root = Path(os.environ.get("CHROMATIC_DATA_DIR", "data"))
    images = sources.torchvision_images("CIFAR10", str(root))
    check(images, 3, (32, 32), 10)
    assert images.classes[:2] == ("airplane", "automobile")
    pixels = images.train_images.double() / 255
    np.testing.assert_allclose(pixels.mean((0, 1, 2)), [0.4914, 0.4822, 0.4465], atol=1e-4)
    np.testing.assert_allclose(pixels.std((0, 1, 2)), [0.2470, 0.2435, 0.2616], atol=1e-4)
