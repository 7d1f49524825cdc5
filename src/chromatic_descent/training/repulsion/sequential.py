"""Sequential repulsion: a member is pushed away from members that are already trained."""

import logging
from collections.abc import Callable
from pathlib import Path

import lightning
import torch
from lightning import Trainer
from omegaconf import DictConfig
from torch import Tensor, nn
from torch.optim import Optimizer

from chromatic_descent.data import Batch, ImageData
from chromatic_descent.errors import UserError
from chromatic_descent.launch import launchers
from chromatic_descent.probe_logits.identity import Identity
from chromatic_descent.study import Member
from chromatic_descent.training.module import Classifier
from chromatic_descent.training.optim import trained_parameters
from chromatic_descent.training.repulsion import measures
from chromatic_descent.training.repulsion.features import Of, evaluating, features
from chromatic_descent.training.repulsion.points import Points, at_step
from chromatic_descent.training.repulsion.references import Reference, choose, source_study
from chromatic_descent.training.repulsion.repulsion import STUDY, Repulsion, from_config

log = logging.getLogger(__name__)


def plan(
    cfg: DictConfig,
    member: Member,
    identity: Identity,
    data: ImageData,
    build: Callable[[], nn.Module],
) -> tuple[list[lightning.Callback], list[dict[str, str]] | None]:
    """The callbacks of the config's repulsion, and the references to record (None: `none`).

    The references are kept in the member's manifest, so that a later attempt uses the same. The
    first member of a configuration has no references and is trained plainly.

    Raises UserError for repulsion that is impossible, before any training.
    """
    repulsion = from_config(cfg.repulsion)
    if repulsion is None:
        return [], None
    if not repulsion.sequential:
        name = getattr(getattr(repulsion.term, "func", repulsion.term), "__name__", "this one")
        raise UserError(
            f"The repulsion term {name} works only between members that are trained together: "
            "use population=joint, or another repulsion."
        )
    requested = repulsion.requested
    if requested.source == STUDY and cfg.study is None:
        raise UserError(
            "repulsion.references.from=study, but this run's study has no name, so that a member "
            "cannot find earlier ones: add study=NAME, or name another study in "
            "repulsion.references.from."
        )
    study = source_study(requested, member, Path(cfg.paths.multirun))
    if study.path.resolve() == member.study.path.resolve() and launchers.in_parallel():
        raise UserError(
            "Members that are trained at the same time cannot be repelled from each other one by "
            "one: use population=joint, repulsion.references.from=<another study>, or train them "
            "one after another (launcher=basic)."
        )
    points = repulsion.make_pool(data)
    earlier = getattr(member.read_manifest(), "references", None)
    probe_hash = data.probe.hash(data.mean, data.std)
    references = choose(requested, study, member, identity, probe_hash, earlier)
    entries = [reference.entry for reference in references]
    member.keep_references(entries)
    if not references:
        log.info("%s is the first of its configuration: trained plainly", member.name)
        return [], entries
    return [Repel(repulsion, points, references, build, cfg.seed)], entries


