"""This project's own networks: a small fast one, a textbook CNN, and ResNet-18 for small images."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
import torchvision
from torch import Tensor, nn

from chromatic_descent.errors import UserError

_SMALL = 64  # pixels; up to this, ImageNet's stem (stride 4) would discard most of the image


class Head(nn.Linear):
    """A linear layer in float32, without autocast: bfloat16 is too coarse to compare logits in."""

    def forward(self, input: Tensor) -> Tensor:
        """features [B, W] -> logits [B, classes], float32."""
        with torch.autocast(input.device.type, enabled=False):
            return super().forward(input.float())

    @classmethod
    def from_linear(cls, layer: nn.Linear) -> "Head":
        """The same layer, with the same weights, in float32."""
        head = cls(layer.in_features, layer.out_features, layer.bias is not None, device="meta")
        head.weight, head.bias = layer.weight, layer.bias
        return head


class SmallCNN(nn.Module):
    """A small, fast convolutional network after airbench (Jordan 2024, arXiv:2404.00498).

    Whitening convolution, groups of two 3x3 convolutions, global max-pool, scaled linear head.
    images [B, C, H, W] -> logits [B, classes], float32

    Args:
        in_channels: colour channels of the data set.
        num_classes: logits of each image.
        image_size: height and width in pixels.
        widths: channels of each group; every group halves the image.
        whiten_size: side of the first layer's patches, in pixels.
        output_scale: what the head's outputs are multiplied by; None for 1 / last width.
        norm_momentum: weight of the new batch in BatchNorm's running statistics; high, so that the
            statistics follow fast weights and a short run needs no averaging.
    """

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        image_size: tuple[int, int],
        widths: Sequence[int] = (16, 64, 96),
        whiten_size: int = 2,
        output_scale: float | None = None,
        norm_momentum: float = 0.4,
    ):
        super().__init__()
        _check_widths(widths, image_size, min(image_size) - whiten_size + 1)
        # Eigenvectors of the patches and their negatives: ReLU keeps one of each pair. The layer is
        # fixed, and so is its bias: training the bias would need the gradient of the largest
        # activations, a quarter of a step's time on a CPU, which is better spent on width.
        whitened = 2 * in_channels * whiten_size**2
        self.whiten = nn.Conv2d(in_channels, whitened, whiten_size)
        self.whiten.requires_grad_(False)
        before = [whitened, *widths[:-1]]
        self.groups = nn.Sequential(
            *(_Group(i, o, norm_momentum) for i, o in zip(before, widths, strict=True))
        )
        self.head = Head(widths[-1], num_classes, bias=False)
        self.head.weight.data /= self.head.weight.data.std()
        self.output_scale = output_scale if output_scale is not None else 1 / widths[-1]

    def forward(self, images: Tensor) -> Tensor:
        """images [B, C, H, W] -> logits [B, classes]."""
        features = self.groups(F.relu(self.whiten(images)))  # [B, W, h, w]
        logits: Tensor = self.head(features.amax((2, 3))) * self.output_scale
        return logits

    @torch.no_grad()
    def initialise_from(self, images: Tensor, epsilon: float = 5e-4) -> None:
        """Set the first layer to whiten the patches of `images` [n, C, H, W].

        With patches x and E[x xᵀ] = V diag(λ) Vᵀ, the rows of the weight are ±v / √(λ + ε). The
        layer stays fixed, and is the same for all members with the same training images.
        """
        side = self.whiten.kernel_size[0]
        patches = F.unfold(images.float().contiguous(), side).transpose(
            1, 2
        )  # [n, positions, C·k·k]
        patches = patches.reshape(-1, patches.shape[-1]).double()
        covariance = patches.T @ patches / len(patches)
        eigenvalues, vectors = torch.linalg.eigh(covariance)
        rows = (vectors / (eigenvalues + epsilon).sqrt()).T
        weight = torch.cat([rows, -rows]).to(self.whiten.weight)
        self.whiten.weight.copy_(weight.view_as(self.whiten.weight))


class PlainCNN(nn.Module):
    """The textbook network: 3x3 convolutions with ReLU and 2x2 max-pool, then a hidden layer.

    images [B, C, H, W] -> logits [B, classes], float32. Without normalisation; the first three
    arguments are those of `SmallCNN`.

    Args:
        widths: channels of each convolution; every convolution halves the image.
        hidden: units of the hidden layer.
    """

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        image_size: tuple[int, int],
        widths: Sequence[int] = (32, 64),
        hidden: int = 128,
    ):
        super().__init__()
        _check_widths(widths, image_size, min(image_size))
        height, width = (size >> len(widths) for size in image_size)
        before = [in_channels, *widths[:-1]]
        self.convolutions = nn.ModuleList(
            nn.Conv2d(i, o, 3, padding=1) for i, o in zip(before, widths, strict=True)
        )
        self.hidden = nn.Linear(widths[-1] * height * width, hidden)
        self.head = Head(hidden, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """images [B, C, H, W] -> logits [B, classes]."""
        x = images
        for convolution in self.convolutions:
            x = F.max_pool2d(F.relu(convolution(x)), 2)
        logits: Tensor = self.head(F.relu(self.hidden(x.flatten(1))))
        return logits


class ResNet18(nn.Module):
    """torchvision's ResNet-18 (He et al. 2015, arXiv:1512.03385), without pretrained weights.

    images [B, C, H, W] -> logits [B, classes], float32. Images of up to 64 pixels get a 3x3 stem
    of stride 1 and no max-pool, as is usual for CIFAR. The arguments are those of `SmallCNN`.
    """

    def __init__(self, in_channels: int, num_classes: int, image_size: tuple[int, int]):
        super().__init__()
        body = torchvision.models.resnet18(num_classes=num_classes)
        if min(image_size) <= _SMALL:
            body.conv1 = nn.Conv2d(in_channels, 64, 3, padding=1, bias=False)
            body.maxpool = nn.Identity()
        elif in_channels != 3:
            body.conv1 = nn.Conv2d(in_channels, 64, 7, stride=2, padding=3, bias=False)
        self.head = Head.from_linear(body.fc)
        body.fc = nn.Identity()
        self.body = body

    def forward(self, images: Tensor) -> Tensor:
        """images [B, C, H, W] -> logits [B, classes]."""
        logits: Tensor = self.head(self.body(images))
        return logits


class _Group(nn.Module):
    """Convolution, halving, norm, GELU; convolution, norm, GELU."""

    def __init__(self, channels_in: int, channels_out: int, norm_momentum: float):
        super().__init__()
        self.conv1 = _convolution(channels_in, channels_out)
        self.norm1 = _norm(channels_out, norm_momentum)
        self.conv2 = _convolution(channels_out, channels_out)
        self.norm2 = _norm(channels_out, norm_momentum)

    def forward(self, x: Tensor) -> Tensor:
        x = F.gelu(self.norm1(F.max_pool2d(self.conv1(x), 2)))
        return F.gelu(self.norm2(self.conv2(x)))


def _check_widths(widths: Sequence[int], image_size: tuple[int, int], side: int) -> None:
    """Raise UserError if the `side` of a feature map cannot be halved for each of the widths."""
    if side >> len(widths) < 1:
        raise UserError(
            f"model.widths={list(widths)} halves the image {len(widths)} times, and images of "
            f"{image_size[0]}x{image_size[1]} are too small for that: give fewer widths."
        )


def _convolution(channels_in: int, channels_out: int) -> nn.Conv2d:
    """A 3x3 convolution that starts by passing its inputs on (identity in its first channels)."""
    convolution = nn.Conv2d(channels_in, channels_out, 3, padding=1, bias=False)
    passed = min(channels_in, channels_out)
    nn.init.dirac_(convolution.weight.data[:passed])
    return convolution


def _norm(channels: int, momentum: float) -> nn.BatchNorm2d:
    """BatchNorm with a bias and no scale: the next layer's filters are normalised anyway."""
    norm = nn.BatchNorm2d(channels, eps=1e-12, momentum=momentum)
    norm.weight.requires_grad = False
    return norm
