"""Networks, nothing else: images [B, C, H, W] -> logits [B, classes]."""

from chromatic_descent.model.plain_cnn import PlainCNN
from chromatic_descent.model.resnet import ResNet18
from chromatic_descent.model.small_cnn import SmallCNN

__all__ = ["PlainCNN", "ResNet18", "SmallCNN"]
