"""The types that sections are made of: results, and reasons for missing ones.

A section's result is a frozen dataclass, or an `Each` of one per distance. A part that could not be
computed, for too few members say, is a `NotComputed` with the reason: nothing is left out silently.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Generic, ParamSpec, TypeGuard, TypeVar

import numpy as np
from numpy.typing import NDArray

from chromatic_descent.errors import UserError
from chromatic_descent.geometry.cores import one_thread_a_core

T = TypeVar("T")
Key = TypeVar("Key")
Options = ParamSpec("Options")

Array = NDArray[np.float64]


@dataclass(frozen=True)
class NotComputed:
    """A result that could not be computed from these data, and the reason."""

    reason: str


class Each(dict[str, T | NotComputed], Generic[T]):
    """Results by name, of a distance or of a part, each computed or with the reason why not."""

    def computed(self) -> dict[str, T]:
        """The results that were computed, by name."""
        return {n: r for n, r in self.items() if not isinstance(r, NotComputed)}

    def reasons(self) -> dict[str, str]:
        """The reasons for the results that were not computed, by name."""
        return {n: r.reason for n, r in self.items() if isinstance(r, NotComputed)}

    def find(self, name: str, otherwise: str = "not asked for") -> T | NotComputed:
        """The result of that name; `NotComputed(otherwise)` if there is none."""
        return self.get(name, NotComputed(otherwise))


@dataclass(frozen=True)
class Interval:
    """The mean and the central 95% of a distribution."""

    mean: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Array) -> "Interval":
        """Summarise draws from a distribution."""
        low, high = np.quantile(values, [0.025, 0.975])
        return Interval(float(np.mean(values)), float(low), float(high))


def computed(result: T | NotComputed) -> TypeGuard[T]:
    """Whether a result was computed."""
    return not isinstance(result, NotComputed)


def attempt(
    compute: Callable[Options, T], *arguments: Options.args, **options: Options.kwargs
) -> T | NotComputed:
    """The result of `compute`, or `NotComputed` with the reason if the data do not allow it."""
    try:
        return compute(*arguments, **options)
    except UserError as error:
        return NotComputed(str(error))


def for_each(names: Iterable[Key], compute: Callable[[Key], T]) -> dict[Key, T | NotComputed]:
    """`{name: attempt(compute, name)}`, on as many threads as there are cores."""
    keys = list(names)
    with one_thread_a_core() as threads:
        return dict(zip(keys, threads.map(lambda k: attempt(compute, k), keys), strict=True))
