"""Is the structure real? Every null test."""

from chromatic_descent.analysis import Analysis
from chromatic_descent.analysis.output import Run
from chromatic_descent.report.names import words
from chromatic_descent.report.summary.blocks import Block, Section, Table, not_computed, number


def _blocks(analysis: Analysis, _: Run) -> list[Block]:
    rows: list[list[str]] = []
    reasons: dict[str, str] = {}
    for name, tests in analysis.nulls.items():
        reasons |= {f"{name}, {null}": reason for null, reason in tests.reasons().items()}
        for null, test in tests.computed().items():
            span = f"{number(test.null_low)} to {number(test.null_high)}"
            rows.append(
                [
                    *(name, words(null), number(test.observed), span),
                    *(number(test.effect, 1), number(test.p_value, 3)),
                ]
            )
    head = ["distance", "null", "top-2 share", "null's 95%", "effect (SDs)", "p"]
    return [*([Table(head, rows)] if rows else []), *not_computed(reasons, "test")]


SECTION = Section("structure", "Is the structure real?", "Is it real?", _blocks)
