"""Networks of torchvision and timm by their names, fitted to the images and classes at hand.

Most of them are made for ImageNet: colour images of 224 pixels, 1,000 classes. `ByName` adapts
other images as tensors, so that a network's weights keep their names and shapes.
"""

import difflib
import importlib.util
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
import torchvision
from torch import Tensor, nn

from chromatic_descent.errors import UserError, first_line, is_whole
from chromatic_descent.model.networks import Head

_AUXILIARY = {"googlenet": ("aux1", "aux2"), "inception_v3": ("AuxLogits",)}  # heads for training
_LISTED = {
    "torchvision": "torchvision.models.list_models(module=torchvision.models)",
    "timm": "timm.list_models()",
}


class ByName(nn.Module):
    """A network of another library, for this data set's images and with float32 logits.

    images [B, C, H, W] -> logits [B, classes], float32

    Args:
        body: the network. Its linear layers with an output for each class compute in float32,
            without autocast; if its logits are still not float32, the whole network does.
        num_classes: of the data set.
        grey: whether images have one channel and `body` takes three: the channel is repeated.
        resize: the side in pixels to which images are scaled first, bilinearly; None: not scaled.
    """

    def __init__(self, body: nn.Module, num_classes: int, grey: bool, resize: int | None):
        super().__init__()
        for name, layer in list(body.named_modules()):
            if type(layer) is nn.Linear and layer.out_features == num_classes:
                body.set_submodule(name, Head.from_linear(layer))
        self.body, self.grey, self.resize, self.mixed = body, grey, resize, True

    def forward(self, images: Tensor) -> Tensor:
        """images [B, C, H, W] -> logits [B, classes]."""
        if self.grey:
            images = images.expand(-1, 3, -1, -1)
        if self.resize is not None:
            size = (self.resize, self.resize)
            images = F.interpolate(images, size, mode="bilinear", antialias=True)
        exact = torch.autocast(images.device.type, enabled=False)
        with nullcontext() if self.mixed else exact:
            logits: Tensor = self.body(images)
        return logits


def torchvision_network(
    in_channels: int,
    num_classes: int,
    image_size: tuple[int, int],
    name: str | None = None,
    weights: str | None = None,
    resize: int | None = None,
) -> ByName:
    """A classification network of torchvision.

    Args:
        in_channels: 1 or 3.
        num_classes: of the data set.
        image_size: height and width of its images.
        name: one of `torchvision.models.list_models(module=torchvision.models)`.
        weights: pretrained weights, `DEFAULT` or a name like `IMAGENET1K_V1`, which torchvision
            downloads, with a new head; None: untrained.
        resize: see `ByName`.

    Raises UserError for unknown networks or weights, a failed download, or images that do not fit.
    """
    models = torchvision.models
    names = models.list_models(module=models)
    fit = _Fit("torchvision", name, names, in_channels, num_classes, image_size, resize)
    if in_channels not in (1, 3):
        raise UserError(
            f"model=torchvision takes images of 1 or 3 channels, these have {in_channels}: "
            "model=timm takes any number."
        )
    if weights is not None:
        body = _pretrained(fit.name, weights, num_classes)
    else:
        options: dict[str, Any] = {"num_classes": num_classes}
        if fit.name in _AUXILIARY:
            options["init_weights"] = True  # the default; torchvision warns if it is left out
        if fit.name.startswith("vit_"):  # it embeds the position of each patch: one size only
            options["image_size"] = fit.side()
        try:
            body = models.get_model(fit.name, **options)
        except Exception as error:  # each network reports a wrong size in its own way
            raise fit.refused(error) from error
    for auxiliary in _AUXILIARY.get(fit.name, ()):
        setattr(body, auxiliary, None)
        setattr(body, "aux_logits", False)  # noqa: B010 (nn.Module types attributes as modules)
    return fit.wrapped(body, grey=in_channels == 1)


