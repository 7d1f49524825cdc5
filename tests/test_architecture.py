"""The house: in which order rooms stand, and how large files and functions may be.

`ORDER` is the only place where the order is written down. A file imports from its own room and from
rooms below it.
"""

import ast
import statistics
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = "chromatic_descent"
SOURCE = Path(__file__).parents[1] / "src" / PACKAGE

ORDER = (  # from the ground up; the names in one row do not import each other
    ("errors",),
    ("files",),
    ("own_code",),
    ("probe_logits",),
    ("config",),
    ("study",),
    ("launch",),
    ("data",),
    ("model",),
    ("training",),
    ("importing",),
    ("geometry",),
    ("ensemble",),
    ("analysis",),
    ("report",),
    ("train", "analyze", "studies", "import_members"),
)
WITHIN_GEOMETRY = (
    ("distances",),
    ("layouts",),
    ("stability", "nulls"),
    ("dimension", "permutation_tests"),
    ("drivers",),
)
LONGEST_FILE, MEDIAN_FILE, MOST_PARAMETERS, MOST_FILES_IN_A_ROOM = 350, 140, 8, 7


def modules(root):
    """Every file of the package by its dotted name below it: `geometry.distances.grams`."""
    found = {}
    for path in sorted(root.rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        if name:
            found[name] = path
    return found


def imports(path, files):
    """The modules of the package that a file imports, inside functions and for types too."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{path}: imports are absolute"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    inside = {name.removeprefix(f"{PACKAGE}.") for name in found if name.startswith(f"{PACKAGE}.")}
    return {home(name, files) for name in inside} - {""}


def home(name, files):
    """The module that an imported name is, or the one that defines it, behind a package's face."""
    module, attribute = name, ""
    while module and module not in files:
        module, _, attribute = module.rpartition(".")
    if attribute and module and is_face(files[module]):
        for node in ast.parse(files[module].read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ImportFrom) and attribute in {
                alias.asname or alias.name for alias in node.names
            }:
                return home(f"{node.module}.{attribute}".removeprefix(f"{PACKAGE}."), files)
    return module


def upward_imports(root, order, prefix=""):
    """Imports from a room into one above it, or beside it in a row."""
    files = modules(root)
    floor = {room: level for level, row in enumerate(order) for room in row}

    def room_of(name):
        return name.removeprefix(prefix).partition(".")[0]

    wrong = []
    for name, path in files.items():
        if not name.startswith(prefix) or room_of(name) not in floor:
            continue
        for other in imports(path, files):
            there = room_of(other)
            elsewhere = other.startswith(prefix) and there in floor and there != room_of(name)
            if elsewhere and floor[there] >= floor[room_of(name)]:
                wrong.append(f"{name} imports {other}")
    return wrong


def circle(root):
    """Files that import each other in a ring, or an empty list; a package's own face is no file."""
    files = modules(root)
    graph = {
        name: {other for other in imports(path, files) if not is_face(files[other])}
        for name, path in files.items()
        if not is_face(path)
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return error.args[1]
    return []


def is_face(path):
    """Whether a file only hands on what others define."""
    body = ast.parse(path.read_text(encoding="utf-8")).body
    return path.name == "__init__.py" and not any(
        isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name != "__getattr__"
        for node in body
    )


def long_files(root):
    return [
        f"{name}: {lines}"
        for name, path in modules(root).items()
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > LONGEST_FILE
    ]


def crowded_functions(root):
    """Functions with too many parameters, less `self`; a class's constructor may be a config's."""
    crowded = []
    for name, path in modules(root).items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and node.name != "__init__":
                a = node.args
                names = [p.arg for p in (*a.posonlyargs, *a.args, *a.kwonlyargs)]
                count = len([n for n in names if n not in ("self", "cls")])
                if count > MOST_PARAMETERS and f"{name}.{node.name}" not in FILLED_BY_CONFIGS:
                    crowded.append(f"{name}.{node.name}: {count}")
    return crowded


FILLED_BY_CONFIGS = {"training.optim.muon"}  # functions of which a config names every parameter


def test_imports_go_down():
    assert upward_imports(SOURCE, ORDER) == []
    assert upward_imports(SOURCE, WITHIN_GEOMETRY, "geometry.") == []


def test_every_file_has_a_room():
    rooms = {room for row in ORDER for room in row}
    assert {name.partition(".")[0] for name in modules(SOURCE)} == rooms


def test_there_is_no_circle():
    assert circle(SOURCE) == []


def test_no_file_is_long_and_no_function_crowded():
    assert long_files(SOURCE) == []
    assert crowded_functions(SOURCE) == []


def test_most_files_can_be_read_in_one_sitting():
    lines = [len(p.read_text(encoding="utf-8").splitlines()) for p in modules(SOURCE).values()]
    assert statistics.median(lines) <= MEDIAN_FILE


def test_no_room_of_geometry_is_a_hall():
    for room in sorted({path.parent for path in modules(SOURCE / "geometry").values()}):
        files = [path for path in room.glob("*.py") if not is_face(path)]
        assert len(files) <= MOST_FILES_IN_A_ROOM, room


def test_no_file_is_a_drawer_for_everything():
    names = {part for name in modules(SOURCE) for part in name.split(".")}
    assert not names & {"utils", "util", "helpers", "common", "misc"}


@pytest.fixture
def planted(tmp_path):
    """A small package in which a file may be planted: {dotted name: source}."""

    def plant(**files):
        for name, text in {"errors": "", "geometry__shapes": "", **files}.items():
            path = tmp_path / f"{name.replace('__', '/', 1)}.py"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return tmp_path

    return plant


def test_an_upward_import_is_found(planted):
    root = planted(geometry__shapes=f"def f():\n    from {PACKAGE} import report\n", report="")
    assert upward_imports(root, ORDER) == ["geometry.shapes imports report"]
    assert upward_imports(planted(report=f"import {PACKAGE}.geometry.shapes\n"), ORDER) == []


def test_an_upward_import_within_geometry_is_found(planted):
    root = planted(
        **{"geometry__nulls/shuffles": ""},
        geometry__distances=f"import {PACKAGE}.geometry.nulls.shuffles\n",
    )
    found = upward_imports(root, WITHIN_GEOMETRY, "geometry.")
    assert found == ["geometry.distances imports geometry.nulls.shuffles"]


def test_a_circle_is_found(planted):
    one = f"from {PACKAGE}.geometry.shapes import g\n"
    other = f"from {PACKAGE}.geometry import lines\n"
    assert circle(planted(geometry__lines=one, geometry__shapes=other))
    assert not circle(planted(geometry__lines=one, geometry__shapes=""))


def test_a_circle_through_the_face_of_a_package_is_found(planted):
    face = f"from {PACKAGE}.geometry.lines import g\n"
    root = planted(
        geometry____init__=face,
        geometry__lines=f"from {PACKAGE}.geometry.shapes import h\n",
        geometry__shapes=f"from {PACKAGE}.geometry import g\n",
    )
    assert circle(root)


def test_a_long_file_and_a_crowded_function_are_found(planted):
    assert long_files(planted(errors="\n" * 351)) == ["errors: 351"]
    assert long_files(planted(errors="\n" * 350)) == []
    crowded = "def f(a, b, c, d, e, *, g, h, i, j): ...\n"
    assert crowded_functions(planted(errors=crowded)) == ["errors.f: 9"]
