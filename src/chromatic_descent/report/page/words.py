"""A study in words: what was trained, how members differ, and the commands that trained them."""

import json
import re
import shlex
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from chromatic_descent.analysis.members import Provenance
from chromatic_descent.files.plain_json import regular
from chromatic_descent.probe_logits import Population
from chromatic_descent.probe_logits.identity import flatten
from chromatic_descent.study import Study

_SEED = re.compile(r"[0-9]{1,18}")
_LONGEST = 8000  # bytes of overrides that are read: more could keep a YAML parser busy for minutes
_NUMERALS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


def sentence(population: Population, source: Provenance) -> str:
    """What was studied, in one sentence made from the members' configs."""
    members = len(population.records)
    probe = f"recorded on {source.images:,} probe images in {len(source.classes)} classes"
    common, varying = configs(population)
    if not common and not varying:
        return f"{_count(members, 'member')} given as logits, {probe}."
    network = _name(common.get("model.name") or common.get("model._target_"))
    parts = [_count(members, f"{network} network".lstrip()), f"trained on {source.dataset}"]
    if isinstance(epochs := common.get("trainer.max_epochs"), int):
        parts.append(f"for {_count(epochs, 'epoch').lower()}")
    if optimiser := _name(common.get("optim.optimizer._target_")):
        parts.append(f"with {optimiser}")
    seeds = len(set(population.seeds))
    differ = "differing only in their seed" if members > 1 else f"with seed {population.seeds[0]}"
    if varying:
        names = list(factors(varying))
        differ = f"differing in {', '.join(names[:4])}{', …' if len(names) > 4 else ''}"
        differ += f" and in {_count(seeds, 'seed').lower()}" if seeds > 1 else ""
    return f"{' '.join(parts)}, {differ}; {probe}."


def configs(population: Population) -> tuple[dict[str, Any], dict[str, list[Any]]]:
    """Flat config keys with the value that all members share; the others, with each member's."""
    flat = [dict(flatten(record["config"])) for record in population.records]
    keys = [key for key in dict.fromkeys(k for config in flat for k in config) if key]
    values = {key: [config.get(key) for config in flat] for key in keys}
    varying = {key: v for key, v in values.items() if any(value != v[0] for value in v)}
    return {key: v[0] for key, v in values.items() if key not in varying}, varying


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
        partition = tuple(map(texts.index, texts))  # by member: the first one with its value
        by_partition.setdefault(partition, (key.removesuffix("._target_"), values))
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


def training_commands(study: Study) -> list[str]:
    """The commands that would train a study's members again; one for all that differ only in seed.

    A member without `.hydra/overrides.yaml` adds none; members trained together share one.
    """
    by_recipe: dict[tuple[str, ...], set[int]] = defaultdict(set)
    for member in study.members():
        overrides = _overrides(member.folder / ".hydra" / "overrides.yaml")
        if overrides and member.status == "complete":
            rest = tuple(o for o in overrides if o.partition("=")[0] not in ("seed", "study"))
            seeds = {o.removeprefix("seed=") for o in overrides if o.startswith("seed=")}
            by_recipe[rest] |= {int(seed) for seed in seeds if _SEED.fullmatch(seed)}
    return [
        shlex.join(["chromatic-train", *_swept(sorted(seeds)), f"study={study.name}", *rest])
        for rest, seeds in by_recipe.items()
    ]


def _swept(seeds: list[int]) -> list[str]:
    """Distinct seeds in Hydra's syntax: `seed=5`, `-m seed=range(3,7)`, `-m seed=1,4,9`."""
    if len(seeds) < 2:
        return [f"seed={seed}" for seed in seeds]
    first, last = seeds[0], seeds[-1]
    if len(seeds) == 2 or last - first >= len(seeds):
        return ["-m", f"seed={','.join(map(str, seeds))}"]
    return ["-m", f"seed=range({last + 1})" if first == 0 else f"seed=range({first},{last + 1})"]


def _overrides(path: Path) -> list[str]:
    import yaml

    try:
        if path.stat().st_size > _LONGEST:
            return []
        overrides = yaml.safe_load(regular(path).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError, yaml.YAMLError):
        return []
    lines = overrides if isinstance(overrides, list) else []  # anything else may print without end
    return [line for line in lines if isinstance(line, str) and line.isprintable()]
