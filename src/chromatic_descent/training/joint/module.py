"""The LightningModule of members trained together, and the repulsion between them."""

from collections.abc import Iterator, Sequence
from typing import Any, Literal

import lightning
import torch
from torch import Tensor, nn

from chromatic_descent.data import Batch, JointData
from chromatic_descent.training.joint.engines import Chunk, Looped, Stacked
from chromatic_descent.training.module import Classifier
from chromatic_descent.training.repulsion import Points, Repulsion, at_step
from chromatic_descent.training.repulsion.measures import gradient_ratio, step_measures

Engine = Literal["loop", "vmap"]


class JointClassifier(lightning.LightningModule):
    """Trains members together: each by its own loss on its own batches, plus their repulsion.

    With z_i the features of member i that repulsion compares, the loss is

        Σ_i [cross-entropy_i + strength · term(z_i, {z_j, j ≠ i})]

    where the z_j of others are constants. It is a sum over members, so that each has the gradient
    it would have alone. All z are computed from the weights before the step.

    Args:
        members: in the order of their seeds; each brings its network, optimiser and schedule.
        names: the members', for logging.
        engine: `loop` or `vmap`; see `engines`.
        chunk: number of members with activations in memory at once.
        repulsion: pushes members apart; None: plain training.
    """

    def __init__(
        self,
        members: Sequence[Classifier],
        names: Sequence[str],
        *,
        engine: Engine = "loop",
        chunk: int = 1,
        repulsion: Repulsion | None = None,
    ):
        super().__init__()
        self.automatic_optimization = False
        self.members = nn.ModuleList(members)
        self.names, self.engine, self.chunk, self.repulsion = names, engine, chunk, repulsion
        self._chunks: list[Chunk] = []
        self._points: Points | None = None
        self._logits = torch.empty(0)  # [M, B, C], each member's at the points of a logged step

    @property
    def classifiers(self) -> list[Classifier]:
        """The members."""
        return list(self.members)  # type: ignore[arg-type]

    def setup(self, stage: str) -> None:
        """Give the members the trainer, from which they read options."""
        for member in self.classifiers:
            member.trainer = self.trainer

    def configure_optimizers(self) -> Any:
        """Each member's optimiser and schedule."""
        return [member.configure_optimizers() for member in self.classifiers]

    def on_fit_start(self) -> None:
        """Initialise layers that depend on the data alone, and make the pool of points."""
        for member in self.classifiers:
            member.on_fit_start()
        if self.repulsion is not None:
            self._points = self.repulsion.make_pool(self._data).to(self.device)

    def on_train_start(self) -> None:
        """Divide the members into chunks, now that their weights are on their device."""
        self._steps = int(self.trainer.estimated_stepping_batches)
        make: type[Looped] | type[Stacked] = Looped if self.engine == "loop" else Stacked
        members = self.classifiers
        parts = [members[i : i + self.chunk] for i in range(0, len(members), self.chunk)]
        self._chunks = [make(part, self.trainer.precision_plugin.forward_context) for part in parts]

    def on_train_epoch_start(self) -> None:
        """Make each member's random draws a function of its seed and the epoch."""
        for chunk in self._chunks:
            chunk.start_epoch()

    def training_step(self, batches: Iterator[Batch], index: int) -> None:
        """One step of every member."""
        # Lightning's autocast is on here. A member alone has it in its forward pass only.
        with torch.autocast(self.device.type, enabled=False):
            repelled = self._repelled(index)
            first = 0
            for chunk in self._chunks:
                penalties = next(repelled, None)
                measured = penalties is not None and self._measures(index)
                gradients = chunk.gradients(penalties) if penalties and measured else []
                for slot in chunk.backward(batches, penalties):
                    if penalties and measured:
                        self._measure(first + slot, penalties[slot], gradients[slot])
                    self._take_step(first + slot)
                first += len(chunk.members)

    def on_train_epoch_end(self) -> None:
        """Log each member's loss and accuracy on its augmented training batches."""
        for name, member in zip(self.names, self.classifiers, strict=True):
            self.log_dict({f"{name}/{key}": v for key, v in member.running_metrics().items()})

    def running_metrics(self) -> dict[str, float]:
        """Means over members of their losses and accuracies in this epoch so far."""
        metrics = [member.running_metrics() for member in self.classifiers]
        return {key: sum(m[key] for m in metrics) / len(metrics) for key in metrics[0]}

    def _take_step(self, member: int) -> None:
        optimizer = _as_list(self.optimizers())[member]
        optimizer.step()
        optimizer.zero_grad()
        _as_list(self.lr_schedulers())[member].step()

    def _repelled(self, index: int) -> Iterator[list[Tensor]]:
        """Each chunk's penalties, times their strength, in turn.

        A penalty needs the features of all other members. With a single chunk the features keep
        their graph; otherwise they are computed twice, so that only one chunk's activations are in
        memory at a time.
        """
        if self.repulsion is None or self._points is None:
            return
        weight = self.repulsion.weight(self._step(index) / self._steps)
        if weight == 0:
            return
        epoch, size = self.current_epoch, self.repulsion.batch_size
        chosen = at_step(self._points, size, self._data.seed, epoch, index)
        points, of, together = self._points.at(chosen), self.repulsion.of, len(self._chunks) == 1

        with torch.set_grad_enabled(together):
            parts = [chunk.features(*points, of) for chunk in self._chunks]
        constant = torch.stack([z.detach() for part in parts for z in part])  # [M, B, K]
        if not together:
            parts.clear()
        if self._measures(index):
            self._logits = constant
            if of != "outputs":
                with torch.no_grad():
                    outputs = [c.features(points.images, None, "outputs") for c in self._chunks]
                self._logits = torch.stack([logits for part in outputs for logits in part])
        member = 0
        for chunk in self._chunks:
            penalties = []
            for own in parts[0] if together else chunk.features(*points, of):
                penalty = self.repulsion.penalty(own, _without(constant, member), points.labels)
                penalties.append(weight * penalty)
                member += 1
            yield penalties

    def _step(self, index: int) -> int:
        """The steps that each member has taken; Lightning's `global_step` sums over members."""
        return self.current_epoch * self._data.batches_per_epoch + index

    def _measures(self, index: int) -> bool:
        every: int = self.trainer.log_every_n_steps  # type: ignore[attr-defined]
        return bool(self.trainer.loggers) and (self._step(index) + 1) % every == 0

    def _measure(self, index: int, penalty: Tensor, gradient: Sequence[Tensor]) -> None:
        """Log the effect of repulsion on a member in this step."""
        member = self.classifiers[index]
        logits = self._logits[index], _without(self._logits, index)
        measured = step_measures(penalty, member, *logits)
        measured["gradient_ratio"] = gradient_ratio(member.network, gradient)
        prefix = f"{self.names[index]}/repulsion"
        self.log_dict({f"{prefix}/{key}": value for key, value in measured.items()})

    @property
    def _data(self) -> JointData:
        data: JointData = self.trainer.datamodule  # type: ignore[attr-defined]
        return data


def _without(stack: Tensor, index: int) -> Tensor:
    return torch.cat([stack[:index], stack[index + 1 :]])  # [M - 1, ...]


def _as_list(items: Any) -> list[Any]:
    """Lightning returns a single optimiser or scheduler bare, several in a list."""
    return items if isinstance(items, list) else [items]
