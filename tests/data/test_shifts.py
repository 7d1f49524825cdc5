import pytest
import torch

from chromatic_descent.data.shifts import (
    SEVERITIES,
    SHIFTS,
    corrupt,
)


def smooth(channels=3, height=16, width=16, count=6):
    """Images with structure: a corruption of noise alone would be hard to tell from no change."""
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    waves = torch.stack([(x * (k + 1) / 5).sin() + (y * (k + 2) / 7).cos() for k in range(count)])
    pixels = (waves * 50 + 128).clamp(0, 255).to(torch.uint8)
    return pixels[..., None].repeat(1, 1, 1, channels).contiguous()


@pytest.mark.parametrize("shift", SHIFTS)
@pytest.mark.parametrize("shape", [(3, 16, 16), (1, 8, 8), (3, 12, 20), (1, 4, 4)])
def test_a_corruption_changes_every_image_and_more_when_stronger(shift, shape):
    images = smooth(*shape)
    before = images.clone()
    changed = [corrupt(images, shift, severity, seed=0) for severity in SEVERITIES]
    assert torch.equal(images, before)
    for result in changed:
        assert result.dtype == torch.uint8
        assert result.shape == images.shape
        assert result.is_contiguous()
    mild, strong = (
        (result.float() - images.float()).square().mean((1, 2, 3)) for result in changed
    )
    assert (strong > 0).all()
    assert strong.mean() > mild.mean() > 0


@pytest.mark.parametrize("shift", SHIFTS)
def test_a_corruption_is_a_function_of_its_key_alone(shift):
    images = smooth()
    first = corrupt(images, shift, 1, seed=0)
    torch.manual_seed(123)
    torch.rand(5)
    state = torch.get_rng_state()
    assert torch.equal(first, corrupt(images, shift, 1, seed=0))
    assert torch.equal(torch.get_rng_state(), state)
    drawn = not torch.equal(first, corrupt(images, shift, 1, seed=1))
    assert drawn == (shift in ("gaussian_noise", "rotation"))


def test_what_is_random_is_drawn_for_each_image():
    images = smooth()[:1].repeat(30, 1, 1, 1)
    noisy = corrupt(images, "gaussian_noise", 1, seed=0)
    assert len({image.numpy().tobytes() for image in noisy}) == 30
    turned = corrupt(images, "rotation", 2, seed=0)
    assert len({image.numpy().tobytes() for image in turned}) == 2  # left and right


def test_noise_has_the_spread_it_says():
    grey = torch.full((20, 32, 32, 3), 128, dtype=torch.uint8)
    noise = corrupt(grey, "gaussian_noise", 2, seed=0).float() - 128
    assert noise.std().item() == pytest.approx(25.5, rel=0.02)
    assert abs(noise.mean().item()) < 0.3
