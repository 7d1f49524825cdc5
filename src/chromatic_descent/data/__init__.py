"""Data sets as tensors, per-sample augmentation, the data module and the probe."""

from chromatic_descent.data.augment import Augment
from chromatic_descent.data.module import Batch, ImageData, JointData
from chromatic_descent.data.probe import Probe, ProbeSlice
from chromatic_descent.data.sources import Images

__all__ = ["Augment", "Batch", "ImageData", "Images", "JointData", "Probe", "ProbeSlice"]
