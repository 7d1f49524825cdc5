"""Networks: images [B, C, H, W] -> logits [B, classes]."""

from chromatic_descent.model.by_name import ByName, timm_network, torchvision_network
from chromatic_descent.model.networks import PlainCNN, ResNet18, SmallCNN

__all__ = ["ByName", "PlainCNN", "ResNet18", "SmallCNN", "timm_network", "torchvision_network"]
