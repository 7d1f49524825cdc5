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
from chromatic_descent.analysis.group_comparison import GroupRows, LeftOutRow, comparison
from chromatic_descent.analysis.members import Members
from chromatic_descent.analysis.results import NotComputed, for_each
from chromatic_descent.errors import UserError
from chromatic_descent.probe_logits import Population


@dataclass(frozen=True, eq=False)
class Groups:
    """Configurations against each other; a group is the members of one configuration.

    Attributes:
        baseline: the group that others are compared with.
        repelled: the groups whose members were trained with repulsion.
        configs: a row per group and key of the config that varies: group, key, value (JSON).
        table: a row per group: group, members (how many), means over members and scores of their
            ensemble.
        intervals: a row per group and quantity: group, quantity, value, low, high, over, seeds.
        differences: a row per group, quantity and over (seeds, images), group less baseline over
            the seeds that both have: group, quantity, value, low, high, over, seeds, p_value.
        directions: a row per group: what lies outside the span of the baseline's members.
        shifts: a row per group, shift and severity: scores on corrupted images.
        foreign: a row per group and data: uncertainty on images of other data, AUROCs.
        left_out: a row per group and what was not computed for it: group, what, reason.
    """

    baseline: str
    repelled: list[str]
    configs: pd.DataFrame
    table: pd.DataFrame
    intervals: pd.DataFrame | NotComputed
    differences: pd.DataFrame | NotComputed
    directions: pd.DataFrame | NotComputed
    shifts: pd.DataFrame | NotComputed
    foreign: pd.DataFrame | NotComputed
    left_out: pd.DataFrame | NotComputed


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
    groups: list[GroupRows] = []
    for name, rows in for_each(who, compare.rows_of).items():
        if isinstance(rows, NotComputed):
            rows = GroupRows({}, left_out=[LeftOutRow(name, "everything", rows.reason)])
        groups.append(rows)

    def collect(table: str, otherwise: str) -> pd.DataFrame | NotComputed:
        rows = [row for group in groups for row in getattr(group, table)]
        return pd.DataFrame(rows) if rows else NotComputed(otherwise)

    return Groups(
        baseline=chosen,
        repelled=[n for n, some in who.items() if is_repelled(config_of(population, some))],
        configs=config_table(population, who),
        table=pd.DataFrame([group.table for group in groups if group.table]),
        intervals=collect("intervals", "fewer than 3 members in every configuration"),
        differences=collect("differences", "no configuration shares enough seeds"),
        directions=collect("directions", "no configuration shares enough seeds"),
        shifts=collect("shifts", "no shifted images were recorded: probe.shifted=1000"),
        foreign=collect("foreign", "no other data were recorded: probe.foreign=1000"),
        left_out=collect("left_out", "nothing was left out"),
    )
