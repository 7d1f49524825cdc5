"""How sections are wired: by the types of their parameters and results.

A section is a function of the population and of earlier sections' results, with its options as
keyword-only parameters. It is listed as a field of `Analysis`, whose type is that of its result:

    maps: Maps = section(lay_out_maps)
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, TypeVar, get_type_hints

from chromatic_descent.probe_logits import Population

T = TypeVar("T")


@dataclass(frozen=True)
class Section:
    """A section of the analysis."""

    name: str  # of the field, and in `analysis.json`
    compute: Callable[..., Any]
    result: Any  # its type
    needs: tuple[str, ...]  # the earlier sections that it takes, in order
    options: Mapping[str, Any]  # with their defaults


def section(compute: Callable[..., T]) -> T:
    """A field of `Analysis` that `compute` fills."""
    listed: Any = field(metadata={"compute": compute})
    return listed  # type: ignore[no-any-return]


def sections_of(analysis: type) -> dict[str, Section]:
    """The sections that are listed as fields of a dataclass, by name and in that order."""
    results = get_type_hints(analysis)
    sections: dict[str, Section] = {}
    for listed in fields(analysis):
        if compute := listed.metadata.get("compute"):
            name = listed.name
            sections[name] = _wired(name, compute, results[name], sections)
    return sections


def _wired(
    name: str, compute: Callable[..., Any], result: Any, earlier: Mapping[str, Section]
) -> Section:
    """A section with the earlier sections whose results its parameters take."""
    parameters, types = inspect.signature(compute).parameters.values(), get_type_hints(compute)
    options = {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}
    needs = []
    for parameter in parameters:
        needed = types[parameter.name]
        if parameter.name not in options and needed is not Population:
            matching = [other.name for other in earlier.values() if other.result == needed]
            if len(matching) != 1:
                raise TypeError(
                    f"section {name} needs {needed}: expected one earlier section of that type."
                )
            needs += matching
    return Section(name, compute, result, tuple(needs), options)
