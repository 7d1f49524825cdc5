"""One configuration: its scores, and how they differ from the baseline's over shared seeds."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
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

Rows = list[dict[str, Any]]


@dataclass(frozen=True, eq=False)
class Comparison:
    """What all groups are compared with, computed once."""

    population: Population
    who: Mapping[str, Sequence[int]]  # the members of each group, by index
    baseline: str
    seed: int
    alone: pd.DataFrame  # scores of each member, in the order of the population
    squared: Array  # [S, S], the distances in which directions are counted
    score: Callable[[tuple[int, ...]], dict[str, float]]  # of the ensemble of some members
    resampled: Callable[[tuple[int, ...]], dict[str, Array]]  # [1 + B], the probe, then resampled

    def rows_of(self, name: str) -> dict[str, Rows]:
        """Everything about one group, as rows by table."""
        members = self.who[name]
        means = self.alone.iloc[list(members)].mean()
        row: dict[str, Any] = {"group": name, "members": len(members)}
        row |= {str(quantity): value for quantity, value in means.items()}
        rows: dict[str, Rows] = {"table": [row]}
        if scores.slices_of(self.population, SHIFTED):
            rows["shifts"] = _named(scores.on_shifts(self.population, members), name)
        if len(members) < 2:
            of_ensembles = self.score(tuple(self.who[self.baseline]))
            row |= dict.fromkeys([*of_ensembles, "participation_ratio"], np.nan)
            what = "ensemble, intervals and differences"
            return {**rows, "left_out": left_out(name, what, "it has one member")}
        together = self.score(tuple(members))
        row |= {**together, "participation_ratio": self._participation_ratio(members)}
        if scores.slices_of(self.population, FOREIGN):
            foreign = scores.on_foreign(self.population, members, together)
            rows["foreign"] = _named(foreign, name)
        if len(members) >= FEWEST_SEEDS:
            rows["intervals"] = self._intervals(name, members, together)
        else:
            why = f"an interval over seeds needs at least {FEWEST_SEEDS} members"
            rows["left_out"] = left_out(name, "intervals", why)
        if name != self.baseline:
            for table, more in self._against_baseline(name).items():
                rows[table] = rows.get(table, []) + more
        return rows

    def _intervals(self, name: str, members: Sequence[int], together: dict[str, float]) -> Rows:
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
        return [
            _row(name, quantity, value, *ensemble.jackknife_interval(value, left), len(members))
            for quantity, (value, left) in quantities.items()
            if np.isfinite([value, *left]).all()
        ]

    def _against_baseline(self, name: str) -> dict[str, Rows]:
        """Differences over the seeds that the group shares with the baseline."""
        mine, theirs = self._paired(name)
        seeds = len(mine)
        if seeds < FEWEST_SEEDS:
            why = f"shares {seeds} seeds with {self.baseline}, a difference needs {FEWEST_SEEDS}"
            return {"left_out": left_out(name, "differences", why)}
        new = geometry.new_directions(self.squared, mine, theirs, seed=self.seed)
        of_members = {str(q): self.alone[q].to_numpy() for q in self.alone}
        differences = [
            *(self._over_seeds(name, q, of[mine], of[theirs]) for q, of in of_members.items()),
            *self._of_ensembles(name, mine, theirs),
            self._over_seeds(name, "outside_alone", new.alone, new.alone_by_chance),
            self._over_seeds(name, "distance_outside", new.distance, new.distance_by_chance),
        ]
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
            "participation_ratio": self._participation_ratio(mine),
            "participation_ratio_baseline": self._participation_ratio(theirs),
        }
        why = f"halves of the baseline need 4 shared seeds; found {seeds}"
        return {
            "differences": [
                row
                for row in differences
                if np.isfinite([row["value"], row["low"], row["high"]]).all()
            ],
            "directions": [directions],
            "left_out": left_out(name, "outside", why) if new.splits == 0 else [],
        }

    def _over_seeds(self, name: str, quantity: str, mine: Array, theirs: Array) -> dict[str, Any]:
        """The difference of a score that every member has; NaN if it is missing for one."""
        if not np.isfinite(mine - theirs).all():
            return {"value": np.nan, "low": np.nan, "high": np.nan}
        paired = ensemble.paired_difference(mine, theirs, seed=self.seed)
        row = _row(name, quantity, paired.value, paired.low, paired.high, len(mine))
        return {**row, "p_value": paired.p_value}

    def _of_ensembles(self, name: str, mine: Sequence[int], theirs: Sequence[int]) -> Rows:
        """Differences of the ensembles' scores: a jackknife over seeds, a bootstrap over images."""
        rows = []
        one, other = self.score(tuple(mine)), self.score(tuple(theirs))
        left = list(zip(self._without_each(mine), self._without_each(theirs), strict=True))
        for quantity, value in one.items():
            apart = value - other[quantity]
            low, high = ensemble.jackknife_interval(
                apart, [a[quantity] - b[quantity] for a, b in left]
            )
            rows.append(_row(name, quantity, apart, low, high, len(mine)))
        drawn, reference = self.resampled(tuple(mine)), self.resampled(tuple(theirs))
        for quantity, values in drawn.items():
            draws = values - reference[quantity]
            low, high = map(float, geometry.reflected_interval(draws[0], draws[1:]))
            rows.append(_row(name, quantity, float(draws[0]), low, high, len(mine), over="images"))
        return [{**row, "p_value": np.nan} for row in rows]

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


def left_out(group: str, what: str, reason: str) -> Rows:
    """A row on what was not computed for a group, and why."""
    return [{"group": group, "what": what, "reason": reason}]


def _row(
    group: str,
    quantity: str,
    value: float,
    low: float,
    high: float,
    seeds: int,
    over: str = "seeds",
) -> dict[str, Any]:
    row = {"group": group, "quantity": quantity, "value": value, "low": low, "high": high}
    return {**row, "over": over, "seeds": seeds}


def _named(table: pd.DataFrame, group: str) -> Rows:
    return [
        {"group": group, **{str(k): v for k, v in row.items()}} for row in table.to_dict("records")
    ]
