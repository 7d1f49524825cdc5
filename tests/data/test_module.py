import dataclasses
import functools
import types

import pytest
import torch

from chromatic_descent.data import Augment, ImageData, Probe, sources
from chromatic_descent.data.module import split_training
from chromatic_descent.errors import UserError

SOURCE = functools.partial(sources.synthetic, train_images=100, test_images=40)


def make(**options):
    data = ImageData(SOURCE, **{"batch_size": 32, **options})
    data.setup("fit")
    return data


def test_batches_are_a_function_of_seed_and_epoch():
    first = list(make(seed=1).batches(0))
    again = list(make(seed=1).batches(0))
    assert len(first) == 3  # 100 // 32
    for (a, la), (b, lb) in zip(first, again, strict=True):
        assert torch.equal(a, b)
        assert torch.equal(la, lb)
    for other in (make(seed=2).batches(0), make(seed=1).batches(1)):
        assert not torch.equal(first[0][0], next(iter(other))[0])


def test_a_pass_is_over_the_epoch_the_trainer_is_in_when_it_begins():
    data = make()
    data.trainer = types.SimpleNamespace(current_epoch=0)
    batches = iter(data.train_dataloader())
    data.trainer.current_epoch = 3  # as when a checkpoint is restored
    assert torch.equal(next(batches)[0], next(data.batches(3))[0])


def test_a_batch_size_above_the_data_gives_one_batch_of_all():
    (images, labels), *rest = make(batch_size=500).batches(0)
    assert (len(images), len(labels), rest) == (100, 100, [])


def test_labels_stay_with_their_images():
    data = make(augment=Augment(flip="none", translate=0), batch_size=100)
    images, labels = next(iter(data.batches(0)))
    order = [
        int((data.images.train_images == _undo(data, i)).all((1, 2, 3)).nonzero()[0])
        for i in images
    ]
    assert torch.equal(data.images.train_labels[order], labels)


def _undo(data, image):
    pixels = image.permute(1, 2, 0) * data.std + data.mean
    return (pixels * 255).round().to(torch.uint8)


def test_training_and_heldout_never_overlap():
    train, heldout = split_training(100, None, 30, seed=0)
    assert sorted([*train.tolist(), *heldout.tolist()]) == list(range(100))
    small, same = split_training(100, 10, 30, seed=0)
    assert torch.equal(same, heldout)  # what is held out does not depend on what is trained on
    assert set(small.tolist()) <= set(train.tolist())
    with pytest.raises(UserError, match=r"data\.train_size=80: expected a number from 0 to 70"):
        split_training(100, 80, 30, seed=0)


def test_the_probe_does_not_depend_on_the_members_seed_and_slices_do_not_overlap():
    probe = Probe(size=10, train=5, heldout=5)
    a, b = (make(seed=seed, heldout_size=20, probe=probe) for seed in (0, 1))
    assert a.probe.hash(a.mean, a.std) == b.probe.hash(b.mean, b.std)
    train, heldout = a.slices
    assert (train.name, heldout.name) == ("train", "heldout")
    assert set(train.indices.tolist()) <= set(a.train_indices.tolist())
    assert not set(heldout.indices.tolist()) & set(a.train_indices.tolist())
    other = make(heldout_size=20, probe=dataclasses.replace(probe, seed=1))
    assert not torch.equal(other.probe.indices, a.probe.indices)


def test_the_probe_gets_the_evaluation_transform_only():
    data = make(augment=Augment(flip="random", translate=3, cutout=8), eval_batch_size=7)
    got = torch.cat(list(data.evaluation_batches(data.probe.images, torch.device("cpu"))))
    expected = (data.probe.images.float() / 255 - data.mean) / data.std
    torch.testing.assert_close(got.permute(0, 2, 3, 1), expected, rtol=1e-5, atol=1e-5)


def test_measured_statistics_are_the_training_images():
    data = make()
    pixels = data.images.train_images.double() / 255
    torch.testing.assert_close(data.mean.double(), pixels.mean((0, 1, 2)), rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(
        data.std.double(), pixels.std((0, 1, 2), correction=0), rtol=1e-6, atol=1e-6
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"train_size": 0}, r"data\.train_size=0"),
        ({"train_size": 101}, r"data\.train_size=101"),
        ({"heldout_size": 101}, r"data\.heldout_size=101"),
        ({"probe": Probe(size=0)}, r"probe\.size=0"),
        ({"probe": Probe(size=41)}, r"probe\.size=41"),
        ({"probe": Probe(train=101)}, r"probe\.train=101"),
        ({"probe": Probe(heldout=1)}, r"probe\.heldout=1"),
        ({"augment": Augment(translate=16)}, r"data\.augment\.translate=16"),
        ({"mean": [0.5], "std": [0.5]}, r"data\.mean has 1 values, images have 3"),
    ],
)
def test_each_mistake_names_its_key(options, message):
    with pytest.raises(UserError, match=message):
        make(**options)
