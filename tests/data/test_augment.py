import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from chromatic_descent.data.augment import (
    Augment,
    cut_out,
    draw_epoch,
    gather,
    normalise,
)


def some_images(n=5, size=8, channels=3):
    stream = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (n, size, size, channels), generator=stream, dtype=torch.uint8)


def by_hand(image, shift, reach):
    """One image at a time: reflect-pad with numpy, crop, mirror."""
    padded = np.pad(image, ((reach, reach), (reach, reach), (0, 0)), mode="reflect")
    down, right = (int(s) for s in shift)
    height, width, _ = image.shape
    return padded[reach - down : reach - down + height, reach - right : reach - right + width]


@given(st.integers(0, 7), st.integers(0, 2**32))
def test_gather_is_reflected_padding_and_cropping(reach, seed):
    images = some_images()
    stream = torch.Generator().manual_seed(seed)
    index = torch.randint(0, 5, (7,), generator=stream)
    shift = torch.randint(-reach, reach + 1, (7, 2), generator=stream)
    plain = gather(images, index, torch.zeros(7, dtype=torch.bool), shift)
    for k in range(7):
        expected = by_hand(images[index[k]].numpy(), shift[k], reach)
        assert np.array_equal(plain[k].numpy(), expected)
    mirrored = gather(images, index, torch.ones(7, dtype=torch.bool), shift)
    # mirroring the columns that are read mirrors the source, then shifts it
    flipped = gather(images.flip(2), index, torch.zeros(7, dtype=torch.bool), shift)
    assert torch.equal(mirrored, flipped)


def test_each_image_has_its_own_draw():
    draws = draw_epoch(Augment(flip="random", translate=2), 1000, seed=0, epoch=0)
    assert len({tuple(s) for s in draws.shift.tolist()}) == 25  # every shift occurs
    assert 0.4 < draws.mirrored.float().mean() < 0.6


def test_draws_are_a_function_of_seed_and_epoch():
    augment = Augment(flip="random")
    first = draw_epoch(augment, 100, 3, 2)
    torch.manual_seed(99)  # the global generator has no part in it
    torch.rand(5)
    again = draw_epoch(augment, 100, 3, 2)
    for a, b in zip(vars(first).values(), vars(again).values(), strict=True):
        assert torch.equal(a, b)
    for other in (draw_epoch(augment, 100, 3, 3), draw_epoch(augment, 100, 2, 2)):
        assert not torch.equal(first.order, other.order)
        assert not torch.equal(first.shift, other.shift)
    assert sorted(first.order.tolist()) == list(range(100))


def test_alternating_flip_shows_each_image_both_ways():
    def by_image(epoch):
        draws = draw_epoch(Augment(flip="alternating"), 400, 0, epoch)
        out = torch.empty(400, dtype=torch.bool)
        out[draws.order] = draws.mirrored
        return out

    assert torch.equal(by_image(0), ~by_image(1))
    assert torch.equal(by_image(0), by_image(2))
    assert 0.4 < by_image(0).float().mean() < 0.6


def test_no_augmentation_leaves_images_as_they_are():
    draws = draw_epoch(Augment(flip="none", translate=0), 5, 0, 0)
    images = some_images()
    assert torch.equal(
        gather(images, draws.order, draws.mirrored, draws.shift), images[draws.order]
    )


def test_normalise_is_the_textbook_formula():
    images, mean, std = some_images(), torch.tensor([0.1, 0.5, 0.9]), torch.tensor([0.2, 0.3, 0.4])
    got = normalise(images, mean, std)
    expected = (images.permute(0, 3, 1, 2).double() / 255 - mean[:, None, None]) / std[
        :, None, None
    ]
    assert got.shape == (5, 3, 8, 8)
    assert got.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(got.double(), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("side", [1, 3, 4, 20])
def test_cutout_blanks_a_square_around_each_centre(side):
    images = torch.ones(50, 3, 8, 8)
    centre = torch.rand(50, 2, generator=torch.Generator().manual_seed(0))
    blank = cut_out(images, centre, side) == 0
    for k in range(50):
        row, column = (int(c * 8) for c in centre[k])
        expected = torch.zeros(8, 8, dtype=torch.bool)
        top, left = row - side // 2, column - side // 2
        expected[max(top, 0) : max(top + side, 0), max(left, 0) : max(left + side, 0)] = True
        assert torch.equal(blank[k], expected.expand(3, 8, 8))
