"""Configurations against each other: members that share seeds and differ in their config."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pandas as pd

from chromatic_descent import ensemble, geometry
from chromatic_descent.analysis import group_scores as scores
from chromatic_descent.analysis.configurations import (
    config_of,
    config_table,
    group_members,
    is_repelled,
    plainest,
)
from chromatic_descent.analysis.members import Members
from chromatic_descent.analysis.results import Array, NotComputed, for_each
from chromatic_descent.ensemble.paired import FEWEST_SEEDS
from chromatic_descent.errors import UserError
from chromatic_descent.probe_logits import FOREIGN, SHIFTED, Population

Rows = list[dict[str, Any]]

DIRECTIONS = "hellinger"  # the distance in which directions are counted


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
    results = for_each(who, _compare(population, members, who, chosen, bootstrap, seed).of_group)
    parts: dict[str, Rows] = defaultdict(list)
    for name, rows in results.items():
        if isinstance(rows, NotComputed):
            rows = {"left_out": _left_out(name, "everything", rows.reason)}
        for part, those in rows.items():
            parts[part] += those
    return Groups(
        baseline=chosen,
        repelled=[n for n, m in who.items() if is_repelled(config_of(population, m))],
        configs=config_table(population, who),
        table=pd.DataFrame(parts["table"]),
        intervals=_frame(parts["intervals"], "fewer than 3 members in every configuration"),
        differences=_frame(parts["differences"], "no configuration shares enough seeds"),
        directions=_frame(parts["directions"], "no configuration shares enough seeds"),
        shifts=_frame(parts["shifts"], "no shifted images were recorded: probe.shifted=1000"),
        foreign=_frame(parts["foreign"], "no other data were recorded: probe.foreign=1000"),
        left_out=_frame(parts["left_out"], "nothing was left out"),
    )


def _compare(
    population: Population,
    members: Members,
    who: dict[str, list[int]],
    baseline: str,
    bootstrap: int,
    seed: int,
) -> "_Comparison":
    fitted = members.temperature
    whole = scores.once_each(population)
    images = scores.resampled(population, bootstrap, seed)

    @cache
    def score(places: tuple[int, ...]) -> dict[str, float]:
        found = scores.together(population, places, fitted, whole, seed)
        means = {quantity: float(values[0]) for quantity, values in found.items()}
        return {**means, **scores.unweighted(population, places)}

    @cache
    def resampled(places: tuple[int, ...]) -> dict[str, Array]:
        return scores.together(population, places, fitted, images, seed)

    return _Comparison(
        population=population,
        who=who,
        baseline=baseline,
        seed=seed,
        alone=scores.members_alone(population, members.table, seed),
        squared=geometry.distance_matrix(population.logits, DIRECTIONS),
        score=score,
        resampled=resampled,
    )


@dataclass(frozen=True, eq=False)
class _Comparison:
    """What all groups are compared with, computed once."""

    population: Population
    who: dict[str, list[int]]
    baseline: str
    seed: int
    alone: pd.DataFrame  # scores of each member, in the order of the population
    squared: Array  # [S, S], in which directions are counted
    score: Callable[[tuple[int, ...]], dict[str, float]]  # of the ensemble of some members
    resampled: Callable[[tuple[int, ...]], dict[str, Array]]  # [1 + B], observed, then resampled

    def of_group(self, name: str) -> dict[str, Rows]:
        """Everything about one group, as rows by table."""
        places = self.who[name]
        alone = self.alone.iloc[places].mean()
        row: dict[str, Any] = {"group": name, "members": len(places)}
        row |= {str(quantity): value for quantity, value in alone.items()}
        rows: dict[str, Rows] = {"table": [row]}
        if self.shifts:
            rows["shifts"] = _named(scores.on_shifts(self.population, places), name)
        if len(places) < 2:
            row |= dict.fromkeys(self.of_ensembles, np.nan)
            what = "ensemble, intervals and differences"
            return {**rows, "left_out": _left_out(name, what, "it has one member")}
        together = self.score(tuple(places))
        row |= together
        squared = self.squared[np.ix_(places, places)]
        row["participation_ratio"] = _participation_ratio(squared)
        if self.foreign:
            rows["foreign"] = _named(scores.on_foreign(self.population, places, together), name)
        if len(places) >= FEWEST_SEEDS:
            rows["intervals"] = self._intervals(name, places, together)
        else:
            why = f"an interval over seeds needs at least {FEWEST_SEEDS} members"
            rows["left_out"] = _left_out(name, "intervals", why)
        if name != self.baseline:
            for part, those in self._against_baseline(name).items():
                rows[part] = rows.get(part, []) + those
        return rows

    def _intervals(self, name: str, places: list[int], value: dict[str, float]) -> Rows:
        """Each score with its interval over seeds."""
        quantities = {
            quantity: (total, [without[quantity] for without in self._without(places)])
            for quantity, total in value.items()
        }
        for quantity, column in self.alone.iloc[places].items():
            of_members = column.to_numpy()
            left = [float(np.delete(of_members, s).mean()) for s in range(len(places))]
            quantities[str(quantity)] = float(of_members.mean()), left
        rows = []
        for quantity, (total, left) in quantities.items():
            if np.isfinite([total, *left]).all():
                low, high = ensemble.jackknife_interval(total, left)
                row = {"group": name, "quantity": quantity, "value": total, "low": low}
                rows.append({**row, "high": high, "over": "seeds", "seeds": len(places)})
        return rows

    def _against_baseline(self, name: str) -> dict[str, Rows]:
        """Differences over the seeds that the group shares with the baseline."""
        mine, theirs = self._paired(name)
        if len(mine) < FEWEST_SEEDS:
            why = (
                f"shares {len(mine)} seeds with {self.baseline}, a difference needs {FEWEST_SEEDS}"
            )
            return {"left_out": _left_out(name, "differences", why)}
        seeds = len(mine)
        rows: Rows = []

        def add(quantity: str, value: float, low: float, high: float, over: str, p: float) -> None:
            if np.isfinite([value, low, high]).all():
                row = {"group": name, "quantity": quantity, "value": value, "low": low}
                rows.append({**row, "high": high, "over": over, "seeds": seeds, "p_value": p})

        def add_paired(quantity: str, first: Array, second: Array) -> None:
            if np.isfinite(first - second).all():
                found = ensemble.paired_difference(first, second, seed=self.seed)
                add(quantity, found.value, found.low, found.high, "seeds", found.p_value)

        for quantity in self.alone:
            column = self.alone[quantity].to_numpy()
            add_paired(str(quantity), column[mine], column[theirs])
        one, other = self.score(tuple(mine)), self.score(tuple(theirs))
        left = list(zip(self._without(mine), self._without(theirs), strict=True))
        for quantity, value in one.items():
            difference = value - other[quantity]
            without = [a[quantity] - b[quantity] for a, b in left]
            low, high = ensemble.jackknife_interval(difference, without)
            add(quantity, difference, low, high, "seeds", np.nan)
        again, reference = self.resampled(tuple(mine)), self.resampled(tuple(theirs))
        for quantity, drawn in again.items():
            apart = drawn - reference[quantity]
            bounds = geometry.reflected_interval(apart[0], apart[1:])
            low, high = (float(bound) for bound in bounds)
            add(quantity, float(apart[0]), low, high, "images", np.nan)
        new = geometry.new_directions(self.squared, mine, theirs, seed=self.seed)
        add_paired("outside_alone", new.alone, new.alone_by_chance)
        add_paired("distance_outside", new.distance, new.distance_by_chance)
        here, there = (_participation_ratio(self.squared[np.ix_(w, w)]) for w in (mine, theirs))
        directions = {
            "group": name,
            "seeds": seeds,
            "outside": new.outside,
            "outside_by_chance": new.outside_by_chance,
            "splits": new.splits,
            "outside_alone": new.alone.mean(),
            "outside_alone_by_chance": new.alone_by_chance.mean(),
            "distance_outside": new.distance.mean(),
            "distance_outside_by_chance": new.distance_by_chance.mean(),
            "participation_ratio": here,
            "participation_ratio_baseline": there,
        }
        left_out: Rows = []
        if new.splits == 0:
            why = f"halves of the baseline need 4 shared seeds; found {seeds}"
            left_out = _left_out(name, "outside", why)
        return {"differences": rows, "directions": [directions], "left_out": left_out}

    def _paired(self, name: str) -> tuple[list[int], list[int]]:
        """Places of the group's and of the baseline's members with the seeds that they share."""
        seeds = self.population.seeds
        mine, theirs = (
            {seeds[m]: m for m in reversed(self.who[group])} for group in (name, self.baseline)
        )
        shared = sorted(mine.keys() & theirs.keys())
        return [mine[s] for s in shared], [theirs[s] for s in shared]

    def _without(self, places: Sequence[int]) -> list[dict[str, float]]:
        return [self.score((*places[:s], *places[s + 1 :])) for s in range(len(places))]

    @property
    def of_ensembles(self) -> list[str]:
        """Names of what is scored of the baseline's ensemble."""
        return [*self.score(tuple(self.who[self.baseline])), "participation_ratio"]

    @property
    def shifts(self) -> bool:
        """Whether there are shifted images."""
        return bool(scores.slices_of(self.population, SHIFTED))

    @property
    def foreign(self) -> bool:
        """Whether there are images of other data."""
        return bool(scores.slices_of(self.population, FOREIGN))


def _left_out(group: str, what: str, reason: str) -> Rows:
    return [{"group": group, "what": what, "reason": reason}]


def _participation_ratio(squared: Array) -> float:
    return float(geometry.participation_ratio(geometry.classical_mds(squared).eigenvalues))


def _named(table: pd.DataFrame, group: str) -> Rows:
    return [
        {"group": group, **{str(k): v for k, v in row.items()}} for row in table.to_dict("records")
    ]


def _frame(rows: Rows, otherwise: str) -> pd.DataFrame | NotComputed:
    return pd.DataFrame(rows) if rows else NotComputed(otherwise)
