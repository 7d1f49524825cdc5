"""Configurations against each other: members that share seeds and differ in their config."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pandas as pd

from chromatic_descent import ensemble, geometry
from chromatic_descent.analysis import configurations
from chromatic_descent.analysis import group_scores as scores
from chromatic_descent.analysis.group_scores import Row, Rows
from chromatic_descent.analysis.members import Members
from chromatic_descent.analysis.results import Array, NotComputed, for_each
from chromatic_descent.ensemble.paired import FEWEST_SEEDS
from chromatic_descent.errors import UserError
from chromatic_descent.probe_logits import Population

DIRECTIONS = "hellinger"  # the distance in which directions are counted


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
    groups = configurations.group_members(population)
    if baseline is not None and baseline not in groups:
        raise UserError(f"baseline={baseline}: expected a configuration among {', '.join(groups)}.")
    if len(groups) < 2:
        return NotComputed("all members share one configuration")
    if len(population.labels) < 2:
        return NotComputed("one image has no halves to calibrate on")
    if max(map(len, groups.values())) < 2:
        return NotComputed("no configuration has two members")
    baseline = baseline or configurations.plainest(population, groups)
    if len(groups[baseline]) < 2:
        raise UserError(f"baseline={baseline} has one member: expected one with two or more.")
    comparison = _Comparison(population, members, groups, baseline, bootstrap, seed)
    tables: dict[str, Rows] = defaultdict(list)
    for group, result in for_each(groups, comparison.rows_of).items():
        if isinstance(result, NotComputed):
            result = {"left_out": _left_out("everything", result.reason)}
        for name, rows in result.items():
            tables[name] += [{"group": group, **row} for row in rows]

    def table(name: str, otherwise: str) -> pd.DataFrame | NotComputed:
        return pd.DataFrame(tables[name]) if tables[name] else NotComputed(otherwise)

    configs = configurations.configs_of(population, groups)
    return Groups(
        baseline=baseline,
        repelled=[name for name, c in configs.items() if configurations.is_repelled(c)],
        configs=configurations.config_table(configs),
        table=pd.DataFrame(tables["table"]),
        intervals=table("intervals", "fewer than 3 members in every configuration"),
        differences=table("differences", "no configuration shares enough seeds"),
        directions=table("directions", "no configuration shares enough seeds"),
        shifts=table("shifts", "no shifted images were recorded: probe.shifted=1000"),
        foreign=table("foreign", "no other data were recorded: probe.foreign=1000"),
        left_out=table("left_out", "nothing was left out"),
    )


class _Comparison:
    """Scores that are computed once for all groups, and the comparison with the baseline."""

    def __init__(
        self,
        population: Population,
        members: Members,
        groups: Mapping[str, Sequence[int]],  # members by index
        baseline: str,
        bootstrap: int,
        seed: int,
    ):
        self.population, self.groups, self.baseline = population, groups, baseline
        self.seed = seed
        self.alone = scores.members_alone(population, members.table, seed)
        self.squared = geometry.distance_matrix(population.logits, DIRECTIONS)  # [S, S]
        once, drawn = (scores.weights(population, draws, seed) for draws in (0, bootstrap))

        @cache
        def score(some: tuple[int, ...]) -> dict[str, float]:
            of_items = scores.together(population, some, members.temperature, once, seed)
            means = {quantity: float(values[0]) for quantity, values in of_items.items()}
            return {**means, **scores.unweighted(population, some)}

        @cache
        def resampled(some: tuple[int, ...]) -> dict[str, Array]:
            return scores.together(population, some, members.temperature, drawn, seed)

        self.score = score  # of the ensemble of some members
        self.resampled = resampled  # [1 + B], on the probe, then on its resamples

    def rows_of(self, group: str) -> dict[str, Rows]:
        """All rows on one group, by table."""
        population, members = self.population, self.groups[group]
        row: Row = {"members": len(members), **self.alone.iloc[list(members)].mean()}
        rows = {"table": [row], "shifts": scores.on_shifts(population, members)}
        if len(members) < 2:
            of_ensembles = self.score(tuple(self.groups[self.baseline]))
            row |= dict.fromkeys([*of_ensembles, "participation_ratio"], np.nan)
            what = "ensemble, intervals and differences"
            return {**rows, "left_out": _left_out(what, "it has one member")}
        together = self.score(tuple(members))
        row |= {**together, "participation_ratio": self._participation_ratio(members)}
        rows["foreign"] = scores.on_foreign(population, members, together)
        if len(members) >= FEWEST_SEEDS:
            rows["intervals"] = self._intervals(members, together)
        else:
            why = f"an interval over seeds needs at least {FEWEST_SEEDS} members"
            rows["left_out"] = _left_out("intervals", why)
        if group != self.baseline:
            for table, more in self._against_baseline(group).items():
                rows[table] = rows.get(table, []) + more
        return rows

    def _intervals(self, members: Sequence[int], together: dict[str, float]) -> Rows:
        """Each score with its interval over seeds."""
        without = self._without_each(members)
        quantities = {q: (value, [left[q] for left in without]) for q, value in together.items()}
        for quantity, column in self.alone.iloc[list(members)].items():
            values = column.to_numpy()
            left = [float(np.delete(values, s).mean()) for s in range(len(members))]
            quantities[str(quantity)] = float(values.mean()), left
        return [
            _row(quantity, value, ensemble.jackknife_interval(value, left), len(members))
            for quantity, (value, left) in quantities.items()
            if np.isfinite([value, *left]).all()
        ]

    def _against_baseline(self, group: str) -> dict[str, Rows]:
        """Differences over the seeds that the group shares with the baseline."""
        by_seed, baseline_by_seed = (
            {self.population.seeds[m]: m for m in reversed(self.groups[name])}
            for name in (group, self.baseline)
        )
        shared = sorted(by_seed.keys() & baseline_by_seed.keys())
        mine, theirs = [by_seed[s] for s in shared], [baseline_by_seed[s] for s in shared]
        seeds = len(shared)
        if seeds < FEWEST_SEEDS:
            why = f"shares {seeds} seeds with {self.baseline}, a difference needs {FEWEST_SEEDS}"
            return {"left_out": _left_out("differences", why)}
        new = geometry.new_directions(self.squared, mine, theirs, seed=self.seed)
        alone = {str(q): self.alone[q].to_numpy() for q in self.alone}
        differences = [
            *(self._over_seeds(q, values[mine], values[theirs]) for q, values in alone.items()),
            *self._of_ensembles(mine, theirs),
            self._over_seeds("outside_alone", new.alone, new.alone_by_chance),
            self._over_seeds("distance_outside", new.distance, new.distance_by_chance),
        ]
        directions = {
            "seeds": seeds,
            "outside": new.outside,
            "outside_by_chance": new.outside_by_chance,
            "splits": new.splits,
            "outside_alone": new.alone.mean(),
            "outside_alone_by_chance": new.alone_by_chance.mean(),
            "distance_outside": new.distance.mean(),
            "distance_outside_by_chance": new.distance_by_chance.mean(),
            "participation_ratio": self._participation_ratio(mine),
            "participation_ratio_baseline": self._participation_ratio(theirs),
        }
        why = f"halves of the baseline need 4 shared seeds; found {seeds}"
        bounds = ("value", "low", "high")
        return {
            "differences": [r for r in differences if np.isfinite([r[b] for b in bounds]).all()],
            "directions": [directions],
            "left_out": _left_out("outside", why) if new.splits == 0 else [],
        }

    def _over_seeds(self, quantity: str, mine: Array, theirs: Array) -> Row:
        """The difference of a score that every member has; NaN if it is missing for one."""
        if not np.isfinite(mine - theirs).all():
            return _row(quantity, np.nan, (np.nan, np.nan), len(mine))
        paired = ensemble.paired_difference(mine, theirs, seed=self.seed)
        row = _row(quantity, paired.value, (paired.low, paired.high), len(mine))
        return {**row, "p_value": paired.p_value}

    def _of_ensembles(self, mine: Sequence[int], theirs: Sequence[int]) -> Rows:
        """Differences of the ensembles' scores: a jackknife over seeds, a bootstrap over images."""
        rows, seeds = [], len(mine)
        together, baseline = self.score(tuple(mine)), self.score(tuple(theirs))
        left = list(zip(self._without_each(mine), self._without_each(theirs), strict=True))
        for quantity in together:
            difference = together[quantity] - baseline[quantity]
            differences = [a[quantity] - b[quantity] for a, b in left]
            interval = ensemble.jackknife_interval(difference, differences)
            rows.append(_row(quantity, difference, interval, seeds))
        drawn, reference = self.resampled(tuple(mine)), self.resampled(tuple(theirs))
        for quantity in drawn:
            draws = drawn[quantity] - reference[quantity]
            bounds = geometry.reflected_interval(draws[0], draws[1:])
            rows.append(_row(quantity, float(draws[0]), bounds, seeds, over="images"))
        return [{**row, "p_value": np.nan} for row in rows]

    def _without_each(self, members: Sequence[int]) -> list[dict[str, float]]:
        """Scores of the ensemble without each of its members."""
        return [self.score((*members[:s], *members[s + 1 :])) for s in range(len(members))]

    def _participation_ratio(self, members: Sequence[int]) -> float:
        squared = self.squared[np.ix_(members, members)]
        return float(geometry.participation_ratio(geometry.classical_mds(squared).eigenvalues))


def _left_out(what: str, reason: str) -> Rows:
    return [{"what": what, "reason": reason}]


def _row(
    quantity: str, value: float, interval: tuple[Any, Any], seeds: int, over: str = "seeds"
) -> Row:
    low, high = map(float, interval)
    row = {"quantity": quantity, "value": value, "low": low, "high": high}
    return {**row, "over": over, "seeds": seeds}
