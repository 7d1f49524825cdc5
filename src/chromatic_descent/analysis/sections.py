"""How sections are wired: by the types of their parameters and results.

A section is a function of the population and of earlier sections' results, with its options as
keyword-only parameters. It is listed as a field of `Analysis`, whose type is that of its result:

    maps: Maps = section(lay_out_maps)
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, TypeVar, get_type_hints

from chromatic_descent.errors import UserError, is_whole
from chromatic_descent.probe_logits import Population

T = TypeVar("T")

_COUNTS = {  # options that count something, and the least that makes sense
    "bootstrap": 3,  # fewer have no ellipses
    **dict.fromkeys(("draws", "permutations", "splits", "subsets"), 1),
    **dict.fromkeys(("tsne", "umap", "seed"), 0),
}


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
    results, sections = get_type_hints(analysis), dict[str, Section]()
    for name, compute in ((f.name, f.metadata.get("compute")) for f in fields(analysis)):
        if compute is None:
            continue
        parameters, types = inspect.signature(compute).parameters, get_type_hints(compute)
        options = {p.name: p.default for p in parameters.values() if p.kind is p.KEYWORD_ONLY}
        needs = []
        for needed in (types[parameter] for parameter in parameters if parameter not in options):
            matching = [other.name for other in sections.values() if other.result == needed]
            if needed is not Population and len(matching) != 1:
                raise TypeError(
                    f"section {name} needs {needed}: expected one earlier section of that type."
                )
            needs += matching
        sections[name] = Section(name, compute, results[name], tuple(needs), options)
    return sections


def check_options(options: Mapping[str, Any], defaults: Mapping[str, Any]) -> None:
    """Raise UserError if an option is unknown or out of range."""
    if unknown := sorted(options.keys() - defaults.keys()):
        known = ", ".join(sorted(defaults))
        raise UserError(f"{', '.join(unknown)}: expected options among {known}.")
    for key, least in _COUNTS.items():
        value = options.get(key, least)
        if not is_whole(value, least):
            raise UserError(f"{key}={value}: expected a whole number from {least}.")
    if not options.get("combiners", True):
        raise UserError("combiners=[]: expected one or more, such as combiners=[mean_probability].")
    maps, colours = options.get("maps", defaults["maps"]), options.get("colours")
    if colours is not None and colours not in maps:
        raise UserError(f"colours={colours}: expected one of maps, {', '.join(maps)}.")
