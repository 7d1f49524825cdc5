"""Configurations: groups of members whose configs differ only in the seed, and their names."""

import json
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import pandas as pd

from chromatic_descent.probe_logits import Population
from chromatic_descent.probe_logits.identity import flatten
from chromatic_descent.study import member_name

DEFAULT = "default"  # the configuration whose members' names have no suffix

Config = dict[str, Any]


def group_members(population: Population) -> dict[str, list[int]]:
    """The members of each configuration, by index, under its name.

    A configuration is named by what follows the seed in its members' names; where these do not
    distinguish all configurations, by the keys of the config that differ.
    """
    groups: dict[str, list[int]] = defaultdict(list)
    suffixes: dict[str, set[str]] = defaultdict(set)
    for index, record in enumerate(population.records):
        config = json.dumps(record["config"], sort_keys=True)
        suffix = str(record["member"]).removeprefix(member_name(record["seed"])).lstrip("-")
        groups[config].append(index)
        suffixes[config].add(suffix)
    if len(groups) < 2:
        return {DEFAULT: list(range(len(population.records)))}
    names = [next(iter(s)) or DEFAULT for s in suffixes.values() if len(s) == 1]
    if len(set(names)) < len(groups):
        varying = _varying(configs_of(population, groups)).values()
        names = [",".join(f"{k}={json.loads(text)}" for k, text in c.items()) for c in varying]
    return dict(zip(names, groups.values(), strict=True))


def configs_of(population: Population, groups: Mapping[str, list[int]]) -> dict[str, Config]:
    """The config that the members of each group share."""
    return {name: population.records[members[0]]["config"] for name, members in groups.items()}


def plainest(population: Population, groups: Mapping[str, list[int]]) -> str:
    """The configuration without repulsion that differs from the others in the fewest keys.

    Of several the one with most members, then the first; the same among all if all are repelled.
    A configuration with a single member is taken only if there is no other.
    """
    configs = configs_of(population, groups)
    varying = _varying(configs)

    def rank(name: str) -> tuple[bool, bool, int, int]:
        size, own = len(groups[name]), varying[name]
        differing = sum(
            text != other[key] for other in varying.values() for key, text in own.items()
        )
        return size < 2, is_repelled(configs[name]), differing, -size

    return min(groups, key=rank)


def first_ensemble(population: Population) -> str | None:
    """The first configuration that has at least two members."""
    groups = group_members(population)
    return next((name for name, members in groups.items() if len(members) > 1), None)


def is_repelled(config: Config) -> bool:
    """Whether a member's config has a repulsion term, and a strength that is not zero."""
    repulsion = config.get("repulsion")
    if not isinstance(repulsion, dict):
        return False
    return bool(repulsion.get("strength", 0)) and repulsion.get("term", "absent") is not None


def config_table(configs: Mapping[str, Config]) -> pd.DataFrame:
    """One row per configuration and key in which not all agree: group, key, value as JSON."""
    rows = [
        {"group": name, "key": key, "value": text}
        for name, varying in _varying(configs).items()
        for key, text in varying.items()
    ]
    return pd.DataFrame(rows)


def _varying(configs: Mapping[str, Config]) -> dict[str, dict[str, str]]:
    """The flat keys of each config in which not all agree, with their values as JSON."""
    flat = {name: dict(flatten(config)) for name, config in configs.items()}
    keys = sorted({key for config in flat.values() for key in config})
    texts = {n: {k: json.dumps(c.get(k), sort_keys=True) for k in keys} for n, c in flat.items()}
    varied = [key for key in keys if len({text[key] for text in texts.values()}) > 1]
    return {name: {key: text[key] for key in varied} for name, text in texts.items()}
