"""Draw the package as a house, from its own imports: `make house` writes docs/house.png.

A room is a folder of `src/chromatic_descent/` or a module beside the folders; it is wider the more
lines it has. It stands on the lowest floor above everything that it imports, which agrees with the
order that tests/test_architecture.py keeps. Arrows lead from a room to the rooms that it imports;
an arrow that follows from others is left out.
"""

import ast
import math
import sys
from pathlib import Path as File

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, Polygon
from matplotlib.path import Path

ROOT = File(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tests.test_architecture import ORDER, SOURCE, imports, modules  # noqa: E402

# Rooms by what they are for: the colour, and on which side of the house.
LEFT, MIDDLE, RIGHT = range(3)
PARTS = {
    "what everything stands on": ("#e4e1da", MIDDLE, "errors files own_code config launch study"),
    "the contract": ("#f6dc9c", MIDDLE, "probe_logits"),
    "members are made": ("#bcd7ea", LEFT, "data model training importing"),
    "members are studied": ("#c3dfc0", RIGHT, "geometry ensemble analysis"),
    "results are shown": ("#e2cbe4", RIGHT, "report"),
    "commands": ("#f2c6b4", MIDDLE, "import_members train studies analyze"),
}
COLOUR = {room: colour for colour, _, rooms in PARTS.values() for room in rooms.split()}
WING = {room: wing for _, wing, rooms in PARTS.values() for room in rooms.split()}
WING |= {"train": LEFT, "import_members": LEFT, "analyze": RIGHT}
INK, ARROW = "#2b2b2b", "#7d8794"
WIDTH, NARROWEST = 118.0, 20.0  # of the house, of a room
FLOOR, HEIGHT, GAP = 14.5, 9.2, 2.4  # of floors, of rooms, between rooms

Place = tuple[float, float, float]  # of a room: its middle, its bottom, its width
Ways = dict[int, list[float]]  # by floor, where arrows may pass between rooms


def room_of(module: str) -> str:
    """Return the room of a module: `geometry` for `geometry.checks`."""
    return module.partition(".")[0]


def lines_of(files: list[File]) -> int:
    """Return how many lines files have together."""
    return sum(len(path.read_text(encoding="utf-8").splitlines()) for path in files)


def plan() -> tuple[dict[str, set[str]], dict[str, list[File]]]:
    """Return what each room imports, and each room's files."""
    files = modules(SOURCE)
    needs: dict[str, set[str]] = {room: set() for row in ORDER for room in row}
    inside: dict[str, list[File]] = {room: [] for room in needs}
    for name, path in files.items():
        inside[room_of(name)].append(path)
        needs[room_of(name)] |= {room_of(other) for other in imports(path, files)}
    # Downwards only: the test of the architecture sees to the rest.
    height = {room: level for level, row in enumerate(ORDER) for room in row}
    return {r: {o for o in os if height[o] < height[r]} for r, os in needs.items()}, inside


def reachable(room: str, needs: dict[str, set[str]]) -> set[str]:
    """Return the rooms that a room imports, and those that they import, and so on."""
    below = set(needs[room])
    for other in needs[room]:
        below |= reachable(other, needs)
    return below


def direct(needs: dict[str, set[str]]) -> dict[str, set[str]]:
    """Return the imports that do not follow from others: the transitive reduction."""
    return {
        room: {o for o in others if not any(o in reachable(via, needs) for via in others - {o})}
        for room, others in needs.items()
    }


def floors(needs: dict[str, set[str]]) -> list[list[str]]:
    """Return rooms by floor, ground floor first, each in the order of `ORDER`."""
    level: dict[str, int] = {}
    for row in ORDER:
        for room in row:
            level[room] = 1 + max((level[o] for o in needs[room] if o in level), default=-1)
    top = max(level.values())
    level |= dict.fromkeys(ORDER[-1], top)  # the commands are under the roof
    return [[room for room in needs if level[room] == f] for f in range(top + 1)]


def summary(room: str) -> str:
    """Return the start of a room's own docstring, up to its first pause."""
    path = SOURCE / room / "__init__.py"
    source = path if path.is_file() else SOURCE / f"{room}.py"
    text = ast.get_docstring(ast.parse(source.read_text(encoding="utf-8"))) or ""
    for mark in (":", ".", ";", ","):
        text = text.partition(mark)[0]
    return " ".join(text.split())


def wrap(text: str, width: int) -> str:
    """Break a text into lines of at most `width` characters."""
    rows = [""]
    for word in text.split():
        if rows[-1] and len(rows[-1]) + 1 + len(word) > width:
            rows.append("")
        rows[-1] = f"{rows[-1]} {word}".strip()
    return "\n".join(rows)


def places(storeys: list[list[str]], lines: dict[str, int]) -> dict[str, Place]:
    """Return each room's place: on its side of the house, wider the more lines it has."""
    place: dict[str, Place] = {}
    for f, rooms in enumerate(storeys):
        free = WIDTH - GAP * (len(rooms) - 1)
        weight = {room: max(lines[room], 250) ** 0.5 for room in rooms}
        share = min(free / sum(weight.values()), 0.82)
        width = {room: max(weight[room] * share, NARROWEST) for room in rooms}
        slack = free - sum(width.values())
        left, wing = 0.0, LEFT
        for room in sorted(rooms, key=lambda room: WING[room]):
            if WING[room] != wing:  # what is left over goes between the wings
                skipped = 1.0 if wing == LEFT and WING[room] == RIGHT else 0.5
                left += slack * skipped
                slack -= slack * skipped
                wing = WING[room]
            place[room] = (left + width[room] / 2, f * FLOOR, width[room])
            left += width[room] + GAP
    return place


def draw(needs: dict[str, set[str]], inside: dict[str, list[File]]) -> Figure:
    """Draw the house of a `plan`."""
    storeys = floors(needs)
    lines = {room: lines_of(files) for room, files in inside.items()}
    place = places(storeys, lines)
    height = len(storeys) * FLOOR
    figure = Figure(figsize=(12.5, 12.5 * (height + 24) / (WIDTH + 12)), dpi=130)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(-6, WIDTH + 6), ylim=(-11, height + 13), aspect="equal")
    axes.axis("off")
    walls = [(-2.5, -3), (WIDTH + 2.5, -3), (WIDTH + 2.5, height - 3), (-2.5, height - 3)]
    axes.add_patch(Polygon(walls, facecolor="#fbfaf7", edgecolor="#b9b4a8", linewidth=1.5))
    roof = [(-5.5, height - 3), (WIDTH + 5.5, height - 3), (WIDTH / 2, height + 9)]
    axes.add_patch(Polygon(roof, facecolor="#d9b3a1", edgecolor="#a88573", linewidth=1.5))
    title = f"chromatic_descent: {sum(lines.values()):,} lines in {len(modules(SOURCE))} files"
    axes.text(WIDTH / 2, height + 0.6, title, ha="center", size=15, weight="bold", color=INK)
    ways = free_ways(place)
    for room, others in direct(needs).items():
        for other in sorted(others):
            arrow(axes, place[room], place[other], ways)
    for room, there in place.items():
        box(axes, room, there, lines[room], len(inside[room]))
    left = -2.5
    for part, (colour, _, _) in PARTS.items():
        rounded(axes, (left, -8, 2.4, 2.4), colour)
        axes.text(left + 3.4, -6.8, part, va="center", size=9, color=INK)
        left += 7.5 + 0.72 * len(part)
    return figure


