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
    """A section of the analysis.

    Attributes:
        name: of the field, and in `analysis.json`.
        compute: the function.
        result: the type of its result.
        needs: names of the earlier sections that it takes, in the order of its parameters.
        options: its options with their defaults.
    """

    name: str
    compute: Callable[..., Any]
    result: Any
    needs: tuple[str, ...]
    options: Mapping[str, Any]


def section(compute: Callable[..., T]) -> T:
    """A field of `Analysis` that `compute` fills."""
    listed: Any = field(metadata={"compute": compute})
    return listed  # type: ignore[no-any-return]


def sections_of(analysis: type) -> dict[str, Section]:
    """The sections that are listed as fields of a dataclass, by name and in that order."""
    kinds = get_type_hints(analysis)
    found: dict[str, Section] = {}
    for listed in fields(analysis):
        if "compute" in listed.metadata:
            compute = listed.metadata["compute"]
            needs, options = [], {}
            hints = get_type_hints(compute)
            for parameter in inspect.signature(compute).parameters.values():
                if parameter.kind is parameter.KEYWORD_ONLY:
                    options[parameter.name] = parameter.default
                elif hints[parameter.name] is not Population:
                    kind = hints[parameter.name]
                    needs.append(_section_of(kind, found, listed.name))
            found[listed.name] = Section(
                listed.name, compute, kinds[listed.name], tuple(needs), options
            )
    return found


def _section_of(kind: Any, earlier: Mapping[str, Section], name: str) -> str:
    matching = [other.name for other in earlier.values() if other.result == kind]
    if len(matching) != 1:
        raise TypeError(f"section {name} needs {kind}: expected one earlier section of that type.")
    return matching[0]
