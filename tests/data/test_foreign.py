import torch

from chromatic_descent.data import sources
from chromatic_descent.data.foreign import foreign_digits, foreign_noise


def test_digits_are_the_digits():
    images = foreign_digits(torch.tensor([0, 1796]), 8, 8, 3)
    assert torch.equal(images[0, ..., 2:], sources.digits().train_images[0])
    assert torch.equal(images[1, ..., :1], sources.digits().test_images[-1])
    assert foreign_digits(torch.tensor([5]), 32, 28, 1).shape == (1, 32, 28, 1)


def test_noise_is_uniform():
    noise = foreign_noise(50, 32, 32, 3, seed=0)
    counts = torch.bincount(noise.flatten().long(), minlength=256)
    assert counts.min() > 0.8 * noise.numel() / 256
    assert torch.equal(noise, foreign_noise(50, 32, 32, 3, seed=0))
    assert not torch.equal(noise, foreign_noise(50, 32, 32, 3, seed=1))
