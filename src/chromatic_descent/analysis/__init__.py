"""The analysis of a population: logits in, every number out. No figures, no files but a cache.

    from chromatic_descent import analysis, probe_logits
    population = probe_logits.from_arrays("logits.npy", "labels.npy")
    results = analysis.analyse(population).results
    results["maps"]["hellinger"]["explained"]

An analysis is a chain of sections, each a function of the population and of earlier sections. What
a section needs is what its parameters name: positional ones are earlier sections, keyword-only ones
are options of `configs/analyze.yaml`, with the same defaults.
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache as once
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chromatic_descent.analysis import results as _results
from chromatic_descent.analysis.answers import answers
from chromatic_descent.analysis.dimension import dimension
from chromatic_descent.analysis.drivers import drivers, factors
from chromatic_descent.analysis.ensembles import ensembles, members
from chromatic_descent.analysis.groups import groups
from chromatic_descent.analysis.maps import distances, inpca, maps
from chromatic_descent.analysis.nulls import nulls
from chromatic_descent.analysis.numbers import read_numbers
from chromatic_descent.analysis.results import Result
from chromatic_descent.analysis.trajectories import trajectories
from chromatic_descent.errors import UserError
from chromatic_descent.files.hashing import content_hash
from chromatic_descent.own_code import is_own, source
from chromatic_descent.probe_logits import Population

__all__ = ["SECTIONS", "Analysis", "analyse", "read_numbers"]

SECTIONS: dict[str, Callable[..., Result]] = {
    section.__name__: section
    for section in (
        members,
        distances,
        maps,
        inpca,
        nulls,
        dimension,
        drivers,
        factors,
        ensembles,
        answers,
        groups,
        trajectories,
    )
}
"""What is computed, by name and in this order: each a function of the population."""

_COUNTS = {  # options that count something, and the least that makes sense
    "bootstrap": 3,  # fewer have no ellipses
    **dict.fromkeys(("draws", "permutations", "splits", "subsets"), 1),
    **dict.fromkeys(("tsne", "umap", "seed"), 0),
}


@dataclass(frozen=True)
class Analysis:
    """What was computed from a population: a result by section, see `SECTIONS`."""

    population: Population
    results: dict[str, Result]


def analyse(
    population: Population,
    *,
    cache: Path | None = None,
    progress: Callable[[str], None] | None = None,
    **options: Any,
) -> Analysis:
    """Compute every section.

    Args:
        population: S members on one probe.
        cache: a folder in which each section is kept with a hash of all it was computed from (the
            logits, its options, the sections before it, this package's code) and read again while
            that hash holds.
        progress: told each section's name before it is computed.
        options: by name, see `configs/analyze.yaml`; those not given take their defaults.

    Raises:
        UserError: an option is unknown or out of range.
    """
    known = {name for section in SECTIONS.values() for name in _needs(section)[1]}
    if unknown := sorted(options.keys() - known):
        raise UserError(f"{', '.join(unknown)}: expected options among {', '.join(sorted(known))}.")
    _check_counts(options)
    done: dict[str, Result] = {}
    keys: dict[str, str] = {}
    inputs = ""
    if cache is not None:
        inputs = content_hash(_population_hash(population), *_own_sources(options))
    for name, section in SECTIONS.items():
        earlier, defaults = _needs(section)
        chosen = {option: options.get(option, default) for option, default in defaults.items()}
        kept = cache / f"{name}.npz" if cache is not None else None
        if kept is not None:
            keys[name] = content_hash(
                *(inputs, _code_hash(), name, repr(sorted(chosen.items()))),
                *(keys[other] for other in earlier),
            )
            found = _results.load(kept, keys[name])
            if found is not None:
                done[name] = found
                continue
        if progress is not None:
            progress(name)
        done[name] = section(population, *(done[other] for other in earlier), **chosen)
        if kept is not None:
            _results.save(kept, done[name], keys[name])
    return Analysis(population, done)


def _check_counts(options: Mapping[str, Any]) -> None:
    """Raise UserError unless numbers are in range: out of it they are no property of the data."""
    for name, lowest in _COUNTS.items():
        value = options.get(name, lowest)
        if isinstance(value, bool) or not isinstance(value, int) or value < lowest:
            raise UserError(f"{name}={value}: expected a whole number from {lowest}.")


def _needs(section: Callable[..., Result]) -> tuple[list[str], dict[str, Any]]:
    """The earlier sections that a section takes, and its options with their defaults."""
    parameters = list(inspect.signature(section).parameters.values())[1:]  # less the population
    options = {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}
    return [p.name for p in parameters if p.name not in options], options


def _population_hash(population: Population) -> str:
    arrays: list[NDArray[Any]] = [population.logits, population.labels]
    if population.trajectories is not None and population.epochs is not None:
        arrays += [population.trajectories, population.epochs]
    for name, part in sorted(population.slices.items()):
        arrays += [np.array(name), part.logits, part.labels]
    told = ("member", "seed", "config", "wall_time")
    members = [[r.get(key) for key in told] for r in population.records]
    return content_hash(repr(members), *arrays)


def _own_sources(options: Mapping[str, Any]) -> list[bytes]:
    """The files of the user's own functions that options name."""
    named = [name for key in ("distances", "combiners") for name in options.get(key, ())]
    return [source(name) for name in named if is_own(name)]


@once
def _code_hash() -> str:
    """Of all code that results depend on: an edit makes what it computed before count no more."""
    package = Path(__file__).parents[1]
    sources = (
        sorted((package / room).rglob("*.py")) for room in ("geometry", "ensemble", "analysis")
    )
    return content_hash(*(path.read_bytes() for room in sources for path in room))
