import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from chromatic_descent.report.summary import terminal
from tests.report.cases import quickly_analysed


def drawn(text):
    """The colours on the pixels of a map, [row][column]."""
    rows = []
    for line in text.split("\n"):
        upper, lower = [], []
        for k, character in enumerate(line.plain):
            style = next((s.style for s in line.spans if s.start <= k < s.end), None)
            front = style.color.name if style is not None and style.color else None
            back = style.bgcolor.name if style is not None and style.bgcolor else None
            upper.append(front if character == "▀" else None)
            lower.append(back if character == "▀" else front)
        rows += [upper, lower]
    return rows


@given(st.integers(0, 10**6), st.integers(1, 40), st.sampled_from([1e-9, 1.0, 1e9]))
def test_every_member_is_a_pixel_where_it_lies(seed, members, unit):
    positions = unit * np.random.default_rng(seed).normal(size=(members, 2))
    colours = [f"#0000{k:02x}" for k in range(members)]
    rows = drawn(terminal.half_block_map(positions, colours, width=40, height=30))
    pixel_of = {c: (r, k) for r, row in enumerate(rows) for k, c in enumerate(row) if c}
    assert pixel_of.keys() == set(colours)
    pixels = np.array([pixel_of[c] for c in colours])[:, ::-1] * [1, -1]  # x, y upwards
    if members > 2:
        for axis in range(2):
            spread = np.ptp(positions, axis=0)[axis] / np.ptp(positions, axis=0).max()
            if spread > 0.5:
                assert np.corrcoef(positions[:, axis], pixels[:, axis])[0, 1] > 0.9


def test_alike_members_lie_beside_each_other_and_too_many_are_left_out():
    rows = drawn(terminal.half_block_map(np.zeros((3, 2)), ["#000001", "#000002", "#000003"]))
    assert sum(c is not None for row in rows for c in row) == 3
    text = terminal.half_block_map(np.zeros((30, 2)), ["#000001"] * 30, width=4, height=4)
    assert all(c for row in drawn(text)[:4] for c in row[:4])


@pytest.mark.parametrize("members", [1, 2, 12, 30])
def test_the_map_stands_beside_names_and_accuracies(members):
    grid = terminal.chromatic_map(quickly_analysed(members, maps=["hellinger"]))
    if members == 1:
        assert grid is None
        return
    console = Console(record=True, width=80, file=io.StringIO())
    console.print(grid)
    text = console.export_text()
    assert "hellinger, axes 1 and 2" in text
    assert "SEED_0000  0." in text
    assert ("and 18 more" in text) == (members == 30)


@pytest.mark.parametrize(
    ("terminal_is", "environment", "shown"),
    [
        (True, {"COLORTERM": "truecolor", "TERM": "xterm"}, True),
        (True, {"TERM": "xterm"}, True),
        (True, {"TERM": "xterm", "NO_COLOR": "1"}, False),
        (True, {"TERM": "dumb"}, False),
        (False, {"COLORTERM": "truecolor", "TERM": "xterm"}, False),
    ],
)
def test_it_is_shown_where_it_can_be_seen(terminal_is, environment, shown):
    console = Console(force_terminal=terminal_is, file=io.StringIO(), _environ=environment)
    assert terminal.shows_colours(console) == shown
    console.print(terminal.half_block_map([[0, 0], [1, 1]], ["#ff0000", "#00ff00"]))


def test_the_table_holds_each_map():
    console = Console(record=True, width=120)
    console.print(terminal.table(quickly_analysed(5), "toy"))
    text = console.export_text()
    for part in ("toy: 5 members", "logit_mse_matched", "hellinger", "top-2 share"):
        assert part in text
