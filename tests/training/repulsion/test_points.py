import pytest
import torch

from chromatic_descent.data import ImageData, Probe, sources
from chromatic_descent.data.augment import normalise
from chromatic_descent.errors import UserError
from chromatic_descent.training.repulsion import at_step, pool
from chromatic_descent.training.repulsion.points import KINDS
from tests.makers import make_pool_data


def shown(data, places):
    return normalise(data.images.train_images[places], data.mean, data.std)


def found_in(images, candidates):
    """For each image, whether it is one of the candidates."""
    return (images[:, None] == candidates[None]).flatten(2).all(2).any(1)


@pytest.mark.parametrize("kind", KINDS)
def test_a_pool_is_a_function_of_its_seed_alone(kind):
    a, b, c = (pool(kind, make_pool_data(seed=s), 20, seed) for s, seed in [(0, 0), (1, 0), (0, 1)])
    assert a.images.shape == (20, 3, 8, 8)
    assert a.images.dtype == torch.float32
    assert torch.equal(a.images, b.images)  # whoever the member is
    assert not torch.equal(a.images, c.images)
    assert (a.labels is not None) == (kind == "train")
    assert len(a.images.flatten(1).unique(dim=0)) == 20


def test_training_points_are_training_images_with_their_labels():
    d = make_pool_data()
    points = pool("train", d, 1000, 0)
    assert len(points.images) == len(d.train_indices) == 64  # all there are
    order = [
        int(found_in(points.images[i : i + 1], shown(d, d.train_indices)).sum()) for i in (0, 5)
    ]
    assert order == [1, 1]
    places = [
        int(p)
        for image in points.images
        for p in d.train_indices
        if torch.equal(image, shown(d, p[None])[0])
    ]
    assert torch.equal(points.labels, d.images.train_labels[places])


def test_held_out_points_are_neither_trained_on_nor_recorded():
    d = make_pool_data()
    points = pool("heldout", d, 1000, 0)
    assert len(points.images) == 32 - 8
    assert not found_in(points.images, shown(d, d.train_indices)).any()
    (recorded,) = d.slices
    assert not found_in(points.images, shown(d, recorded.indices)).any()
    assert found_in(points.images, shown(d, d.heldout_indices)).all()


def test_noise_has_the_images_mean_and_spread():
    images = pool("noise", make_pool_data(), 500, 0).images
    assert images.mean((0, 2, 3)).abs().max() < 0.05
    assert (images.std((0, 2, 3)) - 1).abs().max() < 0.1


def test_mixup_lies_between_two_training_images():
    d = make_pool_data()
    train, mixed = shown(d, d.train_indices), pool("mixup", d, 4, 0).images
    a, b = torch.combinations(torch.arange(64)).unbind(1)
    way = (train[b] - train[a]).flatten(1)
    for image in mixed:
        share = ((image - train[a]).flatten(1) * way).sum(1) / way.square().sum(1)
        off = ((image - train[a]).flatten(1) - share[:, None] * way).norm(dim=1)
        best = off.argmin()
        assert off[best] < 1e-4
        assert 0 <= share[best] <= 1


def test_patches_are_moved_and_nothing_else():
    d = make_pool_data()
    images = pool("patches", d, 8, 0).images

    def squares(image):
        cut = image.unfold(1, 2, 2).unfold(2, 2, 2)  # [C, 4, 4, 2, 2]
        return {tuple(s.flatten().tolist()) for s in cut.permute(1, 2, 0, 3, 4).flatten(0, 1)}

    originals = [squares(image) for image in shown(d, d.train_indices)]
    assert all(squares(image) in originals for image in images)
    assert not found_in(images, shown(d, d.train_indices)).any()


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        ("probe", {}, "points=probe: expected one of train, heldout, noise, .* never trained on"),
        ("elsewhere", {}, "points=elsewhere: expected one of train"),
        ("heldout", {"heldout_size": 0, "probe": Probe()}, r"data\.heldout_size=2000"),
        (
            "heldout",
            {"probe": Probe(heldout=32)},
            "no image is held out of training and of probe.heldout",
        ),
    ],
)
def test_what_cannot_be_is_one_message(kind, options, message):
    with pytest.raises(UserError, match=message):
        pool(kind, make_pool_data(**options), 8, 0)


def test_images_that_cannot_be_cut_are_refused():
    images = sources.synthetic(image_size=8, train_images=16, test_images=8)
    odd = sources.Images(
        "odd",
        images.classes,
        images.train_images[:, :7, :7].contiguous(),
        images.train_labels,
        images.test_images[:, :7, :7].contiguous(),
        images.test_labels,
    )
    with pytest.raises(UserError, match="images of 7x7 pixels cannot be cut"):
        pool("patches", ImageData(lambda: odd), 8, 0)


def test_a_steps_points_are_a_function_of_seed_epoch_and_step():
    points = pool("train", make_pool_data(), 64, 0)
    index = at_step(points, 16, 3, 1, 40)
    assert len(set(index.tolist())) == 16
    torch.rand(5)
    assert torch.equal(index, at_step(points, 16, 3, 1, 40))
    for other in [(4, 1, 40), (3, 2, 40), (3, 1, 41)]:
        assert not torch.equal(index, at_step(points, 16, *other))
