import functools

import lightning
import pytest
import torch
from torch import nn

from chromatic_descent.data import ImageData, sources
from chromatic_descent.training.module import Classifier

SOURCE = functools.partial(sources.synthetic, train_images=64, test_images=32, image_size=8)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.head = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(192, 4))

    def forward(self, images):
        return self.head(images)


def sgd(network, batch_size):
    return torch.optim.SGD(network.parameters(), lr=0.1)


def fit(*callbacks, epochs=2, net=None, **options):
    torch.manual_seed(0)
    module = Classifier(net or Net(), sgd, **options)
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
    trainer.fit(module, ImageData(SOURCE, batch_size=32))
    return module, trainer


def weights(module):
    return torch.cat([p.detach().flatten() for p in module.parameters()])


class Shrink(lightning.Callback):
    """A penalty of one's own: strength times the mean squared logit."""

    def __init__(self, strength):
        self.strength, self.seen = strength, 0

    def penalty(self, module, batch, logits):
        self.seen += 1
        return self.strength * logits.square().mean()


def test_a_callback_with_a_penalty_adds_to_the_loss():
    plain, _ = fit()
    callback = Shrink(5.0)
    pushed, _ = fit(callback)
    assert callback.seen == 4  # every step
    assert not torch.equal(weights(pushed), weights(plain))


def test_strength_zero_equals_none_bit_for_bit():
    assert torch.equal(weights(fit()[0]), weights(fit(Shrink(0.0))[0]))


def test_dropout_is_a_function_of_seed_and_epoch():
    a = weights(fit(seed=1)[0])
    torch.rand(17)
    assert torch.equal(a, weights(fit(seed=1)[0]))
    assert not torch.equal(a, weights(fit(seed=2)[0]))


@pytest.mark.parametrize("schedule", ["linear", "constant"])
def test_the_schedule_reaches_its_end(schedule):
    _, trainer = fit(schedule=schedule)
    rate = trainer.optimizers[0].param_groups[0]["lr"]
    assert rate == (0.0 if schedule == "linear" else 0.1)


def test_loss_is_torchs_cross_entropy_with_smoothing():
    losses = []

    class Watch(lightning.Callback):
        def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
            losses.append(outputs["loss"].item())

    net = nn.Sequential(nn.Flatten(), nn.Linear(192, 4))
    net[1].weight.data.zero_()
    net[1].bias.data = torch.tensor([1.0, 0.0, 0.0, 0.0])
    fit(Watch(), epochs=1, net=net, label_smoothing=0.2)
    data = ImageData(SOURCE, batch_size=32)
    data.setup("fit")
    _, labels = next(data.batches(0))
    logits = torch.tensor([1.0, 0.0, 0.0, 0.0]).expand(32, 4)
    expected = nn.functional.cross_entropy(logits, labels, label_smoothing=0.2)
    assert losses[0] == pytest.approx(expected.item(), rel=1e-5)


def test_lr_scale_multiplies_every_rate():
    half, _ = fit(epochs=1, lr_scale=0.5, schedule="constant")
    (group,) = half.optimizers().param_groups
    assert group["lr"] == 0.05
