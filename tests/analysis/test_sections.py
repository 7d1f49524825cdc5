# ruff: noqa: RUF009  (a section is a field, not a default)
from dataclasses import dataclass

import pytest

from chromatic_descent.analysis.sections import section, sections_of
from chromatic_descent.probe_logits import Population


@dataclass(frozen=True)
class First:
    value: int


Second = dict[str, First]


def first(population: Population, *, least: int = 1) -> First:
    return First(least)


def second(population: Population, anything: First, *, most: int = 2) -> Second:
    return {"x": anything}


def third(population: Population, other: Second, more: First) -> int:
    return len(other)


def test_a_section_is_wired_by_types_not_by_names():
    @dataclass
    class Chain:
        population: Population
        one: First = section(first)
        two: Second = section(second)
        three: int = section(third)

    sections = sections_of(Chain)
    assert list(sections) == ["one", "two", "three"]
    assert [s.needs for s in sections.values()] == [(), ("one",), ("two", "one")]
    assert [dict(s.options) for s in sections.values()] == [{"least": 1}, {"most": 2}, {}]


def test_a_section_needs_earlier_ones_of_one_type_each():
    @dataclass
    class Late:
        two: Second = section(second)
        one: First = section(first)

    @dataclass
    class Twice:
        one: First = section(first)
        again: First = section(first)
        two: Second = section(second)

    for wrong in (Late, Twice):
        with pytest.raises(TypeError, match=r"section two needs .*First.*: expected one earlier"):
            sections_of(wrong)
