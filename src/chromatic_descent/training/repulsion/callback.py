"""Sequential repulsion: a member is pushed away from members that are already trained."""

from collections.abc import Callable

import lightning
import torch
from lightning import Trainer
from torch import Tensor, nn
from torch.optim import Optimizer

from chromatic_descent.data import Batch
from chromatic_descent.training.module import Classifier
from chromatic_descent.training.repulsion.measures import (
    gradient_ratio,
    mean_distances,
    step_measures,
)
from chromatic_descent.training.repulsion.points import Points, at_step
from chromatic_descent.training.repulsion.references import Reference
from chromatic_descent.training.repulsion.repulsion import (
    Of,
    Repulsion,
    evaluating,
    features,
)


class Repel(lightning.Callback):
    """Adds a term to the loss that pushes the member away from references.

    What the references say at every point of the pool is computed once, when training starts; a
    step looks it up, and runs the member's own network at `repulsion.batch_size` points.

    Args:
        repulsion: how.
        points: the pool.
        references: from whom.
        build: makes a network of their kind.
        seed: the member's, which decides the points of each step.
    """

    def __init__(
        self,
        repulsion: Repulsion,
        points: Points,
        references: list[Reference],
        build: Callable[[], nn.Module],
        seed: int,
    ):
        self.repulsion, self.references, self.seed = repulsion, references, seed
        self._points, self._build = points, build
        self._measured: dict[str, Tensor] = {}
        self._gradients: list[Tensor] = []

    def on_train_start(self, trainer: Trainer, pl_module: lightning.LightningModule) -> None:
        """Compute what the references say at every point."""
        device = trainer.strategy.root_device
        self._points = self._points.to(device)
        self._steps = trainer.estimated_stepping_batches
        said: list[Tensor] = []
        seen: list[Tensor] = []
        for reference in self.references:
            network = reference.load(self._build).to(device)
            network = network.to(memory_format=torch.channels_last)
            said.append(self._everywhere(network, trainer, "outputs"))
            if self.repulsion.of == "input_gradients":
                seen.append(self._everywhere(network, trainer, "input_gradients"))
            elif self.repulsion.of == "weights":
                here = self._points.images  # not looked at
                seen.append(features(network, network.parameters(), here, None, "weights").detach())
        self._all_logits = torch.stack(said)  # [R, P, C]
        self._all_features = torch.stack(seen) if seen else self._all_logits  # [R, P, K] or [R,1,W]
        self._logits, self._features = self._all_logits, self._all_features

    def on_train_epoch_start(self, trainer: Trainer, pl_module: lightning.LightningModule) -> None:
        """Choose the nearest references anew, by Hellinger distance on the pool."""
        wanted = self.repulsion.wanted
        if wanted.choose != "nearest" or wanted.count is None:
            return
        network: nn.Module = pl_module.network  # type: ignore[assignment]
        own = self._everywhere(network, trainer, "outputs")
        distances = [mean_distances(own, other[None])["hellinger"] for other in self._all_logits]
        nearest = torch.stack(distances).argsort(stable=True)[: wanted.count].sort().values
        self._logits = self._all_logits[nearest]
        self._features = (
            self._logits if self.repulsion.of == "outputs" else self._all_features[nearest]
        )

    def penalty(self, module: Classifier, batch: Batch, logits: Tensor) -> Tensor:
        """The term for this step, times its strength."""
        trainer, repulsion = module.trainer, self.repulsion
        weight = repulsion.weight(trainer.global_step / self._steps)
        if weight == 0:
            return logits.new_zeros(())
        index = at_step(
            self._points,
            repulsion.batch_size,
            *(self.seed, trainer.current_epoch, trainer.global_step),
        )
        images = self._points.images[index]
        labels = None if self._points.labels is None else self._points.labels[index]
        network = module.network
        with evaluating(network):
            own = features(network, network.parameters(), images, labels, repulsion.of)
        others = self._features if repulsion.of == "weights" else self._features[:, index]
        penalty = weight * repulsion.penalty(own, others, labels)
        if trainer.loggers and (trainer.global_step + 1) % trainer.log_every_n_steps == 0:  # type: ignore[attr-defined]
            self._measure(module, batch, logits, penalty, index, own)
        return penalty

    def on_before_optimizer_step(
        self, trainer: Trainer, pl_module: lightning.LightningModule, optimizer: Optimizer
    ) -> None:
        """Log what was measured in this step, if it was."""
        if not self._measured:
            return
        if self._gradients:
            # The loss's gradient less the penalty's is the cross-entropy's: no second pass for it.
            pairs = zip(_trained(pl_module), self._gradients, strict=True)
            rest = [p.grad - g for p, g in pairs if p.grad is not None]
            self._measured["repulsion/gradient_ratio"] = gradient_ratio(self._gradients, rest)
        pl_module.log_dict(self._measured)
        self._measured, self._gradients = {}, []

    def _measure(
        self,
        module: Classifier,
        batch: Batch,
        logits: Tensor,
        penalty: Tensor,
        index: Tensor,
        own: Tensor,
    ) -> None:
        """Measure this step; what needs the loss's gradient waits for it."""
        if self.repulsion.of != "outputs":
            images = self._points.images[index]
            with torch.no_grad(), evaluating(module.network):
                own = features(module.network, (), images, None, "outputs")
        answers = logits.detach(), batch[1], module.label_smoothing
        measured = step_measures(penalty, *answers, own.detach(), self._logits[:, index])
        self._measured = {f"repulsion/{key}": value for key, value in measured.items()}
        if module.trainer.accumulate_grad_batches == 1:
            gradients = torch.autograd.grad(
                penalty, _trained(module), retain_graph=True, allow_unused=True
            )
            self._gradients = [
                torch.zeros_like(p) if g is None else g
                for p, g in zip(_trained(module), gradients, strict=True)
            ]

    def _everywhere(self, network: nn.Module, trainer: Trainer, of: Of) -> Tensor:
        """What a term looks at, at every point of the pool [P, K], in the precision of training.

        In batches like those of a step, since BatchNorm takes its statistics from them.
        """
        images, labels = self._points.images, self._points.labels
        batches = max(1, len(images) // self.repulsion.batch_size)
        parts: list[Tensor] = []
        with torch.no_grad(), evaluating(network), trainer.precision_plugin.forward_context():
            for index in torch.arange(len(images), device=images.device).tensor_split(batches):
                given = None if labels is None else labels[index]
                parts.append(features(network, (), images[index], given, of).detach())
        return torch.cat(parts)


def _trained(module: lightning.LightningModule) -> list[nn.Parameter]:
    return [p for p in module.parameters() if p.requires_grad]
