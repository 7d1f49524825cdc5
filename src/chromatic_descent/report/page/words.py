"""What the page says in words about a study: what was trained, and how its members differ."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from chromatic_descent.analysis.members import Provenance
from chromatic_descent.probe_logits import Population
from chromatic_descent.probe_logits.identity import flatten

_NUMERALS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


def sentence(population: Population, of: Provenance) -> str:
    """What was studied, in one sentence made from the members' configs."""

    members = len(population.records)
    probe = f"recorded on {of.images:,} probe images in {len(of.classes)} classes"
    common, varying = configs(population)
    if not common and not varying:
        return f"{_count(members, 'member')} given as logits, {probe}."
    network = _name(common.get("model.name") or common.get("model._target_"))
    parts = [_count(members, f"{network} network".lstrip()), f"trained on {of.dataset}"]
    if isinstance(epochs := common.get("trainer.max_epochs"), int):
        parts.append(f"for {_count(epochs, 'epoch').lower()}")
    if optimiser := _name(common.get("optim.optimizer._target_")):
        parts.append(f"with {optimiser}")
    seeds = len(set(population.seeds))
    if varying:
        names = list(factors(varying))
        differ = f"differing in {', '.join(names[:4])}{', …' if len(names) > 4 else ''}"
        if seeds > 1:
            differ += f" and in {_count(seeds, 'seed').lower()}"
    elif members > 1:
        differ = "differing only in their seed"
    else:
        differ = f"with seed {population.seeds[0]}"
    return f"{' '.join(parts)}, {differ}; {probe}."


def configs(population: Population) -> tuple[dict[str, Any], dict[str, list[Any]]]:
    """Flat config keys with the value that all members share; the others, with each member's."""
    flat = [dict(flatten(record["config"])) for record in population.records]
    keys = [key for key in dict.fromkeys(k for config in flat for k in config) if key]
    common: dict[str, Any] = {}
    varying: dict[str, list[Any]] = {}
    for key in keys:
        values = [config.get(key) for config in flat]
        if all(value == values[0] for value in values):
            common[key] = values[0]
        else:
            varying[key] = values
    return common, varying


def recipes(population: Population) -> list[str]:
    """The config values that set each member apart, `lr_scale 0.5, translate 2`, or empty texts."""
    _, varying = configs(population)
    return [
        ", ".join(f"{name} {as_text(values[member])}" for name, values in factors(varying).items())
        for member in range(len(population.records))
    ]


def factors(varying: Mapping[str, Sequence[Any]]) -> dict[str, Sequence[Any]]:
    """Members' values of the keys that vary, without the suffix `._target_`.

    Of several keys that tell the same members apart (an optimiser and its options), the first.
    """
    by_partition: dict[tuple[int, ...], tuple[str, Sequence[Any]]] = {}
    for key, values in varying.items():
        texts = [as_text(value) for value in values]
        levels = list(dict.fromkeys(texts))
        by_partition.setdefault(
            tuple(map(levels.index, texts)), (key.removesuffix("._target_"), values)
        )
    return dict(by_partition.values())


def as_text(value: Any) -> str:
    """A config value as it is written in a config."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _count(number: int, what: str) -> str:
    numeral = _NUMERALS[number] if 0 <= number < len(_NUMERALS) else f"{number:,}"
    return f"{numeral.capitalize()} {what}{'' if number == 1 else 's'}"


def _name(target: Any) -> str:
    """The last part of a dotted name."""
    return str(target).rpartition(".")[2] if target else ""
