"""Every random stream of this project, by name.

A stream is a generator on the CPU that depends on its key alone, not on earlier draws: a continued
run, another device and another batch size draw the same values.
"""

import hashlib
from enum import Enum

import torch


class Stream(Enum):
    """A stream: its number (changing it changes every member), its key, and what it draws."""

    INITIALISATION = 0, ("seed",), "the weights before training"
    EPOCH = 1, ("seed", "epoch"), "order, shifts, cut-outs and random flips of training images"
    FLIPS = 2, ("seed",), "which images alternating flips mirror in epoch 0"
    CHOICE = 3, ("probe or split seed",), "images of the probe, its slices, training and held-out"
    NETWORK = 4, ("seed", "epoch"), "what the network draws while it trains, such as dropout"
    POINTS = 5, ("seed", "epoch", "step"), "the points of repulsion in a step"
    POOL = 6, ("pool seed", "kind"), "the pool of those points"
    REFERENCES = 7, ("seed",), "the members that a new one is repelled from"
    CORRUPTION = 20, ("probe seed", "corruption", "severity"), "corruptions of test images"
    FOREIGN_NOISE = 21, ("probe seed",), "images of noise"


def stream(which: Stream, seed: int, *key: int) -> torch.Generator:
    """The generator of a stream for a seed and the rest of the stream's key.

    Keys that differ anywhere give unrelated draws: the generator's seed is a SHA-256 of the key.

    >>> stream(Stream.EPOCH, 7, 0).initial_seed() == stream(Stream.EPOCH, 7, 1).initial_seed()
    False
    """
    number, names, _ = which.value
    assert len(names) == 1 + len(key), f"{which.name} is a function of {', '.join(names)}"
    digest = hashlib.sha256(repr((seed, number, *key)).encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)
