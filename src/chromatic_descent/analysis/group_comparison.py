"""One configuration: its scores, and how they differ from the baseline's over shared seeds."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
import pandas as pd

from chromatic_descent import ensemble, geometry
from chromatic_descent.analysis import group_scores as scores
from chromatic_descent.analysis.members import Members
from chromatic_descent.analysis.results import Array
from chromatic_descent.ensemble.paired import FEWEST_SEEDS
from chromatic_descent.probe_logits import FOREIGN, SHIFTED, Population

DIRECTIONS = "hellinger"  # the distance in which directions are counted


@dataclass(frozen=True)
class IntervalRow:
    """A score of a group and its 95% interval, over `seeds` seeds."""

    group: str
    quantity: str
    value: float
    low: float
    high: float
    over: str
    seeds: int


@dataclass(frozen=True)
class DifferenceRow(IntervalRow):
    """A group's score less the baseline's; p_value of sign flips, where members have the score."""

    p_value: float


@dataclass(frozen=True)
class LeftOutRow:
    """What was not computed for a group, and why."""

    group: str
    what: str
    reason: str


@dataclass(frozen=True, eq=False)
class GroupRows:
    """The rows of one group, by table."""

    table: dict[str, Any]
    intervals: list[IntervalRow] = field(default_factory=list)
    differences: list[DifferenceRow] = field(default_factory=list)
    directions: list[dict[str, Any]] = field(default_factory=list)
    shifts: list[dict[str, Any]] = field(default_factory=list)
    foreign: list[dict[str, Any]] = field(default_factory=list)
    left_out: list[LeftOutRow] = field(default_factory=list)


@dataclass(frozen=True, eq=False)
class Comparison:
    """What all groups are compared with, computed once.

    Attributes:
        population: S members.
        who: the members of each group, by index.
        baseline: the group that the others are compared with.
        seed: of every random draw.
        alone: scores of each member, in the order of the population.
        squared: [S, S], the distances in which directions are counted.
        score: scores of the ensemble of some members.
        resampled: the same on the probe and on resampled probes [1 + B].
    """

    population: Population
    who: Mapping[str, Sequence[int]]
    baseline: str
    seed: int
    alone: pd.DataFrame
    squared: Array
    score: Callable[[tuple[int, ...]], dict[str, float]]
    resampled: Callable[[tuple[int, ...]], dict[str, Array]]

    def rows_of(self, name: str) -> GroupRows:
        """Everything about one group."""
        members = self.who[name]
        means = self.alone.iloc[list(members)].mean()
        row: dict[str, Any] = {"group": name, "members": len(members)}
        row |= {str(quantity): value for quantity, value in means.items()}
        rows = GroupRows(row)
        if scores.slices_of(self.population, SHIFTED):
            rows.shifts.extend(_named(scores.on_shifts(self.population, members), name))
        if len(members) < 2:
            of_ensembles = self.score(tuple(self.who[self.baseline]))
            row |= dict.fromkeys([*of_ensembles, "participation_ratio"], np.nan)
            what = "ensemble, intervals and differences"
            rows.left_out.append(LeftOutRow(name, what, "it has one member"))
            return rows
        together = self.score(tuple(members))
        row |= together
        row["participation_ratio"] = self._participation_ratio(members)
        if scores.slices_of(self.population, FOREIGN):
            foreign = scores.on_foreign(self.population, members, together)
            rows.foreign.extend(_named(foreign, name))
        if len(members) >= FEWEST_SEEDS:
            rows.intervals.extend(self._intervals(name, members, together))
        else:
            why = f"an interval over seeds needs at least {FEWEST_SEEDS} members"
            rows.left_out.append(LeftOutRow(name, "intervals", why))
        if name != self.baseline:
            self._compare(name, rows)
        return rows

    def _intervals(
        self, name: str, members: Sequence[int], together: dict[str, float]
    ) -> list[IntervalRow]:
        """Each score with its interval over seeds."""
        without = self._without_each(members)
        quantities = {
            quantity: (value, [left[quantity] for left in without])
            for quantity, value in together.items()
        }
        for quantity, column in self.alone.iloc[list(members)].items():
            values = column.to_numpy()
            left = [float(np.delete(values, s).mean()) for s in range(len(members))]
            quantities[str(quantity)] = float(values.mean()), left
        rows = []
        for quantity, (value, left) in quantities.items():
            if np.isfinite([value, *left]).all():
                low, high = ensemble.jackknife_interval(value, left)
                rows.append(IntervalRow(name, quantity, value, low, high, "seeds", len(members)))
        return rows

    def _compare(self, name: str, rows: GroupRows) -> None:
        """Add the differences from the baseline, over the seeds that the two share."""
        mine, theirs = self._paired(name)
        seeds = len(mine)
        if seeds < FEWEST_SEEDS:
            why = f"shares {seeds} seeds with {self.baseline}, a difference needs {FEWEST_SEEDS}"
            rows.left_out.append(LeftOutRow(name, "differences", why))
            return
        new = geometry.new_directions(self.squared, mine, theirs, seed=self.seed)
        pairs = {str(q): self.alone[q].to_numpy() for q in self.alone}
        rows.differences.extend(
            row
            for row in (
                *(self._over_seeds(name, q, of[mine], of[theirs]) for q, of in pairs.items()),
                *self._of_ensembles(name, mine, theirs),
                *self._over_images(name, mine, theirs),
                self._over_seeds(name, "outside_alone", new.alone, new.alone_by_chance),
                self._over_seeds(name, "distance_outside", new.distance, new.distance_by_chance),
            )
            if np.isfinite([row.value, row.low, row.high]).all()
        )
        rows.directions.append(
            {
                "group": name,
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
        )
        if new.splits == 0:
            why = f"halves of the baseline need 4 shared seeds; found {seeds}"
            rows.left_out.append(LeftOutRow(name, "outside", why))

    def _over_seeds(self, name: str, quantity: str, mine: Array, theirs: Array) -> DifferenceRow:
        """The difference of a score that every member has."""
        value = low = high = p_value = np.nan
        if np.isfinite(mine - theirs).all():
            paired = ensemble.paired_difference(mine, theirs, seed=self.seed)
            value, low, high, p_value = paired.value, paired.low, paired.high, paired.p_value
        return DifferenceRow(name, quantity, value, low, high, "seeds", len(mine), p_value)

    def _of_ensembles(
        self, name: str, mine: Sequence[int], theirs: Sequence[int]
    ) -> list[DifferenceRow]:
        """Differences of the ensembles' scores, with a jackknife over seeds."""
        one, other = self.score(tuple(mine)), self.score(tuple(theirs))
        left = list(zip(self._without_each(mine), self._without_each(theirs), strict=True))
        rows = []
        for quantity, value in one.items():
            difference = value - other[quantity]
            low, high = ensemble.jackknife_interval(
                difference, [a[quantity] - b[quantity] for a, b in left]
            )
            row = DifferenceRow(name, quantity, difference, low, high, "seeds", len(mine), np.nan)
            rows.append(row)
        return rows

    def _over_images(
        self, name: str, mine: Sequence[int], theirs: Sequence[int]
    ) -> list[DifferenceRow]:
        """Differences of the ensembles' scores, with a bootstrap over images."""
        one, other = self.resampled(tuple(mine)), self.resampled(tuple(theirs))
        rows = []
        for quantity, drawn in one.items():
            apart = drawn - other[quantity]
            low, high = map(float, geometry.reflected_interval(apart[0], apart[1:]))
            value = float(apart[0])
            rows.append(
                DifferenceRow(name, quantity, value, low, high, "images", len(mine), np.nan)
            )
        return rows

    def _paired(self, name: str) -> tuple[list[int], list[int]]:
        """The group's and the baseline's members with the seeds that they share."""
        seeds = self.population.seeds
        mine, theirs = (
            {seeds[m]: m for m in reversed(self.who[group])} for group in (name, self.baseline)
        )
        shared = sorted(mine.keys() & theirs.keys())
        return [mine[s] for s in shared], [theirs[s] for s in shared]

    def _without_each(self, members: Sequence[int]) -> list[dict[str, float]]:
        """Scores of the ensemble without each of its members."""
        return [self.score((*members[:s], *members[s + 1 :])) for s in range(len(members))]

    def _participation_ratio(self, members: Sequence[int]) -> float:
        squared = self.squared[np.ix_(members, members)]
        return float(geometry.participation_ratio(geometry.classical_mds(squared).eigenvalues))


def comparison(
    population: Population,
    members: Members,
    who: Mapping[str, Sequence[int]],
    baseline: str,
    bootstrap: int,
    seed: int,
) -> Comparison:
    """Prepare what all groups are compared with."""
    once, drawn = scores.once_each(population), scores.resampled(population, bootstrap, seed)

    @cache
    def score(some: tuple[int, ...]) -> dict[str, float]:
        of_items = scores.together(population, some, members.temperature, once, seed)
        means = {quantity: float(values[0]) for quantity, values in of_items.items()}
        return {**means, **scores.unweighted(population, some)}

    @cache
    def resampled(some: tuple[int, ...]) -> dict[str, Array]:
        return scores.together(population, some, members.temperature, drawn, seed)

    return Comparison(
        population=population,
        who=who,
        baseline=baseline,
        seed=seed,
        alone=scores.members_alone(population, members.table, seed),
        squared=geometry.distance_matrix(population.logits, DIRECTIONS),
        score=score,
        resampled=resampled,
    )


def _named(table: pd.DataFrame, group: str) -> list[dict[str, Any]]:
    return [
        {"group": group, **{str(k): v for k, v in row.items()}} for row in table.to_dict("records")
    ]
