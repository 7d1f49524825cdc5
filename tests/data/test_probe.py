import functools

import pytest
import torch

from chromatic_descent.data import ImageData, Probe, ProbeSlice, sources
from chromatic_descent.data.probe import foreign_digits, foreign_noise, pick
from chromatic_descent.data.shifts import SHIFTS
from chromatic_descent.errors import UserError

SOURCE = functools.partial(sources.synthetic, train_images=100, test_images=40)


def make(source=SOURCE, **options):
    return ImageData(source, batch_size=32, **options)


def test_the_hash_sees_pixels_labels_places_and_normalisation():
    images = torch.zeros(4, 2, 2, 1, dtype=torch.uint8)
    labels, places, mean, std = torch.arange(4), torch.arange(4), torch.zeros(1), torch.ones(1)
    other = images.clone()
    other[0, 0, 0, 0] = 1
    hashes = {
        ProbeSlice("test", images, labels, places).hash(mean, std),
        ProbeSlice("test", other, labels, places).hash(mean, std),
        ProbeSlice("test", images, labels + 1, places).hash(mean, std),
        ProbeSlice("test", images, labels, places + 1).hash(mean, std),
        ProbeSlice("test", images, labels, places).hash(mean + 1, std),
        ProbeSlice("train", images, labels, places).hash(mean, std),
    }
    assert len(hashes) == 6


def test_shifted_slices_are_of_the_same_probe_images():
    data = make(probe=Probe(size=20, shifted=10))
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
    again = make(probe=Probe(size=20, shifted=10), seed=7)
    other = make(probe=Probe(size=20, shifted=10, seed=1))
    for part, same, different in zip(data.slices, again.slices, other.slices, strict=True):
        assert part.hash(data.mean, data.std) == same.hash(data.mean, data.std)
        assert part.hash(data.mean, data.std) != different.hash(data.mean, data.std)


def test_they_change_nothing_else():
    plain, more = make(), make(probe=Probe(shifted=10, foreign=5))
    assert plain.slices == []
    assert plain.probe.hash(plain.mean, plain.std) == more.probe.hash(more.mean, more.std)
    plain.setup("fit")
    more.setup("fit")
    for (a, _), (b, _) in zip(plain.batches(0), more.batches(0), strict=True):
        assert torch.equal(a, b)


def test_foreign_slices_have_the_shape_of_the_data():
    data = make(probe=Probe(foreign=12))
    assert [part.name for part in data.slices] == ["foreign-digits", "foreign-noise"]
    for part in data.slices:
        assert part.images.shape == (12, 16, 16, 3)
        assert part.images.dtype == torch.uint8
        assert part.images.is_contiguous()
        assert not part.labels.any()
    assert len(set(data.slices[0].indices.tolist())) == 12
    grey = make(lambda: sources.digits(), probe=Probe(foreign=12))
    assert [part.name for part in grey.slices] == ["foreign-noise"]  # digits are its own data
    assert len(make(probe=Probe(foreign=None)).slices[0].labels) == 1797


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


def test_pick_is_ascending_fixed_by_its_seed_and_distinct():
    candidates = torch.arange(100, 200)
    picked = pick(candidates, 10, 0, "probe.size")
    assert torch.equal(picked, pick(candidates, 10, 0, "probe.size"))
    assert torch.equal(picked, picked.sort().values)
    assert len(set(picked.tolist())) == 10
    assert not torch.equal(picked, pick(candidates, 10, 1, "probe.size"))
    assert torch.equal(pick(candidates, None, 5, "probe.size"), candidates)


@pytest.mark.parametrize("size", [-1, 101])
def test_too_many_or_negative_names_the_key(size):
    with pytest.raises(UserError, match=rf"probe\.size={size}: expected a number from 0 to 100"):
        pick(torch.arange(100), size, 0, "probe.size")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"probe": Probe(shifted=41)}, r"probe\.shifted=41: expected a number from 0 to 40"),
        ({"probe": Probe(shifted=-1)}, r"probe\.shifted=-1: expected a number from 0 to 40"),
        ({"probe": Probe(shifted="many")}, r"probe\.shifted=many: expected a number from 0 to 40"),
        ({"probe": Probe(shifted=True)}, r"probe\.shifted=True: expected"),
        ({"probe": Probe(foreign=1798)}, r"probe\.foreign=1798: expected a number from 0 to 1797"),
        ({"probe": Probe(foreign=1.5)}, r"probe\.foreign=1\.5: expected a number from 0 to 1797"),
    ],
)
def test_each_mistake_names_its_key(options, message):
    with pytest.raises(UserError, match=message):
        make(**options)
