"""The usual way to train a small network on CIFAR-10: what `time_to_accuracy.py` compares with.

What a competent person writes from the tutorials: Lightning, torchvision's data set, random crop
and flip image by image, a DataLoader with worker processes, float32, a VGG-like network of 419,000
parameters with BatchNorm, SGD with Nesterov momentum and weight decay under a one-cycle schedule.
Nothing in it is made slow on purpose: neither checkpoints nor logs are written, workers persist,
and it stops as soon as the test accuracy, taken after each epoch, reaches the target. One cycle
needs its length beforehand, as the framework's schedules do.

    python benchmarks/usual_way.py --root data --epochs 6

The last line it prints is JSON: for each epoch the training seconds since the start (evaluation
left out), the evaluation's seconds, and the test accuracy.
"""

import argparse
import json
import logging
import time
import warnings
from typing import Any

import lightning
import torch
import torch.nn.functional as F
from lightning.pytorch.callbacks import EarlyStopping
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, Subset
from torchvision import transforms
from torchvision.datasets import CIFAR10

NORMALISE = transforms.Normalize((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616))


def block(channels_in: int, channels_out: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_out, 3, padding=1, bias=False),
        nn.BatchNorm2d(channels_out),
        nn.ReLU(inplace=True),
    )


def network() -> nn.Sequential:
    """images [B, 3, 32, 32] -> logits [B, 10]."""
    return nn.Sequential(
        *(block(3, 32), block(32, 32), nn.MaxPool2d(2)),  # [B, 32, 16, 16]
        *(block(32, 64), block(64, 64), nn.MaxPool2d(2)),  # [B, 64, 8, 8]
        *(block(64, 128), block(128, 128), nn.MaxPool2d(2)),  # [B, 128, 4, 4]
        *(nn.Flatten(), nn.Linear(2048, 64), nn.ReLU(inplace=True), nn.Linear(64, 10)),
    )


class UsualWay(lightning.LightningModule):
    def __init__(self, max_lr: float):
        super().__init__()
        self.network, self.max_lr = network(), max_lr

    def training_step(self, batch: tuple[Tensor, Tensor], index: int) -> Tensor:
        images, labels = batch
        return F.cross_entropy(self.network(images), labels)

    def validation_step(self, batch: tuple[Tensor, Tensor], index: int) -> None:
        images, labels = batch
        correct = (self.network(images).argmax(1) == labels).float().mean()
        self.log("accuracy", correct, batch_size=len(labels))

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.SGD(
            self.parameters(), lr=self.max_lr, momentum=0.9, nesterov=True, weight_decay=5e-4
        )
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, self.max_lr, total_steps=int(self.trainer.estimated_stepping_batches)
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


class Clock(lightning.Callback):
    """Training and evaluation seconds, and the accuracy, at the end of each epoch."""

    def __init__(self) -> None:
        self.epochs: list[dict[str, float]] = []
        self.evaluating = 0.0
        self.started = self.began = time.perf_counter()

    def on_validation_start(self, trainer: Any, pl_module: Any) -> None:
        self.began = time.perf_counter()

    def on_validation_end(self, trainer: Any, pl_module: Any) -> None:
        trained = self.began - self.started - self.evaluating
        evaluated = time.perf_counter() - self.began
        self.evaluating += evaluated
        accuracy = float(trainer.callback_metrics["accuracy"])
        self.epochs.append({"train": trained, "evaluate": evaluated, "accuracy": accuracy})


def loaders(
    root: str, images: int, test_images: int, batch_size: int, workers: int
) -> tuple[DataLoader[Any], DataLoader[Any]]:
    augment = [transforms.RandomCrop(32, padding=4), transforms.RandomHorizontalFlip()]
    plain = [transforms.ToTensor(), NORMALISE]
    train: Dataset[Any] = CIFAR10(root, train=True, transform=transforms.Compose(augment + plain))
    test: Dataset[Any] = CIFAR10(root, train=False, transform=transforms.Compose(plain))
    train, test = Subset(train, range(images)), Subset(test, range(test_images))
    options: dict[str, Any] = {"num_workers": workers, "persistent_workers": workers > 0}
    return (
        DataLoader(train, batch_size, shuffle=True, drop_last=True, **options),
        DataLoader(test, 500, **options),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", default="data", help="where torchvision's CIFAR10 is")
    parser.add_argument("--epochs", type=int, default=6, help="length of the one cycle")
    parser.add_argument("--target", type=float, default=0.80, help="test accuracy to stop at")
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--max-lr", type=float, default=0.1)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--images", type=int, default=50000)
    parser.add_argument("--test-images", type=int, default=10000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()

    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    warnings.filterwarnings("ignore")  # Lightning's advice on the number of workers, in the main
    lightning.seed_everything(options.seed, workers=True, verbose=False)
    train, test = loaders(
        options.root, options.images, options.test_images, options.batch_size, options.workers
    )
    stop = EarlyStopping(
        "accuracy", mode="max", stopping_threshold=options.target, patience=options.epochs
    )
    module, clock = UsualWay(options.max_lr), Clock()
    trainer = lightning.Trainer(
        max_epochs=options.epochs,
        devices=1,
        callbacks=[clock, stop],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )
    clock.started = time.perf_counter()
    trainer.fit(module, train, test)
    parameters = sum(p.numel() for p in module.parameters())
    print(json.dumps({"epochs": clock.epochs, "parameters": parameters}))


if __name__ == "__main__":
    main()
