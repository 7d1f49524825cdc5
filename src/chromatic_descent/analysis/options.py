"""Options of an analysis, checked before anything is computed."""

from collections.abc import Mapping
from typing import Any

from chromatic_descent.errors import UserError, is_whole

_COUNTS = {  # options that count something, and the least that makes sense
    "bootstrap": 3,  # fewer have no ellipses
    **dict.fromkeys(("draws", "permutations", "splits", "subsets"), 1),
    **dict.fromkeys(("tsne", "umap", "seed"), 0),
}


def check_options(options: Mapping[str, Any], defaults: Mapping[str, Any]) -> None:
    """Raise UserError if an option is unknown or out of range.

    A count out of range would otherwise read like a property of the data.
    """
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


def name_of(key: str, value: object) -> str | None:
    """An option that is a name, a path or null; a number is a name too: study=2026."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise UserError(f"{key}={value}: expected a name or a path.")
    return str(value)


def names_of(key: str, value: object) -> list[str]:
    """An option that is a list of names."""
    if not isinstance(value, list) or not all(isinstance(v, (str, int, float)) for v in value):
        raise UserError(f"{key}={value}: expected a list, '{key}=[one,other]'.")
    return [str(each) for each in value]
