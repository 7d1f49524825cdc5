"""The probe's images as small pictures, if they can be loaded without trusting the study.

A study holds the name and a fingerprint of its data set. Nothing in a study is instantiated: the
images come from this package's own sources, by that name, or from a file that the user names. The
fingerprint has to agree.
"""

import base64
import io
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chromatic_descent.errors import UserError
from chromatic_descent.files.arrays import BROKEN
from chromatic_descent.probe_logits import Population

_TORCHVISION = ("CIFAR10", "CIFAR100", "SVHN", "MNIST", "FashionMNIST")
_LARGEST = 96  # pixels a side; larger images are made smaller


@dataclass(frozen=True)
class Pictures:
    """PNGs as data URIs by position in the probe, or why there are none."""

    uris: dict[int, str] = field(default_factory=dict)
    reason: str = ""


def from_file(path: Path | str, positions: list[int], images: int) -> Pictures:
    """Pictures of a `.npy` of the probe's images, uint8 [N, H, W] or [N, H, W, C], C 1 or 3.

    Raises UserError if it cannot be read or has another shape.
    """
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except BROKEN as error:
        raise UserError(f"images={path} cannot be read ({error}): expected a .npy.") from error
    shape: tuple[int, ...] = getattr(array, "shape", ())
    grey = len(shape) == 3
    if not (
        getattr(array, "dtype", None) == np.uint8
        and (grey or (len(shape) == 4 and shape[3] in (1, 3)))
        and len(array) == images
    ):
        raise UserError(
            f"images={path} is {getattr(array, 'dtype', type(array).__name__)} {list(shape)}: "
            f"expected uint8 [{images}, height, width, 1 or 3], an image for each of the probe's."
        )
    return _drawn({position: np.asarray(array[position]) for position in positions})


def from_dataset(population: Population, root: Path | str, positions: list[int]) -> Pictures:
    """Pictures of the data set that the members' records name, if it is the same here."""
    dataset = population.records[0]["dataset"]
    name, fingerprint = dataset["name"], dataset.get("fingerprint")
    if fingerprint is None:
        return Pictures(reason="members were given as logits: images=FILE.npy adds the images")
    try:
        images = _load(name, root)
    except UserError as error:
        return Pictures(reason=str(error).splitlines()[0])
    if images is None:
        return Pictures(
            reason=f"{name} is not a data set that can be loaded by its name: images=FILE.npy "
            "adds the probe's images"
        )
    if images.fingerprint != fingerprint:
        return Pictures(reason=f"the {name} on this machine is not the one members learned")
    pixels = images.test_images
    if not ((population.indices >= 0) & (population.indices < len(pixels))).all():
        return Pictures(reason=f"members were recorded on images that {name} does not have")
    return _drawn({k: pixels[int(population.indices[k])].numpy() for k in positions})


def _load(name: str, root: Path | str) -> Any:
    if name not in (*_TORCHVISION, "digits", "synthetic"):
        return None
    from chromatic_descent.data import sources  # imports torch

    if name in _TORCHVISION:
        return sources.torchvision_images(name, str(root))
    return sources.digits() if name == "digits" else sources.synthetic()


def _drawn(images: dict[int, NDArray[np.uint8]]) -> Pictures:
    return Pictures({position: data_uri(image) for position, image in images.items()})


def data_uri(image: NDArray[np.uint8]) -> str:
    """An image [H, W], [H, W, 1] or [H, W, 3] as the data URI of a PNG."""
    from PIL import Image

    pixels = image[..., 0] if image.ndim == 3 and image.shape[2] == 1 else image
    picture = Image.fromarray(np.ascontiguousarray(pixels))
    picture.thumbnail((_LARGEST, _LARGEST))
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"
