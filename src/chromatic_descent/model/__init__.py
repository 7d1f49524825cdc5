"""Networks, nothing else: images [B, C, H, W] -> logits [B, classes]."""

from chromatic_descent.model.by_name import ByName, timm_network, torchvision_network
from chromatic_descent.model.plain_cnn import PlainCNN
from chromatic_descent.model.resnet import ResNet18
from chromatic_descent.model.small_cnn import SmallCNN

__all__ = ["ByName", "PlainCNN", "ResNet18", "SmallCNN", "timm_network", "torchvision_network"]
