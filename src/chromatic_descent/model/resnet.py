"""ResNet-18 (He et al. 2015, arXiv:1512.03385), torchvision's, with a stem for small images."""

import torch
import torchvision
from torch import Tensor, nn

_SMALL = 64  # pixels; up to this, ImageNet's stem (stride 4) would discard most of the image


class ResNet18(nn.Module):
    """ResNet-18 without pretrained weights.

    images [B, C, H, W] -> logits [B, classes], float32. Images of up to 64 pixels get a 3x3 stem
    of stride 1 and no max-pool, as is usual for CIFAR.

    Args:
        in_channels: colour channels of the data set.
        num_classes: logits of each image.
        image_size: height and width in pixels.
    """

    def __init__(self, in_channels: int, num_classes: int, image_size: tuple[int, int]):
        super().__init__()
        body = torchvision.models.resnet18(num_classes=num_classes)
        if min(image_size) <= _SMALL:
            body.conv1 = nn.Conv2d(in_channels, 64, 3, padding=1, bias=False)
            body.maxpool = nn.Identity()
        elif in_channels != 3:
            body.conv1 = nn.Conv2d(in_channels, 64, 7, stride=2, padding=3, bias=False)
        self.head = body.fc
        body.fc = nn.Identity()
        self.body = body

    def forward(self, images: Tensor) -> Tensor:
        """images [B, C, H, W] -> logits [B, classes]."""
        x = self.body(images)
        with torch.autocast(x.device.type, enabled=False):  # see SmallCNN.forward
            logits: Tensor = self.head(x.float())
        return logits
