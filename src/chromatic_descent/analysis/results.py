"""What sections are made of: results, and reasons for results that the data do not allow.

A section's result is a frozen dataclass, or an `Each` of one per distance. A part that could not be
computed, for too few members say, is a `NotComputed` with the reason: nothing is left out silently.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
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
    """A result that the data do not allow, and why not."""

    reason: str


@dataclass(frozen=True, eq=False)
class Each(Mapping[str, T | NotComputed], Generic[T]):
    """Results by name, of a distance or of a part, each computed or with the reason why not."""

    results: Mapping[str, T | NotComputed]

    def __getitem__(self, name: str) -> T | NotComputed:
        return self.results[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.results)

    def __len__(self) -> int:
        return len(self.results)

    def computed(self) -> dict[str, T]:
        """The results that were computed, by name."""
        return {n: r for n, r in self.results.items() if not isinstance(r, NotComputed)}

    def reasons(self) -> dict[str, str]:
        """Why each of the others was not computed, by name."""
        return {n: r.reason for n, r in self.results.items() if isinstance(r, NotComputed)}

    def find(self, name: str, otherwise: str = "not asked for") -> T | NotComputed:
        """The result of that name; `NotComputed(otherwise)` if there is none."""
        return self.results.get(name, NotComputed(otherwise))


@dataclass(frozen=True)
class Interval:
    """The mean and the central 95% of draws."""

    mean: float
    low: float
    high: float


def interval(values: Array) -> Interval:
    """The mean and the central 95% of draws."""
    low, high = np.quantile(values, [0.025, 0.975])
    return Interval(float(np.mean(values)), float(low), float(high))


def computed(result: T | NotComputed) -> TypeGuard[T]:
    """Whether there is a result."""
    return not isinstance(result, NotComputed)


def attempt(
    compute: Callable[Options, T], *arguments: Options.args, **options: Options.kwargs
) -> T | NotComputed:
    """What `compute` returns, or `NotComputed` with the reason if the data do not allow it."""
    try:
        return compute(*arguments, **options)
    except UserError as error:
        return NotComputed(str(error))


def for_each(names: Iterable[Key], compute: Callable[[Key], T]) -> dict[Key, T | NotComputed]:
    """`{name: attempt(compute, name)}`, on as many threads as there are cores."""
    kept = list(names)
    with one_thread_a_core() as threads:
        return dict(zip(kept, threads.map(lambda n: attempt(compute, n), kept), strict=True))
