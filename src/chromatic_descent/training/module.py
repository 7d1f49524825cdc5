"""The LightningModule: any network, its loss, its optimiser, and penalties from callbacks."""

from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import lightning
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from chromatic_descent.data import Batch, ImageData
from chromatic_descent.data.streams import Stream, stream
from chromatic_descent.errors import UserError
from chromatic_descent.training.optim import Schedule, scale

_WHITENING_IMAGES = 2000  # training images that a data-dependent first layer is initialised from


@runtime_checkable
class Penalty(Protocol):
    """A Lightning callback that adds a term to the loss; hooks cannot, so the module calls it."""

    def penalty(self, module: "Classifier", batch: Batch, logits: Tensor) -> Tensor:
        """The term for this step, a scalar, already multiplied by its strength."""


class Classifier(lightning.LightningModule):
    """Trains `network` by cross-entropy, plus the penalties of its callbacks.

    Args:
        network: images [B, C, H, W] -> logits [B, classes].
        optimizer: (network, batch size) -> optimiser.
        lr_scale: multiplies every learning rate.
        schedule, warmup: see `optim.scale`.
        label_smoothing: share of the target spread evenly over all classes.
        seed: the member's; random draws in training (dropout) are a function of (seed, epoch).
        compile_network: run the network through `torch.compile`.
    """

    def __init__(
        self,
        network: nn.Module,
        optimizer: Callable[[nn.Module, int], Optimizer],
        *,
        lr_scale: float = 1.0,
        schedule: Schedule = "linear",
        warmup: float = 0.0,
        label_smoothing: float = 0.0,
        seed: int = 0,
        compile_network: bool = False,
    ):
        super().__init__()
        self.network = network.to(memory_format=torch.channels_last)
        # The compiled network shares the parameters. The tuple keeps it out of the module tree, so
        # that checkpoints do not depend on compilation.
        self._run = (torch.compile(network) if compile_network else network,)
        self._optimizer = optimizer
        self.lr_scale, self.schedule, self.warmup = lr_scale, schedule, warmup
        self.label_smoothing, self.seed = label_smoothing, seed
        self._loss: Tensor | float = 0.0
        self._correct: Tensor | int = 0
        self._seen = 0
        self.last: Batch | None = None  # logits and labels of the last batch, for measurements

    def forward(self, images: Tensor) -> Tensor:
        """images [B, C, H, W] -> logits [B, classes]."""
        logits: Tensor = self._run[0](images)
        return logits

    def on_fit_start(self) -> None:
        """Initialise layers that depend on the data alone, alike for every member and restart."""
        initialise = getattr(self.network, "initialise_from", None)
        if initialise is None:
            return
        data = self._data
        if not isinstance(data, ImageData):
            raise UserError(
                f"{type(self.network).__name__} is initialised from training images, which this "
                "data module does not have: use another model=, or derive the data module from "
                "chromatic_descent.data.ImageData."
            )
        sample = data.images.train_images[data.train_indices[:_WHITENING_IMAGES]]
        batches = list(data.evaluation_batches(sample, torch.device("cpu")))
        initialise(torch.cat(batches).to(self.device))

    def on_train_epoch_start(self) -> None:
        """Seed the global generators from (seed, epoch), after a restart too."""
        key = stream(Stream.NETWORK, self.seed, self.current_epoch).initial_seed()
        torch.manual_seed(key)
        self._loss, self._correct, self._seen = 0.0, 0, 0

    def training_step(self, batch: Batch, index: int) -> Tensor:
        """Cross-entropy, averaged over the batch, plus penalties."""
        return self.loss(batch, self(batch[0]))

    def loss(self, batch: Batch, logits: Tensor) -> Tensor:
        """The loss of `logits` [B, classes] on their batch; the metrics count it."""
        _, labels = batch
        self.last = (logits.detach(), labels)
        loss = F.cross_entropy(logits, labels, label_smoothing=self.label_smoothing)
        # Summed on the device: reading a value off a GPU at every step would stall it.
        self._loss += loss.detach() * len(labels)
        self._correct += (logits.detach().argmax(1) == labels).sum()
        self._seen += len(labels)
        for callback in self.trainer.callbacks:  # type: ignore[attr-defined]
            if isinstance(callback, Penalty):
                loss = loss + callback.penalty(self, batch, logits)
        return loss

    def on_train_epoch_end(self) -> None:
        """Log the epoch's loss and accuracy on the augmented training batches."""
        self.log_dict(self.running_metrics())

    def running_metrics(self) -> dict[str, float]:
        """Loss and accuracy over the batches of this epoch so far."""
        seen = max(self._seen, 1)
        return {
            "train/loss": float(self._loss) / seen,
            "train/accuracy": float(self._correct) / seen,
        }

    def configure_optimizers(self) -> Any:
        """The optimiser, and the schedule that every learning rate follows step by step."""
        optimizer = self._optimizer(self.network, self._data.batch_size)
        steps = self.trainer.estimated_stepping_batches

        def factor(step: int) -> float:
            return self.lr_scale * scale(self.schedule, self.warmup, min(step / steps, 1.0))

        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": LambdaLR(optimizer, factor), "interval": "step"},
        }

    @property
    def _data(self) -> ImageData:
        data: ImageData = self.trainer.datamodule  # type: ignore[attr-defined]
        return data
