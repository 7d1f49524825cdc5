"""The textbook convolutional network."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from chromatic_descent.errors import UserError


class PlainCNN(nn.Module):
    """3x3 convolutions, each with ReLU and 2x2 max-pool, then one hidden layer. No normalisation.

    images [B, C, H, W] -> logits [B, classes], float32

    Args:
        in_channels: colour channels of the data set.
        num_classes: logits of each image.
        image_size: height and width in pixels.
        widths: channels of each convolution; every one halves the image.
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
        height, width = (size >> len(widths) for size in image_size)
        if min(height, width) < 1:
            raise UserError(
                f"model.widths={list(widths)} halves the image {len(widths)} times, and images of "
                f"{image_size[0]}x{image_size[1]} are too small for that: give fewer widths."
            )
        before = [in_channels, *widths[:-1]]
        self.convolutions = nn.ModuleList(
            nn.Conv2d(i, o, 3, padding=1) for i, o in zip(before, widths, strict=True)
        )
        self.hidden = nn.Linear(widths[-1] * height * width, hidden)
        self.head = nn.Linear(hidden, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """images [B, C, H, W] -> logits [B, classes]."""
        x = images
        for convolution in self.convolutions:
            x = F.max_pool2d(F.relu(convolution(x)), 2)
        x = F.relu(self.hidden(x.flatten(1)))
        with torch.autocast(x.device.type, enabled=False):  # see SmallCNN.forward
            logits: Tensor = self.head(x.float())
        return logits
