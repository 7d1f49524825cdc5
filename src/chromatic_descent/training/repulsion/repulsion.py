"""The options of repulsion, checked: one file of `configs/repulsion/`."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
from omegaconf import DictConfig
from torch import Tensor

from chromatic_descent.config import instantiate
from chromatic_descent.errors import UserError, is_whole
from chromatic_descent.training.repulsion.features import Of
from chromatic_descent.training.repulsion.points import KINDS, LABELLED, Points, pool, unknown_kind
from chromatic_descent.training.repulsion.terms import Term

Schedule = Literal["constant", "warmup", "cosine"]
Choose = Literal["random", "nearest"]

STUDY = "study"  # references.from: the member's own study


@dataclass(frozen=True)
class Request:
    """The references that a config asks for: `repulsion.references`."""

    source: str  # `from` in a config: `study`, or another study's name or path
    count: int | None  # None for all
    choose: Choose  # if there are more: `random` by the member's seed, or `nearest` in each epoch


@dataclass(frozen=True)
class Repulsion:
    """One way to push members apart, checked.

    Args:
        term: the function that is minimised; see `terms`.
        of: the features that the term compares; see `features`.
        joint: whether the term works between members trained together.
        sequential: whether the term works against members already trained.
        labels: whether the term needs the points' classes.
        strength: the factor of the term.
        schedule: `constant`; `warmup` rises linearly to the strength and stays; `cosine` rises
            in the same way and then falls to 0 as (1 + cos πt)/2.
        warmup: share of all steps that the rise takes.
        points: kind of the images at which members are compared; see `points.pool`.
        pool: number of these images; fewer if the data has fewer.
        pool_seed: picks them, independently of the member's seed.
        batch_size: number of points in a step.
        references: {from, count, choose}; see `Request`.

    Raises UserError for an invalid option, and for two options that exclude each other.
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
        _check_choice("of", self.of, Of)
        _check_choice("schedule", self.schedule, Schedule)
        for key in ("joint", "sequential", "labels"):
            _check(isinstance(getattr(self, key), bool), key, getattr(self, key), "true or false")
        _check(_number(self.strength) and self.strength >= 0, "strength", self.strength, "from 0")
        _check(_number(self.warmup) and 0 <= self.warmup < 1, "warmup", self.warmup, "0 to below 1")
        if self.points not in KINDS:
            raise unknown_kind(self.points)
        _check(is_whole(self.pool, 1), "pool", self.pool, "a number of images from 1")
        _check(is_whole(self.batch_size, 1), "batch_size", self.batch_size, "a number from 1")
        at_most = f"at most the {self.pool} points of repulsion.pool"
        _check(self.batch_size <= self.pool, "batch_size", self.batch_size, at_most)
        if self.labels and self.points not in LABELLED:
            raise UserError(
                f"repulsion.points={self.points} have no labels and this term needs them: "
                f"expected repulsion.points={' or '.join(LABELLED)}."
            )
        _ = self.requested  # checks it

    @property
    def requested(self) -> Request:
        """The references that the config asks for."""
        request = dict(self.references)
        keys = {"from", "count", "choose"}
        _check(request.keys() == keys, "references", request, "{from, count, choose}")
        source, count, choose = request["from"], request["count"], request["choose"]
        study = f"'{STUDY}', or another study's name or path"
        _check(isinstance(source, str) and source != "", "references.from", source, study)
        valid = count is None or is_whole(count, 1)
        _check(valid, "references.count", count, "a number from 1, or null for all")
        _check_choice("references.choose", choose, Choose)
        return Request(source, count, choose)

    def weight(self, done: float) -> float:
        """The factor of the term after the share `done` in [0, 1] of all steps."""
        if done < self.warmup and self.schedule != "constant":
            return self.strength * done / self.warmup
        if self.schedule != "cosine":
            return self.strength
        falling = (done - self.warmup) / (1 - self.warmup)
        return self.strength * (1 + math.cos(math.pi * falling)) / 2

    def penalty(self, own: Tensor, others: Tensor, labels: Tensor | None = None) -> Tensor:
        """The term, before its strength, without autocast: a scalar, float32."""
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


def _check(valid: bool, key: str, value: object, expected: str) -> None:
    if not valid:
        raise UserError(f"repulsion.{key}={value}: expected {expected}.")


def _check_choice(key: str, value: object, choices: Any) -> None:
    _check(value in get_args(choices), key, value, f"one of {', '.join(get_args(choices))}")


def _number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
