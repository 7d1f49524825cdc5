"""What an option of `configs/repulsion/` becomes, and what its term looks at."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
import torch.nn.functional as F
from omegaconf import DictConfig
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from chromatic_descent.config import instantiate
from chromatic_descent.errors import UserError
from chromatic_descent.training.repulsion.points import KINDS, LABELLED, Points, pool, unknown_kind
from chromatic_descent.training.repulsion.terms import Term

Of = Literal["outputs", "weights", "input_gradients"]
Schedule = Literal["constant", "warmup", "cosine"]
Choose = Literal["random", "nearest"]

STUDY = "study"  # references.from: the study that the member belongs to


@dataclass(frozen=True)
class Wanted:
    """Which members are references: `repulsion.references` in a config.

    Args:
        source: `from` in a config: `study`, or another study's name or path.
        count: how many, None for all.
        choose: which, if there are more: `random`, by the member's seed, or `nearest`, anew in
            each epoch.
    """

    source: str
    count: int | None
    choose: Choose


@dataclass(frozen=True)
class Repulsion:
    """One way to push members apart, checked.

    Args:
        term: what is minimised; see `terms`.
        of: what the term looks at; see `features`.
        joint: whether it works between members trained together.
        sequential: whether it works against members already trained.
        labels: whether it needs the points' classes.
        strength: what the term is multiplied by.
        schedule: `constant`; `warmup` rises linearly to the strength and stays; `cosine` rises
            likewise and then falls to 0 as (1 + cos πt)/2.
        warmup: share of all steps that the rise takes.
        points: kind of the images at which members are compared; see `points.pool`.
        pool: how many of them there are; fewer if the data has fewer.
        pool_seed: decides which, independently of the member's seed.
        batch_size: how many of them are looked at in a step.
        references: {from, count, choose}; see `Wanted`.

    Raises:
        UserError: an option that cannot be, or two that exclude each other.
    """

    term: Term
    of: Of
    joint: bool
    sequential: bool
    labels: bool
    strength: float
    schedule: Schedule
    warmup: float
    points: str
    pool: int
    pool_seed: int
    batch_size: int
    references: Mapping[str, Any]

    def __post_init__(self) -> None:
        _check(callable(self.term), "term", self.term, "a function of (own, others, labels)")
        for key, kinds in [("of", Of), ("schedule", Schedule)]:
            given = getattr(self, key)
            _check(given in get_args(kinds), key, given, f"one of {', '.join(get_args(kinds))}")
        for key in ("joint", "sequential", "labels"):
            _check(isinstance(getattr(self, key), bool), key, getattr(self, key), "true or false")
        _check(_number(self.strength) and self.strength >= 0, "strength", self.strength, "from 0")
        _check(_number(self.warmup) and 0 <= self.warmup < 1, "warmup", self.warmup, "0 to below 1")
        if self.points not in KINDS:
            raise unknown_kind(self.points)
        _check(_count(self.pool), "pool", self.pool, "a number of images from 1")
        _check(_count(self.batch_size), "batch_size", self.batch_size, "a number from 1")
        _check(
            self.batch_size <= self.pool,
            "batch_size",
            self.batch_size,
            f"at most the {self.pool} points of repulsion.pool",
        )
        if self.labels and self.points not in LABELLED:
            raise UserError(
                f"repulsion.points={self.points} have no labels and this term needs them: "
                f"expected repulsion.points={' or '.join(LABELLED)}."
            )
        _ = self.wanted

    @property
    def wanted(self) -> Wanted:
        """Which references are wanted."""
        given = dict(self.references)
        keys = {"from", "count", "choose"}
        _check(given.keys() == keys, "references", given, "{from, count, choose}")
        source, count, choose = given["from"], given["count"], given["choose"]
        study = f"'{STUDY}', or another study's name or path"
        _check(isinstance(source, str) and source != "", "references.from", source, study)
        fine = count is None or _count(count)
        _check(fine, "references.count", count, "a number from 1, or null for all")
        options = get_args(Choose)
        _check(choose in options, "references.choose", choose, f"one of {', '.join(options)}")
        return Wanted(source, count, choose)

    def weight(self, progress: float) -> float:
        """What the term is multiplied by after `progress` in [0, 1] of all steps."""
        if self.schedule == "constant":
            return self.strength
        if progress < self.warmup:
            return self.strength * progress / self.warmup
        if self.schedule == "warmup":
            return self.strength
        done = (progress - self.warmup) / (1 - self.warmup)
        return self.strength * (1 + math.cos(math.pi * done)) / 2

    def penalty(self, own: Tensor, others: Tensor, labels: Tensor | None = None) -> Tensor:
        """The term, before its strength, out of reach of autocast: a scalar, float32."""
        with torch.autocast(own.device.type, enabled=False):
            return self.term(own.float(), others.float(), labels)

    def make_pool(self, data: Any) -> Points:
        """The points; raises UserError if the data has too few for a batch."""
        points = pool(self.points, data, self.pool, self.pool_seed)
        if len(points.images) < self.batch_size:
            raise UserError(
                f"repulsion.batch_size={self.batch_size}: there are only {len(points.images)} "
                f"points of kind {self.points}. Lower it, or give more images."
            )
        return points


def from_config(cfg: DictConfig) -> Repulsion | None:
    """The config's `repulsion`, checked; None for `repulsion=none` and for strength 0."""
    if cfg.get("term") is None:
        return None
    repulsion: Repulsion = instantiate(cfg)
    return repulsion if repulsion.strength > 0 else None