class Repel(lightning.Callback):
    """Adds a term to the loss that pushes the member away from references.

    The references' features at every point of the pool are computed once, when training starts; a
    step looks them up, and runs the member's own network at `repulsion.batch_size` points.

    Args:
        repulsion: the term, its schedule and its options.
        points: the pool.
        references: the members to be repelled from.
        build: makes a network of the same model.
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
        self._gradients: tuple[Tensor, ...] = ()

    def on_train_start(self, trainer: Trainer, pl_module: lightning.LightningModule) -> None:
        """Compute the references' logits and features at every point."""
        device = trainer.strategy.root_device
        self._points = self._points.to(device)
        self._steps = trainer.estimated_stepping_batches
        logits: list[Tensor] = []
        compared: list[Tensor] = []
        for reference in self.references:
            network = reference.load(self._build).to(device)
            network = network.to(memory_format=torch.channels_last)
            logits.append(self._everywhere(network, trainer, "outputs"))
            if self.repulsion.of == "input_gradients":
                compared.append(self._everywhere(network, trainer, "input_gradients"))
            elif self.repulsion.of == "weights":
                images = self._points.images  # not used
                weights = features(network, network.parameters(), images, None, "weights")
                compared.append(weights.detach())
        self._all_logits = torch.stack(logits)  # [R, P, C]
        # [R, P, K]; of weights [R, 1, W]
        self._all_features = torch.stack(compared) if compared else self._all_logits
        self._logits, self._features = self._all_logits, self._all_features

    def on_train_epoch_start(self, trainer: Trainer, pl_module: lightning.LightningModule) -> None:
        """Choose the nearest references again, by Hellinger distance on the pool."""
        requested = self.repulsion.requested
        if requested.choose != "nearest" or requested.count is None:
            return
        network: nn.Module = pl_module.network  # type: ignore[assignment]
        own = self._everywhere(network, trainer, "outputs")
        distances = [
            measures.mean_distances(own, other[None])["hellinger"] for other in self._all_logits
        ]
        order = torch.stack(distances).argsort(stable=True)
        nearest = order[: requested.count].sort().values
        self._logits, self._features = self._all_logits[nearest], self._all_features[nearest]

    def penalty(self, module: Classifier, batch: Batch, logits: Tensor) -> Tensor:
        """The term for this step, times its strength."""
        trainer, repulsion = module.trainer, self.repulsion
        weight = repulsion.weight(trainer.global_step / self._steps)
        if weight == 0:
            return logits.new_zeros(())
        key = self.seed, trainer.current_epoch, trainer.global_step
        index = at_step(self._points, repulsion.batch_size, *key)
        points, network = self._points.at(index), module.network
        with evaluating(network):
            own = features(network, network.parameters(), *points, repulsion.of)
        others = self._features if repulsion.of == "weights" else self._features[:, index]
        penalty = weight * repulsion.penalty(own, others, points.labels)
        if trainer.loggers and (trainer.global_step + 1) % trainer.log_every_n_steps == 0:  # type: ignore[attr-defined]
            self._measure(module, penalty, index, own)
        return penalty

    def on_before_optimizer_step(
        self, trainer: Trainer, pl_module: lightning.LightningModule, optimizer: Optimizer
    ) -> None:
        """Log the measurements of this step, if there are any."""
        if not self._measured:
            return
        if self._gradients:
            ratio = measures.gradient_ratio(pl_module.network, self._gradients)  # type: ignore[arg-type]
            self._measured["repulsion/gradient_ratio"] = ratio
        pl_module.log_dict(self._measured)
        self._measured, self._gradients = {}, ()

    def _measure(self, module: Classifier, penalty: Tensor, index: Tensor, own: Tensor) -> None:
        """Measure this step, except for the ratio, which needs the gradient of the whole loss."""
        if self.repulsion.of != "outputs":
            with torch.no_grad(), evaluating(module.network):
                own = features(module.network, (), self._points.images[index], None, "outputs")
        measured = measures.step_measures(penalty, module, own.detach(), self._logits[:, index])
        self._measured = {f"repulsion/{key}": value for key, value in measured.items()}
        if module.trainer.accumulate_grad_batches == 1:
            self._gradients = measures.gradient_of(penalty, trained_parameters(module.network))

    def _everywhere(self, network: nn.Module, trainer: Trainer, of: Of) -> Tensor:
        """The features of every point of the pool [P, K]."""
        images = self._points.images
        # BatchNorm takes its statistics from the batch, so batches are as large as in a step.
        batches = max(1, len(images) // self.repulsion.batch_size)
        indices = torch.arange(len(images), device=images.device).tensor_split(batches)
        with torch.no_grad(), evaluating(network), trainer.precision_plugin.forward_context():
            parts = [features(network, (), *self._points.at(i), of).detach() for i in indices]
        return torch.cat(parts)
