"""The images that divide members: small pictures, and the class that each member predicts.

Nothing in a study is instantiated: pictures come from this package's own sources, by the name of
the study's data set, whose fingerprint has to agree, or from a file that the user names.
"""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chromatic_descent.analysis import Analysis, NotComputed
from chromatic_descent.errors import UserError
from chromatic_descent.files.arrays import BROKEN
from chromatic_descent.probe_logits import Population

_TORCHVISION = ("CIFAR10", "CIFAR100", "SVHN", "MNIST", "FashionMNIST")
_LARGEST = 96  # pixels a side; larger images are made smaller
_SHOWN_AXES = 2


@dataclass(frozen=True)
class Pictures:
    """PNGs as data URIs by position in the probe, or why there are none."""

    uris: dict[int, str] = field(default_factory=dict)
    reason: str = ""


def pictures_from_file(path: Path | str, positions: list[int], images: int) -> Pictures:
    """Pictures of a `.npy` of the probe's images, uint8 [N, H, W] or [N, H, W, C], C 1 or 3.

    Raises UserError if it cannot be read or has another shape.
    """
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except BROKEN as error:
        raise UserError(f"images={path} cannot be read ({error}): expected a .npy.") from error
    shape: tuple[int, ...] = getattr(array, "shape", ())
    dtype = getattr(array, "dtype", type(array).__name__)
    is_image = len(shape) == 3 or (len(shape) == 4 and shape[3] in (1, 3))
    if dtype != np.uint8 or not is_image or shape[0] != images:
        raise UserError(
            f"images={path} is {dtype} {list(shape)}: expected uint8 [{images}, height, width, 1 "
            "or 3], an image for each of the probe's."
        )
    return Pictures({position: data_uri(np.asarray(array[position])) for position in positions})


def pictures_from_dataset(
    population: Population, root: Path | str, positions: list[int]
) -> Pictures:
    """Pictures of the data set that the members' records name, if it is the same here."""
    dataset = population.records[0]["dataset"]
    name, fingerprint = dataset["name"], dataset.get("fingerprint")
    if fingerprint is None:
        return Pictures(reason="members were given as logits: images=FILE.npy adds the images")
    try:
        images = _load(name, root)
    except UserError as error:
        return Pictures(reason=str(error).splitlines()[0])
    if images.fingerprint != fingerprint:
        return Pictures(reason=f"the {name} on this machine is not the one members learned")
    pixels, indices = images.test_images, population.indices
    if not ((indices >= 0) & (indices < len(pixels))).all():
        return Pictures(reason=f"members were recorded on images that {name} does not have")
    return Pictures({k: data_uri(pixels[int(indices[k])].numpy()) for k in positions})


def _load(name: str, root: Path | str) -> Any:
    """A data set of this package's own sources."""
    if name not in (*_TORCHVISION, "digits", "synthetic"):
        raise UserError(
            f"{' '.join(str(name).split())} is not a data set that can be loaded by its name: "
            "images=FILE.npy adds the probe's images"
        )
    from chromatic_descent.data import sources  # imports torch

    if name in _TORCHVISION:
        return sources.torchvision_images(name, str(root))
    return sources.digits() if name == "digits" else sources.synthetic()


def data_uri(image: NDArray[np.uint8]) -> str:
    """An image [H, W], [H, W, 1] or [H, W, 3] as the data URI of a PNG."""
    from PIL import Image

    pixels = image[..., 0] if image.ndim == 3 and image.shape[2] == 1 else image
    picture = Image.fromarray(np.ascontiguousarray(pixels))
    picture.thumbnail((_LARGEST, _LARGEST))
    picture.save(buffer := io.BytesIO(), "PNG", optimize=True)
    return png_uri(buffer)


def png_uri(png: io.BytesIO) -> str:
    """A PNG as a data URI."""
    return f"data:image/png;base64,{base64.b64encode(png.getvalue()).decode()}"


def main_distance(analysis: Analysis) -> str:
    """The distance that members are coloured by, or the first with a map if that one has none."""
    name, maps = analysis.colours.distance, analysis.maps.computed()
    return name if name in maps else next(iter(maps), name)


def shown_images(analysis: Analysis) -> list[int]:
    """The positions in the probe of all images that the page shows."""
    disputed = analysis.per_image.disputed
    shown = [] if isinstance(disputed, NotComputed) else list(disputed["image"])
    ends = analysis.per_image.axis_ends.get(main_distance(analysis))
    if ends is not None:
        shown += list(ends[ends["axis"] <= _SHOWN_AXES]["image"])
    return sorted({int(image) for image in shown})


def disputed_images(analysis: Analysis, pictures: Pictures) -> list[dict[str, Any]] | str:
    """The images on which most pairs of members disagree, or why there are none."""
    disputed = analysis.per_image.disputed
    if isinstance(disputed, NotComputed):
        return disputed.reason
    members = range(len(analysis.population.records))
    return [
        _card(analysis, pictures, row, members) | {"disagreement": row["disagreement"]}
        for row in disputed.to_dict("records")
    ]


def axis_ends(analysis: Analysis, pictures: Pictures) -> list[dict[str, Any]]:
    """By axis: the images that members at each end classify better than those at the other end.

    Members are listed from the − end to the + end.
    """
    distance = main_distance(analysis)
    view, ends = analysis.maps.find(distance), analysis.per_image.axis_ends.get(distance)
    if isinstance(view, NotComputed) or ends is None:
        return []
    axes: dict[int, dict[str, Any]] = {}
    for row in (
        ends[ends["axis"] <= _SHOWN_AXES].sort_values("axis", kind="stable").to_dict("records")
    ):
        axis = axes.setdefault(int(row["axis"]), {"axis": int(row["axis"]), "+": [], "-": []})
        along = view.coordinates[:, axis["axis"] - 1].argsort(kind="stable").tolist()
        axis[row["end"]].append(_card(analysis, pictures, row, along))
    return list(axes.values())


def _card(
    analysis: Analysis, pictures: Pictures, row: Mapping[Any, Any], members: Sequence[int]
) -> dict[str, Any]:
    """One image: its picture, its class, and members by predicted class, most frequent first."""
    classes = analysis.population.classes
    image, label = int(row["image"]), int(row["label"])
    predicted = analysis.per_image.predicted_for(image)  # [S]
    by_class: dict[int, list[int]] = {}
    for member in members:
        by_class.setdefault(int(predicted[member]), []).append(member)
    return {
        "picture": pictures.uris.get(image, ""),
        "index": int(row["index"]),
        "label": classes[label],
        "predictions": [
            {"name": classes[k], "right": k == label, "members": predicting}
            for k, predicting in sorted(by_class.items(), key=lambda pair: -len(pair[1]))
        ],
    }