def features(
    run: Callable[[Tensor], Tensor],
    parameters: Iterable[Tensor],
    images: Tensor,
    labels: Tensor | None,
    of: Of,
) -> Tensor:
    """What a term looks at, [B, K] float32, with its gradient to the parameters.

    - `outputs`: logits less their mean over classes, [B, classes]. Softmax does not see the mean,
      and moving it would be the cheapest way to be far apart.
    - `weights`: every parameter that is trained, in one row, [1, weights]; images are not used.
    - `input_gradients`: ∇_x log p(y|x) at the label y of each point, scaled to length 1,
      [B, C·H·W] (as the unit sphere of Trinh et al. 2023, "Input-gradient space particle inference
      for neural network ensembles").

    Args:
        run: images [B, C, H, W] -> logits, with the network as in `evaluating`.
        parameters: the network's; those that are not trained are left out.
        images: [B, C, H, W].
        labels: [B]; for `input_gradients`.
        of: which.
    """
    if of == "weights":
        return torch.cat([p.float().flatten() for p in parameters if p.requires_grad])[None]
    if of == "outputs":
        logits = run(images).float()
        return logits - logits.mean(-1, keepdim=True)
    assert labels is not None
    truth = labels[:, None]

    def log_likelihood(x: Tensor) -> Tensor:
        return run(x).float().log_softmax(-1).gather(1, truth).sum()

    # torch.func's, so that it may itself be under torch.func.vmap
    gradients: Tensor = torch.func.grad(log_likelihood)(images)
    return F.normalize(gradients.flatten(1).float(), dim=1)


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """The network in evaluation mode, but BatchNorm with the statistics of what it is shown.

    Its running statistics are neither used nor updated. Cross-entropy trains the network with the
    statistics of each batch. Repelled with the running ones instead, members learn to be sensitive
    to how the two differ: the logits recorded at the end fall apart, while those that cross-entropy
    sees hardly move. Every module is as it was afterwards.
    """
    training = [module for module in network.modules() if module.training]
    norms = [m for m in network.modules() if isinstance(m, _BatchNorm) and m.track_running_stats]
    for module in training:
        module.training = False
    for norm in norms:
        norm.training, norm.track_running_stats = True, False
    try:
        yield
    finally:
        for norm in norms:
            norm.training, norm.track_running_stats = False, True
        for module in training:
            module.training = True


def _check(fine: bool, key: str, given: object, expected: str) -> None:
    if not fine:
        raise UserError(f"repulsion.{key}={given}: expected {expected}.")


def _number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1
