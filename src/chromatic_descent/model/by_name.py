"""Networks of torchvision's and timm's by their names, fitted to the images and classes at hand.

Both libraries have hundreds, made for ImageNet: colour images of 224 pixels, 1,000 classes. What
stands between those and a data set is done here, in `ByName`, and to the tensors, so that a
network's own weights keep their names and shapes.
"""

import difflib
import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
import torchvision
from torch import Tensor, nn

from chromatic_descent.errors import UserError

_AUXILIARY = {"googlenet": ("aux1", "aux2"), "inception_v3": ("AuxLogits",)}  # heads for training


class ByName(nn.Module):
    """A network of another library's between images as they are and logits as they should be.

    images [B, C, H, W] -> logits [B, classes], float32

    Args:
        body: the network. Its linear layers with an output for each class become float32
            whatever autocast says; if its logits do not come out as float32 then, all of it is.
        num_classes: of the data set.
        grey: whether images have one channel and `body` wants three: each is shown thrice.
        resize: the side in pixels to which images are scaled first, bilinearly; None for as is.
    """

    def __init__(self, body: nn.Module, num_classes: int, grey: bool, resize: int | None):
        super().__init__()
        for name, layer in list(body.named_modules()):
            if type(layer) is nn.Linear and layer.out_features == num_classes:
                body.set_submodule(name, _exact(layer))
        self.body, self.grey, self.resize, self.mixed = body, grey, resize, True

    def forward(self, images: Tensor) -> Tensor:
        """images [B, C, H, W] -> logits [B, classes]."""
        if self.grey:
            images = images.expand(-1, 3, -1, -1)
        if self.resize is not None:
            size = (self.resize, self.resize)
            images = F.interpolate(images, size, mode="bilinear", antialias=True)
        if self.mixed:
            logits: Tensor = self.body(images)
        else:
            with torch.autocast(images.device.type, enabled=False):
                logits = self.body(images)
        return logits


def torchvision_network(
    in_channels: int,
    num_classes: int,
    image_size: tuple[int, int],
    name: str | None = None,
    weights: str | None = None,
    resize: int | None = None,
) -> ByName:
    """A classification network of torchvision's.

    Args:
        in_channels: 1 or 3.
        num_classes: of the data set.
        image_size: height and width of its images.
        name: one of `torchvision.models.list_models(module=torchvision.models)`.
        weights: pretrained ones, `DEFAULT` or such as `IMAGENET1K_V1`; torchvision downloads them.
            The head is a new one.
        resize: the side in pixels to which images are scaled, bilinearly.

    Raises:
        UserError: there is no such network or no such weights, they cannot be downloaded, or the
            network cannot take such images.
    """
    models = torchvision.models
    name = _known("torchvision", name, models.list_models(module=models))
    if in_channels not in (1, 3):
        raise UserError(
            f"model=torchvision takes images of 1 or 3 channels, these have {in_channels}: "
            "model=timm takes any number."
        )
    if weights is not None:
        body = _pretrained(name, weights)
        _replace_head(body, num_classes)
    else:
        options: dict[str, Any] = {"num_classes": num_classes}
        if name in _AUXILIARY:
            options["init_weights"] = True  # the default, which else is warned of
        if name.startswith("vit_"):  # has a place for each patch, and so one size
            options["image_size"] = _side(name, image_size, resize)
        try:
            body = models.get_model(name, **options)
        except Exception as error:  # each network has its own way to say that a size is wrong
            raise _unfit(name, image_size, resize, error) from error
    for auxiliary in _AUXILIARY.get(name, ()):
        setattr(body, auxiliary, None)
        setattr(body, "aux_logits", False)  # noqa: B010 (nn.Module types attributes as modules)
    network = ByName(body, num_classes, in_channels == 1, _checked(resize))
    return _tried(network, name, in_channels, num_classes, image_size)


def timm_network(
    in_channels: int,
    num_classes: int,
    image_size: tuple[int, int],
    name: str | None = None,
    weights: str | None = None,
    resize: int | None = None,
) -> ByName:
    """A network of timm's, which is an extra.

    Args:
        in_channels: any number.
        num_classes: of the data set.
        image_size: height and width of its images.
        name: one of `timm.list_models()`.
        weights: pretrained ones, `DEFAULT` or a tag such as `a1_in1k`; timm downloads them. The
            head is a new one, and the first layer is made for `in_channels`.
        resize: the side in pixels to which images are scaled, bilinearly.

    Raises:
        UserError: timm is not installed; else as `torchvision_network`.
    """
    if importlib.util.find_spec("timm") is None:
        raise UserError(
            "model=timm needs timm: pip install 'chromatic-descent[timm]', or take "
            "model=torchvision."
        )
    import timm

    name = _known("timm", name, timm.list_models())
    tags = [full.partition(".")[2] for full in timm.list_pretrained(f"{name}.*")]
    if weights not in (None, "DEFAULT", *tags):
        raise UserError(
            f"model.weights={weights}: expected one of {', '.join(['DEFAULT', *tags])} for {name}."
        )
    about = timm.get_pretrained_cfg(name)
    options: dict[str, Any] = {"num_classes": num_classes, "in_chans": in_channels}
    if about is not None and about.fixed_input_size:
        options["img_size"] = (resize, resize) if resize is not None else tuple(image_size)
    full = name if weights in (None, "DEFAULT") else f"{name}.{weights}"
    try:
        body = timm.create_model(full, pretrained=weights is not None, **options)
    except Exception as error:
        if weights is not None:
            raise UserError(
                f"model.weights={weights} of {name} could not be loaded "
                f"({_first_line(error)}). They come from the Hugging Face hub: load them once "
                "where there is a network, and bring its cache (HF_HOME) here."
            ) from error
        raise _unfit(name, image_size, resize, error) from error
    network = ByName(body, num_classes, False, _checked(resize))
    return _tried(network, name, in_channels, num_classes, image_size)


