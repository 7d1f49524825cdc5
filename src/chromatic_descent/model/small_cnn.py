"""A small, fast convolutional network after airbench (Jordan 2024, arXiv:2404.00498)."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from chromatic_descent.errors import UserError


class SmallCNN(nn.Module):
    """Whitening convolution, groups of two 3x3 convolutions, global max-pool, scaled linear head.

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
        smallest = (min(image_size) - whiten_size + 1) >> len(widths)
        if smallest < 1:
            raise UserError(
                f"model.widths={list(widths)} halves the image {len(widths)} times, and images of "
                f"{image_size[0]}x{image_size[1]} are too small for that: give fewer widths."
            )
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
        self.head = nn.Linear(widths[-1], num_classes, bias=False)
        self.head.weight.data /= self.head.weight.data.std()
        self.output_scale = output_scale if output_scale is not None else 1 / widths[-1]

    def forward(self, images: Tensor) -> Tensor:
        """images [B, C, H, W] -> logits [B, classes]."""
        x = F.relu(self.whiten(images))
        x = self.groups(x)  # [B, W, h, w]
        x = x.amax((2, 3))  # [B, W]
        # bfloat16 has 8 bits: enough for features, too coarse for logits that will be compared.
        with torch.autocast(x.device.type, enabled=False):
            logits: Tensor = self.head(x.float()) * self.output_scale
        return logits

    @torch.no_grad()
    def initialise_from(self, images: Tensor, epsilon: float = 5e-4) -> None:
        """Set the first layer to whiten the patches of `images` [n, C, H, W].

        With patches x and E[x xᵀ] = V diag(λ) Vᵀ, its rows are ±v / √(λ + ε). The layer stays
        fixed, and the same training images give every member the same one.
        """
        side = self.whiten.kernel_size[0]
        patches = F.unfold(images.float().contiguous(), side).transpose(1, 2)  # [n, places, C·k·k]
        patches = patches.reshape(-1, patches.shape[-1])
        covariance = patches.T.double() @ patches.double() / len(patches)
        eigenvalues, vectors = torch.linalg.eigh(covariance)
        rows = (vectors / (eigenvalues + epsilon).sqrt()).T
        weight = torch.cat([rows, -rows]).to(self.whiten.weight)
        self.whiten.weight.copy_(weight.view_as(self.whiten.weight))


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
