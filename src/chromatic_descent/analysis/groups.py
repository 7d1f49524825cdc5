"""Configurations against each other: members that share seeds and differ in their config."""

from dataclasses import dataclass

import pandas as pd

from chromatic_descent.analysis.configurations import (
    config_of,
    config_table,
    group_members,
    is_repelled,
    plainest,
)
from chromatic_descent.analysis.group_comparison import comparison, left_out
from chromatic_descent.analysis.members import Members
from chromatic_descent.analysis.results import NotComputed, for_each
from chromatic_descent.errors import UserError
from chromatic_descent.probe_logits import Population


@dataclass(frozen=True, eq=False)
class Groups:
    """Configurations against each other; a group is the members of one configuration."""

    baseline: str  # the group that the others are compared with
    repelled: list[str]  # the groups whose members were trained with repulsion
    configs: pd.DataFrame  # group, key that varies, value (JSON)
    table: pd.DataFrame  # a row per group: means over members, scores of their ensemble
    intervals: pd.DataFrame | NotComputed  # group, quantity, value, low, high, over, seeds
    differences: pd.DataFrame | NotComputed  # from the baseline: the same, and p_value
    directions: pd.DataFrame | NotComputed  # outside the span of the baseline's members
    shifts: pd.DataFrame | NotComputed  # scores by group, shift and severity
    foreign: pd.DataFrame | NotComputed  # uncertainty on other data, and AUROCs
    left_out: pd.DataFrame | NotComputed  # group, what, reason


def compare_groups(
    population: Population,
    members: Members,
    *,
    baseline: str | None = None,
    bootstrap: int = 200,
    seed: int = 0,
) -> Groups | NotComputed:
    """Score the members and ensemble of each configuration, and compare them with the baseline."""
    who = group_members(population)
    if baseline is not None and baseline not in who:
        raise UserError(f"baseline={baseline}: expected a configuration among {', '.join(who)}.")
    if len(who) < 2:
        return NotComputed("all members share one configuration")
    if len(population.labels) < 2:
        return NotComputed("one image has no halves to calibrate on")
    if max(map(len, who.values())) < 2:
        return NotComputed("no configuration has two members")
    chosen = baseline or plainest(population, who)
    if len(who[chosen]) < 2:
        raise UserError(f"baseline={chosen} has one member: expected one with two or more.")
    compare = comparison(population, members, who, chosen, bootstrap, seed)
    groups = [
        {"left_out": left_out(name, "everything", rows.reason)}
        if isinstance(rows, NotComputed)
        else rows
        for name, rows in for_each(who, compare.rows_of).items()
    ]

    def table(name: str, otherwise: str) -> pd.DataFrame | NotComputed:
        rows = [row for group in groups for row in group.get(name, [])]
        return pd.DataFrame(rows) if rows else NotComputed(otherwise)

    return Groups(
        baseline=chosen,
        repelled=[n for n, some in who.items() if is_repelled(config_of(population, some))],
        configs=config_table(population, who),
        table=pd.DataFrame([row for group in groups for row in group.get("table", [])]),
        intervals=table("intervals", "fewer than 3 members in every configuration"),
        differences=table("differences", "no configuration shares enough seeds"),
        directions=table("directions", "no configuration shares enough seeds"),
        shifts=table("shifts", "no shifted images were recorded: probe.shifted=1000"),
        foreign=table("foreign", "no other data were recorded: probe.foreign=1000"),
        left_out=table("left_out", "nothing was left out"),
    )
