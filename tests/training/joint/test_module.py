"""What members trained together compute, against plain loops."""

import functools

import lightning
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from chromatic_descent.data import Augment, ImageData, JointData, sources
from chromatic_descent.training.joint.engines import Looped, Stacked, refuses_vmap
from chromatic_descent.training.joint.module import JointClassifier
from chromatic_descent.training.module import Classifier
from chromatic_descent.training.repulsion import Repulsion, at_step, evaluating

SOURCE = functools.partial(sources.synthetic, train_images=64, test_images=32, image_size=8)
OPTIONS = {"batch_size": 16, "augment": Augment(translate=1)}
SEEDS = (3, 4, 5)


class Net(nn.Module):
    """With a norm, so that there are buffers, a fixed weight, and dropout if asked for."""

    def __init__(self, dropout=0.0):
        super().__init__()
        self.conv = nn.Conv2d(3, 6, 3)
        self.norm = nn.BatchNorm2d(6)
        self.norm.weight.requires_grad = False
        self.drop = nn.Dropout(dropout)
        self.head = nn.Linear(6, 4)

    def forward(self, images):
        x = F.gelu(self.norm(self.conv(images))).mean((2, 3))
        return self.head(self.drop(x))


def sgd(network, batch_size):
    trained = [p for p in network.parameters() if p.requires_grad]
    return torch.optim.SGD(trained, lr=0.5, momentum=0.9, weight_decay=0.01)


def inverse_distance(own, others, labels=None):
    """A stand-in for a term: smaller where farther apart."""
    return (1 / (1 + (own - others).square().mean((1, 2)))).sum()


def repel(of="outputs", **options):
    given = {
        "term": inverse_distance,
        "of": of,
        "joint": True,
        "sequential": False,
        "labels": of == "input_gradients",
        "strength": 3.0,
        "schedule": "warmup",
        "warmup": 0.5,
        "points": "train",
        "pool": 32,
        "pool_seed": 0,
        "batch_size": 8,
        "references": {"from": "study", "count": None, "choose": "random"},
    }
    return Repulsion(**{**given, **options})


def member(seed, net=Net):
    torch.manual_seed(seed)
    return Classifier(net(), sgd, seed=seed)


def fit(module, data, *callbacks, epochs=2):
    trainer = lightning.Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        callbacks=list(callbacks),
    )
    trainer.fit(module, data)
    return module


def together(*callbacks, net=Net, **options):
    module = JointClassifier([member(s, net) for s in SEEDS], ["a", "b", "c"], **options)
    return fit(module, JointData(SOURCE, seeds=SEEDS, **OPTIONS), *callbacks).classifiers


def alone(*callbacks, net=Net):
    return [fit(member(s, net), ImageData(SOURCE, seed=s, **OPTIONS), *callbacks) for s in SEEDS]


def state(classifiers):
    return [{k: v.clone() for k, v in c.network.state_dict().items()} for c in classifiers]


def by_definition(repulsion, epochs=2):
    """The members' loss differentiated as a whole, in a plain loop."""
    data = ImageData(SOURCE, **OPTIONS)
    data.setup("fit")
    points = repulsion.make_pool(data)
    nets = [member(s).network for s in SEEDS]
    optimizers = [sgd(net, 16) for net in nets]
    steps, step = epochs * data.batches_per_epoch, 0
    base = 0.5
    for epoch in range(epochs):
        batches = zip(*(data.batches(epoch, s) for s in SEEDS), strict=True)
        for index, own in enumerate(batches):
            at = at_step(points, 8, SEEDS[0], epoch, index)
            seen = []
            for net in nets:
                with evaluating(net):
                    if repulsion.of == "outputs":
                        z = net(points.images[at])
                        seen.append(z - z.mean(1, keepdim=True))
                    elif repulsion.of == "weights":
                        seen.append(
                            torch.cat([p.flatten() for p in net.parameters() if p.requires_grad])[
                                None
                            ]
                        )
                    else:
                        x = points.images[at].clone().requires_grad_()
                        truth = points.labels[at][:, None]
                        chosen = net(x).log_softmax(1).gather(1, truth).sum()
                        (gradient,) = torch.autograd.grad(chosen, x, create_graph=True)
                        seen.append(F.normalize(gradient.flatten(1), dim=1))
            total = sum(F.cross_entropy(n(x), y) for n, (x, y) in zip(nets, own, strict=True))
            weight = repulsion.weight(step / steps)
            for i, z in enumerate(seen):
                others = torch.stack([o.detach() for j, o in enumerate(seen) if j != i])
                total = total + weight * repulsion.term(z, others)
            for optimizer in optimizers:
                optimizer.zero_grad()
                for group in optimizer.param_groups:
                    group["lr"] = base * (1 - step / steps)
            total.backward()
            for optimizer in optimizers:
                optimizer.step()
            step += 1
    return [net.state_dict() for net in nets]


@pytest.mark.parametrize("engine", ["loop", "vmap"])
@pytest.mark.parametrize("chunk", [1, 2, 3])
def test_without_repulsion_each_is_as_alone(engine, chunk):
    for ours, theirs in zip(
        state(together(engine=engine, chunk=chunk)), state(alone()), strict=True
    ):
        for key, value in theirs.items():
            if engine == "loop":
                assert torch.equal(ours[key], value), key
            torch.testing.assert_close(ours[key], value, rtol=0, atol=1e-5)