def timm_network(
    in_channels: int,
    num_classes: int,
    image_size: tuple[int, int],
    name: str | None = None,
    weights: str | None = None,
    resize: int | None = None,
) -> ByName:
    """A network of timm, which is an extra. Other arguments are as for `torchvision_network`.

    Args:
        in_channels: any number; the first layer is adapted to it.
        name: one of `timm.list_models()`.
        weights: pretrained weights, `DEFAULT` or a tag like `a1_in1k`, which timm downloads, with a
            new head; None: untrained.

    Raises UserError if timm is not installed, and where `torchvision_network` does.
    """
    if importlib.util.find_spec("timm") is None:
        raise UserError(
            "model=timm needs timm: pip install 'chromatic-descent[timm]', or take "
            "model=torchvision."
        )
    import timm

    names = timm.list_models()
    fit = _Fit("timm", name, names, in_channels, num_classes, image_size, resize)
    tags = [full.partition(".")[2] for full in timm.list_pretrained(f"{fit.name}.*")]
    if weights not in (None, "DEFAULT", *tags):
        raise UserError(
            f"model.weights={weights}: expected one of {', '.join(['DEFAULT', *tags])} for "
            f"{fit.name}."
        )
    about = timm.get_pretrained_cfg(fit.name)
    options: dict[str, Any] = {"num_classes": num_classes, "in_chans": in_channels}
    if about is not None and about.fixed_input_size:
        options["img_size"] = fit.size
    full = fit.name if weights in (None, "DEFAULT") else f"{fit.name}.{weights}"
    try:
        body = timm.create_model(full, pretrained=weights is not None, **options)
    except Exception as error:
        if weights is not None:
            raise UserError(
                f"model.weights={weights} of {fit.name} could not be loaded "
                f"({first_line(error)}). They come from the Hugging Face hub: load them once on "
                "a machine with internet access, and copy its cache (HF_HOME) here."
            ) from error
        raise fit.refused(error) from error
    return fit.wrapped(body)


@dataclass(frozen=True)
class _Fit:
    """A checked network name, and the images and classes that the network must fit."""

    library: str
    name: Any  # text, once it is checked
    names: Sequence[str]  # all names in the library
    in_channels: int
    num_classes: int
    image_size: tuple[int, int]
    resize: int | None

    def __post_init__(self) -> None:
        if self.name not in self.names:
            near = difflib.get_close_matches(str(self.name), self.names, n=5) if self.name else []
            like = f"is it one of {', '.join(near)}?" if near else "expected one such as resnet18;"
            raise UserError(
                f"model.name={self.name or 'null'}: {self.library} has no classification network "
                f"of that name; {like} {len(self.names)} are listed by {_LISTED[self.library]}."
            )
        if self.resize is not None and not is_whole(self.resize, 1):
            raise UserError(
                f"model.resize={self.resize}: expected a number of pixels, or null for no scaling."
            )

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the images that the network sees."""
        height, width = self.image_size
        return (height, width) if self.resize is None else (self.resize, self.resize)

    def side(self) -> int:
        """The side of the images that the network sees; raises UserError if they are not square."""
        height, width = self.size
        if height != width:
            raise UserError(
                f"model.name={self.name} takes square images, these have {height}x{width} pixels: "
                "model.resize=PIXELS makes them square."
            )
        return height

    def wrapped(self, body: nn.Module, grey: bool = False) -> ByName:
        """The network, if it turns two images into their logits; otherwise raises UserError."""
        network = ByName(body, self.num_classes, grey, self.resize).eval()
        images = torch.zeros(2, self.in_channels, *self.image_size)
        try:
            with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
                logits = network(images)
        except Exception as error:
            raise self.refused(error) from error
        if not isinstance(logits, Tensor) or logits.shape != (2, self.num_classes):
            kind = list(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
            raise UserError(
                f"model.name={self.name} gives {kind} for two images, expected logits "
                f"[2, {self.num_classes}]: it does not classify whole images."
            )
        network.mixed = logits.dtype == torch.float32
        return network.train()

    def refused(self, error: Exception) -> UserError:
        """The error for images that the network cannot take."""
        height, width = self.image_size
        scaled = "" if self.resize is None else f", scaled to {self.resize}x{self.resize}"
        return UserError(
            f"model.name={self.name} cannot take images of {height}x{width} pixels{scaled} "
            f"({first_line(error)}). model.resize=PIXELS scales them first: most networks are "
            "made for 224."
        )


def _pretrained(name: str, weights: str, num_classes: int) -> nn.Module:
    """torchvision's network with downloaded weights and a new last layer."""
    known = torchvision.models.get_model_weights(name).__members__
    if weights not in known:
        raise UserError(f"model.weights={weights}: expected one of {', '.join(known)} for {name}.")
    try:
        body: nn.Module = torchvision.models.get_model(name, weights=known[weights])
    except (OSError, RuntimeError) as error:
        folder = Path(torch.hub.get_dir()) / "checkpoints"
        raise UserError(
            f"model.weights={weights} of {name} could not be downloaded ({first_line(error)}). "
            f"Without a network, put {Path(known[weights].url).name} into {folder}."
        ) from error
    layers = [pair for pair in body.named_modules() if isinstance(pair[1], (nn.Linear, nn.Conv2d))]
    last, head = layers[-1]
    if isinstance(head, nn.Linear):
        body.set_submodule(last, nn.Linear(head.in_features, num_classes, head.bias is not None))
    else:  # SqueezeNet's
        body.set_submodule(last, nn.Conv2d(head.in_channels, num_classes, 1))
    return body