class _Exact(nn.Linear):
    """A linear layer in float32 whatever autocast says: see SmallCNN.forward."""

    def forward(self, input: Tensor) -> Tensor:
        with torch.autocast(input.device.type, enabled=False):
            return super().forward(input.float())


def _exact(layer: nn.Linear) -> _Exact:
    """The same layer, with the same weights, as `_Exact`."""
    exact = _Exact(layer.in_features, layer.out_features, layer.bias is not None, device="meta")
    exact.weight, exact.bias = layer.weight, layer.bias
    return exact


def _known(library: str, name: str | None, names: Sequence[str]) -> str:
    """Return `name` if it is one of `names`, else raise UserError with those that are like it."""
    if name in names:
        return str(name)
    near = difflib.get_close_matches(str(name), names, n=5) if name is not None else []
    like = f"is it one of {', '.join(near)}?" if near else "expected one such as resnet18;"
    raise UserError(
        f"model.name={name or 'null'}: {library} has no classification network of that name; "
        f"{like} {len(names)} are listed by {_LISTED[library]}."
    )


_LISTED = {
    "torchvision": "torchvision.models.list_models(module=torchvision.models)",
    "timm": "timm.list_models()",
}


def _pretrained(name: str, weights: str) -> nn.Module:
    """torchvision's network with weights that it downloads, for their own classes."""
    known = torchvision.models.get_model_weights(name).__members__
    if weights not in known:
        raise UserError(f"model.weights={weights}: expected one of {', '.join(known)} for {name}.")
    try:
        body: nn.Module = torchvision.models.get_model(name, weights=known[weights])
    except (OSError, RuntimeError) as error:
        folder = Path(torch.hub.get_dir()) / "checkpoints"
        raise UserError(
            f"model.weights={weights} of {name} could not be downloaded ({_first_line(error)}). "
            f"Without a network, put {Path(known[weights].url).name} into {folder}."
        ) from error
    return body


def _replace_head(body: nn.Module, num_classes: int) -> None:
    """Put a new last layer, for other classes, in the place of a torchvision network's."""
    layers = [pair for pair in body.named_modules() if isinstance(pair[1], (nn.Linear, nn.Conv2d))]
    name, head = layers[-1]
    new: nn.Module
    if isinstance(head, nn.Linear):
        new = nn.Linear(head.in_features, num_classes, head.bias is not None)
    else:  # SqueezeNet's
        new = nn.Conv2d(head.in_channels, num_classes, 1)
    body.set_submodule(name, new)


def _tried(
    network: ByName, name: str, in_channels: int, num_classes: int, image_size: tuple[int, int]
) -> ByName:
    """Return the network if it turns two images into their logits, else raise UserError."""
    images = torch.zeros(2, in_channels, *image_size)
    network.eval()
    try:
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
            logits = network(images)
    except Exception as error:
        raise _unfit(name, image_size, network.resize, error) from error
    if not isinstance(logits, Tensor) or logits.shape != (2, num_classes):
        found = list(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        raise UserError(
            f"model.name={name} gives {found} for two images, expected logits [2, {num_classes}]: "
            "it is no network with one answer for each image."
        )
    network.mixed = logits.dtype == torch.float32
    return network.train()


def _checked(resize: object) -> int | None:
    if resize is None or (isinstance(resize, int) and not isinstance(resize, bool) and resize > 0):
        return resize
    raise UserError(f"model.resize={resize}: expected a number of pixels, or null for as they are.")


def _side(name: str, image_size: tuple[int, int], resize: int | None) -> int:
    """The side of the square images that a network will see, or UserError if they are none."""
    height, width = (resize, resize) if resize is not None else image_size
    if height != width:
        raise UserError(
            f"model.name={name} takes square images, these have {height}x{width} pixels: "
            "model.resize=PIXELS makes them square."
        )
    return height


def _unfit(
    name: str, image_size: tuple[int, int], resize: int | None, error: Exception
) -> UserError:
    scaled = "" if resize is None else f", scaled to {resize}x{resize}"
    return UserError(
        f"model.name={name} cannot take images of {image_size[0]}x{image_size[1]} pixels{scaled} "
        f"({_first_line(error)}). model.resize=PIXELS scales them first: most networks are made "
        "for 224."
    )


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0].rstrip(". ") if str(error) else type(error).__name__
