"""Which recipe factors set members apart."""

from chromatic_descent.analysis import Analysis, NotComputed
from chromatic_descent.analysis.output import Run
from chromatic_descent.report.summary.blocks import (
    Block,
    Section,
    by_distance,
    columns,
    not_computed,
    short,
)


def _blocks(analysis: Analysis, _: Run) -> list[Block]:
    factors = analysis.factors
    if isinstance(factors, NotComputed):
        return not_computed(factors, "distance")
    scores = ("pseudo_f", "r_squared", "p_value")
    cells = {**columns(("factor", "levels"), str), **columns(scores, short)}
    return [*by_distance(factors.computed(), cells), *not_computed(factors, "distance")]


SECTION = Section("factors", "Recipe factors", blocks=_blocks)
