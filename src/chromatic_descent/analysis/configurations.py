"""Configurations: members that share a config but for the seed, and what each is called."""

import json
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import pandas as pd

from chromatic_descent.probe_logits import Population
from chromatic_descent.probe_logits.identity import flatten
from chromatic_descent.study import member_name

DEFAULT = "default"  # the configuration whose members' names have no suffix


def group_members(population: Population) -> dict[str, list[int]]:
    """The members of each configuration, by index, under its name.

    A configuration is named by what follows the seed in its members' names; where these do not
    distinguish all configurations, by the keys of the config that differ.
    """
    alike: dict[str, list[int]] = defaultdict(list)
    for index, record in enumerate(population.records):
        alike[json.dumps(record["config"], sort_keys=True)].append(index)
    if len(alike) < 2:
        return {DEFAULT: list(range(len(population.records)))}
    suffixes = [{_suffix(population.records[m]) for m in who} for who in alike.values()]
    known = [next(iter(s)) for s in suffixes if len(s) == 1]
    if len(set(known)) == len(alike):
        names = [name or DEFAULT for name in known]
    else:
        configs = [population.records[who[0]]["config"] for who in alike.values()]
        names = [
            ",".join(f"{key}={value}" for key, value in config.items())
            for config in _varying(configs)
        ]
    return dict(zip(names, alike.values(), strict=True))


def config_of(population: Population, members: Sequence[int]) -> dict[str, Any]:
    """The config that members of one configuration share."""
    config: dict[str, Any] = population.records[members[0]]["config"]
    return config


def plainest(population: Population, who: dict[str, list[int]]) -> str:
    """The configuration without repulsion that differs from the others in the fewest keys.

    Of several the one with most members, then the first; the same among all if all are repelled.
    A configuration with a single member is taken only if there is no other.
    """
    configs = {name: config_of(population, members) for name, members in who.items()}
    flat = [
        {key: json.dumps(value) for key, value in config.items()}
        for config in _varying(list(configs.values()))
    ]

    def apart(one: dict[str, str]) -> int:
        return sum(one[key] != other[key] for other in flat for key in one)

    ranked = [
        (len(who[name]) < 2, is_repelled(config), apart(one), -len(who[name]), index, name)
        for index, ((name, config), one) in enumerate(zip(configs.items(), flat, strict=True))
    ]
    return min(ranked)[-1]


def first_ensemble(population: Population) -> str | None:
    """The first configuration that has at least two members."""
    who = group_members(population)
    return next((name for name, members in who.items() if len(members) > 1), None)


def is_repelled(config: dict[str, Any]) -> bool:
    """Whether a member's config has a repulsion term, and a strength that is not zero."""
    repulsion = config.get("repulsion")
    if not isinstance(repulsion, dict):
        return False
    return bool(repulsion.get("strength", 0)) and repulsion.get("term", "absent") is not None


def config_table(population: Population, who: dict[str, list[int]]) -> pd.DataFrame:
    """One row per configuration and key in which not all agree: group, key, value as JSON."""
    configs = _varying([config_of(population, members) for members in who.values()])
    rows = [
        {"group": name, "key": key, "value": json.dumps(value)}
        for name, config in zip(who, configs, strict=True)
        for key, value in config.items()
    ]
    return pd.DataFrame(rows)


def _suffix(record: dict[str, Any]) -> str:
    return str(record["member"]).removeprefix(member_name(record["seed"])).lstrip("-")


def _varying(configs: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The flat keys of each config in which not all agree."""
    flat = [dict(flatten(config)) for config in configs]
    keys = sorted({key for config in flat for key in config})
    texts = {key: {json.dumps(c.get(key), sort_keys=True) for c in flat} for key in keys}
    return [{key: c.get(key) for key in keys if len(texts[key]) > 1} for c in flat]