def rounded(axes: Axes, box: tuple[float, float, float, float], colour: str) -> None:
    """Draw a box with round corners, given as x, y, width and height."""
    x, y, width, height = box
    patch = FancyBboxPatch((x, y), width, height, boxstyle="round,pad=0,rounding_size=0.8")
    patch.set(facecolor=colour, edgecolor="#6f6f6f", linewidth=0.9, zorder=3)
    axes.add_patch(patch)


def box(axes: Axes, room: str, place: Place, lines: int, files: int) -> None:
    """Draw a room with its name, its own rooms or its purpose, and its size."""
    x, y, width = place
    rounded(axes, (x - width / 2, y, width, HEIGHT), COLOUR[room])
    folder = SOURCE / room
    inner = sorted(path.parent.name for path in folder.glob("*/__init__.py"))
    rows = [
        (HEIGHT - 1.0, 10.5, f"{room}/" if folder.is_dir() else f"{room}.py"),
        (HEIGHT - 3.2, 7.4, wrap(" · ".join(inner) or summary(room), int(width))),
        (1.9, 6.8, f"{lines:,} lines" + (f", {files} files" if folder.is_dir() else "")),
    ]
    for up, size, text in rows:
        weight = "bold" if size > 10 else "normal"
        axes.text(x, y + up, text, ha="center", va="top", size=size, weight=weight, zorder=4)


def arrow(axes: Axes, start: Place, end: Place, ways: Ways) -> None:
    """Draw an arrow from the floor of a room to the ceiling of another, past rooms in between."""
    (x, y, width), (to, top, wide) = start, end
    leave = x + max(-0.42 * width, min(0.42 * width, (to - x) * 0.5))
    points, here = [(leave, y)], leave
    for floor in range(round(y / FLOOR) - 1, round(top / FLOOR), -1):
        here = min(ways[floor], key=lambda way, at=here: abs(way - at) + abs(way - to))
        ways[floor] = [way for way in ways[floor] if abs(way - here) > 1.1]
        points += [(here, floor * FLOOR + HEIGHT + 1.2), (here, floor * FLOOR - 1.2)]
    arrive = to + max(-0.42 * wide, min(0.42 * wide, (here - to) * 0.5))
    points.append((arrive, top + HEIGHT))
    line = FancyArrowPatch(path=rounded_path(points), arrowstyle="-|>", mutation_scale=11)
    line.set(color=ARROW, facecolor="none", linewidth=1.3, zorder=2, capstyle="round")
    axes.add_patch(line)


def rounded_path(points: list[tuple[float, float]]) -> Path:
    """Return a path through points that cuts corners by a curve."""
    steps, codes = [points[0]], [Path.MOVETO]
    for before, corner, after in zip(points, points[1:], points[2:], strict=False):
        for near in (before, after):
            length = max(math.dist(near, corner), 1e-9)
            part = min(1.6 / length, 0.5)
            turn = tuple(c + part * (n - c) for c, n in zip(corner, near, strict=True))
            steps += [turn] if near is before else [corner, turn]
        codes += [Path.LINETO, Path.CURVE3, Path.CURVE3]
    return Path([*steps, points[-1]], [*codes, Path.LINETO])


def free_ways(place: dict[str, Place]) -> Ways:
    """Return where arrows may pass each floor: x that no room covers."""
    ways: Ways = {}
    for _, bottom, _ in place.values():
        taken = [(x, width) for x, y, width in place.values() if y == bottom]
        inside = [0.4 * k - 1.2 for k in range(int((WIDTH + 2.4) / 0.4) + 1)]
        ways[round(bottom / FLOOR)] = [
            way for way in inside if all(abs(way - x) > width / 2 + 0.7 for x, width in taken)
        ]
    return ways


if __name__ == "__main__":
    draw(*plan()).savefig(ROOT / "docs" / "house.png")
