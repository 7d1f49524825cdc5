"""Is the structure real, in how many dimensions, and what drives it?"""

import pandas as pd

from chromatic_descent.analysis import Analysis
from chromatic_descent.analysis.drivers import AxisDrivers
from chromatic_descent.analysis.output import Run
from chromatic_descent.report.names import words
from chromatic_descent.report.summary import blocks
from chromatic_descent.report.summary.blocks import Block, Section, not_computed, number

_STRONGEST = 3  # candidates for each of the first two axes


def _nulls(analysis: Analysis, _: Run) -> list[Block]:
    rows: list[list[str]] = []
    reasons: dict[str, str] = {}
    for name, tests in analysis.nulls.items():
        reasons |= {f"{name}, {null}": reason for null, reason in tests.reasons().items()}
        for null, test in tests.computed().items():
            span = f"{number(test.null_low)} to {number(test.null_high)}"
            effect, p = number(test.effect, 1), number(test.p_value, 3)
            rows.append([name, words(null), number(test.observed), span, effect, p])
    head = ["distance", "null", "top-2 share", "null's 95%", "effect (SDs)", "p"]
    return [*([blocks.Table(head, rows)] if rows else []), *not_computed(reasons, "test")]


def _dimension(analysis: Analysis, _: Run) -> list[Block]:
    dimension, columns = analysis.dimension, ("value", "low", "high")
    table = blocks.by_distance(dimension, lambda each: each.estimates, ("quantity",), columns)
    return [*table, *not_computed(dimension)]


def _drivers(analysis: Analysis, _: Run) -> list[Block]:
    drivers = analysis.drivers
    removed = ("removed", "low", "high", "removed_total", "correlation")
    strongest = blocks.by_distance(
        drivers, _strongest, ("axis", "driver"), ("r", "low", "high", "p_holm")
    )
    removals = blocks.by_distance(
        drivers, lambda each: each.interventions, ("intervention",), removed
    )
    if not strongest:
        return not_computed(drivers)
    return [
        "The three strongest candidates for each axis:",
        *strongest,
        "The share of the first two axes' variance that an intervention on the logits removes:",
        *removals,
        *not_computed(drivers),
    ]


def _strongest(drivers: AxisDrivers) -> pd.DataFrame:
    table = drivers.table.sort_values("r", key=lambda r: -r.abs(), kind="stable")
    return pd.concat([table[table["axis"] == axis].head(_STRONGEST) for axis in (1, 2)])


def _factors(analysis: Analysis, _: Run) -> list[Block]:
    factors, columns = analysis.factors, ("pseudo_f", "r_squared", "p_value")
    table = blocks.by_distance(factors, lambda frame: frame, ("factor", "levels"), columns)
    return [*table, *not_computed(factors)]


NULLS = Section("structure", "Is the structure real?", _nulls)
DIMENSION = Section("dimension", "Dimension", _dimension)
DRIVERS = Section("drivers", "What drives the axes?", _drivers)
FACTORS = Section("factors", "Recipe factors", _factors, on_the_page=False)
