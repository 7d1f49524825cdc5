import functools

import pytest
import torch

from chromatic_descent.data import ImageData, sources
from chromatic_descent.data.shifts import (
    SEVERITIES,
    SHIFTS,
    corrupt,
    foreign_digits,
    foreign_noise,
)
from chromatic_descent.errors import UserError

SOURCE = functools.partial(sources.synthetic, train_images=100, test_images=40)


def make(source=SOURCE, **options):
    return ImageData(source, batch_size=32, **options)


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


def test_shifted_slices_are_of_the_same_probe_images():
    data = make(probe_size=20, probe_shifted=10)
    assert [part.name for part in data.slices] == [
        f"shift-{shift}-{severity}" for shift in SHIFTS for severity in (1, 2)
    ]
    first = data.slices[0]
    assert set(first.indices.tolist()) <= set(data.probe.indices.tolist())
    for part in data.slices:
        assert torch.equal(part.indices, first.indices)
        assert torch.equal(part.labels, data.images.test_labels[part.indices])
        assert not torch.equal(part.images, data.images.test_images[part.indices])
    assert len({part.hash(data.mean, data.std) for part in data.slices}) == len(data.slices)
    again = make(probe_size=20, probe_shifted=10, seed=7)
    other = make(probe_size=20, probe_shifted=10, probe_seed=1)
    for part, same, different in zip(data.slices, again.slices, other.slices, strict=True):
        assert part.hash(data.mean, data.std) == same.hash(data.mean, data.std)
        assert part.hash(data.mean, data.std) != different.hash(data.mean, data.std)


def test_they_change_nothing_else():
    plain, more = make(), make(probe_shifted=10, probe_foreign=5)
    assert plain.slices == []
    assert plain.probe.hash(plain.mean, plain.std) == more.probe.hash(more.mean, more.std)
    plain.setup("fit")
    more.setup("fit")
    for (a, _), (b, _) in zip(plain.batches(0), more.batches(0), strict=True):
        assert torch.equal(a, b)


def test_foreign_slices_have_the_shape_of_the_data():
    data = make(probe_foreign=12)
    assert [part.name for part in data.slices] == ["foreign-digits", "foreign-noise"]
    for part in data.slices:
        assert part.images.shape == (12, 16, 16, 3)
        assert part.images.dtype == torch.uint8
        assert part.images.is_contiguous()
        assert not part.labels.any()
    assert len(set(data.slices[0].indices.tolist())) == 12
    grey = make(lambda: sources.digits(), probe_foreign=12)
    assert [part.name for part in grey.slices] == ["foreign-noise"]  # digits are its own data
    assert len(make(probe_foreign=None).slices[0].labels) == 1797


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


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"probe_shifted": 41}, r"probe\.shifted=41: expected a number from 0 to 40"),
        ({"probe_shifted": -1}, r"probe\.shifted=-1: expected a number from 0 to 40"),
        ({"probe_shifted": "many"}, r"probe\.shifted=many: expected a number from 0 to 40"),
        ({"probe_shifted": True}, r"probe\.shifted=True: expected"),
        ({"probe_foreign": 1798}, r"probe\.foreign=1798: expected a number from 0 to 1797"),
        ({"probe_foreign": 1.5}, r"probe\.foreign=1\.5: expected a number from 0 to 1797"),
    ],
)
def test_each_mistake_names_its_key(options, message):
    with pytest.raises(UserError, match=message):
        make(**options)