@pytest.mark.parametrize("of", ["outputs", "weights", "input_gradients"])
@pytest.mark.parametrize("engine", ["loop", "vmap"])
@pytest.mark.parametrize("chunk", [1, 2, 3])
def test_with_repulsion_it_is_the_gradient_of_the_whole(engine, chunk, of):
    repulsion = repel(of)
    ours = state(together(engine=engine, chunk=chunk, repulsion=repulsion))
    plain = state(together())
    for a, b, c in zip(ours, by_definition(repulsion), plain, strict=True):
        moved = max(float((b[key] - c[key]).abs().max()) for key in b)
        assert moved > 1e-3  # it does something
        for key, value in b.items():
            torch.testing.assert_close(a[key], value, rtol=0, atol=2e-5)


@pytest.mark.parametrize("of", ["outputs", "input_gradients"])
def test_chunks_of_the_loop_change_no_bit(of):
    first, *others = (state(together(chunk=chunk, repulsion=repel(of))) for chunk in (1, 2, 3))
    for other in others:
        for a, b in zip(first, other, strict=True):
            assert all(torch.equal(a[key], b[key]) for key in a)


def test_strength_that_is_still_zero_costs_nothing_and_changes_nothing():
    class Count(lightning.Callback):
        passes = 0

        def setup(self, trainer, pl_module, stage):
            for each in pl_module.classifiers:
                each.network.register_forward_hook(self.add)

        def add(self, *arguments):
            self.passes += 1

    count = Count()
    zero = state(together(count, repulsion=repel(strength=0.0)))
    assert count.passes == 3 * 8
    for a, b in zip(zero, state(together()), strict=True):
        assert all(torch.equal(a[key], b[key]) for key in a)


def test_each_draws_its_own_dropout():
    net = functools.partial(Net, dropout=0.5)
    for ours, theirs in zip(state(together(net=net, chunk=3)), state(alone(net=net)), strict=True):
        assert all(torch.equal(ours[key], value) for key, value in theirs.items())
    assert refuses_vmap(net(), (3, 8, 8), half=False)
    assert refuses_vmap(Net(), (3, 8, 8), half=False) is None
    assert refuses_vmap(Net(), (3, 8, 8), half=True) is None


class Shrink(lightning.Callback):
    """A penalty on logits, and one on weights, which the engines reach by different ways."""

    def penalty(self, module, batch, logits):
        return logits.square().mean() + module.network.head.weight.square().sum()


@pytest.mark.parametrize("engine", ["loop", "vmap"])
def test_penalties_of_callbacks_are_each_members(engine):
    ours, theirs = together(Shrink(), engine=engine, chunk=2), alone(Shrink())
    for a, b in zip(state(ours), state(theirs), strict=True):
        for key, value in b.items():
            torch.testing.assert_close(a[key], value, rtol=0, atol=1e-5)


def test_stacked_members_are_views_of_one_tensor():
    members = [member(s) for s in SEEDS]
    before = state(members)
    stacked = Stacked(members, torch.no_grad)
    for a, b in zip(before, state(members), strict=True):
        assert all(torch.equal(a[key], b[key]) for key in a)
    weight = members[1].network.conv.weight
    assert weight.untyped_storage().nbytes() == 3 * weight.numel() * 4
    assert len(stacked.members) == 3


@pytest.mark.parametrize("make", [Looped, Stacked])
def test_in_half_precision_features_and_loss_are_those_of_autocast(make):
    members = [member(s) for s in SEEDS]
    data = ImageData(SOURCE, **OPTIONS)
    data.setup("fit")
    batches = [next(data.batches(0, s)) for s in SEEDS]
    half = functools.partial(torch.autocast, "cpu", torch.bfloat16)
    expected = []
    for each, (images, labels) in zip([member(s) for s in SEEDS], batches, strict=True):
        with half():
            loss = F.cross_entropy(each.network(images), labels)
        loss.backward()
        expected.append(each.network.conv.weight.grad)
    for each in members:
        each.trainer = lightning.Trainer(
            accelerator="cpu", logger=False, enable_checkpointing=False, max_epochs=1
        )
    chunk = make(members, half)
    chunk.start_epoch()
    assert list(chunk.backward(iter(batches), None)) == [0, 1, 2]
    for each, gradient in zip(members, expected, strict=True):
        # as many bits as bfloat16 has, and not float32's, which are far closer to each other
        torch.testing.assert_close(each.network.conv.weight.grad, gradient, rtol=0.05, atol=2e-3)


def test_members_share_one_copy_of_the_images_and_make_batches_when_asked():
    data = JointData(SOURCE, seeds=SEEDS, **OPTIONS)
    data.setup("fit")
    data.trainer = type("T", (), {"current_epoch": 1})()
    steps = list(data.train_dataloader())
    assert len(steps) == len(data.train_dataloader()) == 4
    made = [list(step) for step in steps]
    for slot, seed in enumerate(SEEDS):
        own = ImageData(SOURCE, seed=seed, **OPTIONS)
        own.setup("fit")
        for step, (images, labels) in zip(made, own.batches(1), strict=True):
            assert torch.equal(step[slot][0], images)
            assert torch.equal(step[slot][1], labels)
