import sys

import pytest

from chromatic_descent import own_code
from chromatic_descent.config import instantiate
from chromatic_descent.errors import UserError


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty folder to stand in, of which Python knows nothing, as for a console script."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry])
    for name in ("mine", "kept"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    yield tmp_path
    for name in ("mine", "kept"):
        sys.modules.pop(name, None)


def test_a_file_here_is_found_once_it_is_named(folder):
    (folder / "mine.py").write_text("def one(): return 1\n")
    (folder / "kept.py").write_text("raise RuntimeError('nobody asked for this')\n")
    assert own_code.locate("mine.one")() == 1
    assert instantiate({"_target_": "mine.one"}) == 1
    assert instantiate({"inner": [{"_target_": "mine.one"}]}) == {"inner": [1]}
    assert sys.path[-1] == str(folder)  # after all that is installed
    assert "kept" not in sys.modules


def test_instantiate_finds_it_by_itself(folder):
    (folder / "mine.py").write_text("def one(): return 1\n")
    assert instantiate({"deep": {"er": {"_target_": "mine.one"}}}) == {"deep": {"er": 1}}


def test_a_file_that_is_not_named_or_not_needed_adds_nothing(folder):
    for name in ("mine", "numpy", "json"):
        (folder / f"{name}.py").write_text("raise RuntimeError('imported')\n")
    before = list(sys.path)
    own_code.reach("numpy.exp")
    own_code.reach("json.dumps")
    own_code.reach("elsewhere.function")
    instantiate({"_target_": "builtins.dict"})
    assert sys.path == before


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("mine.one", r"mine\.one cannot be imported \(No module named 'mine'\).*in this folder"),
        ("math.sine", "no attribute 'sine'"),
        ("math.pi", r"math\.pi is a float: expected a function"),
        (".one", "'.one' is not the name of a function: expected module.function"),
        ("../.", "is not the name of a function"),  # which Python would take for a relative import
    ],
)
def test_a_missing_function_is_one_message(folder, name, message):
    with pytest.raises(UserError, match=message):
        own_code.locate(name)


@pytest.mark.parametrize(
    ("name", "own"),
    [("mine.one", True), ("one", False), (True, False), (1.5, False), (None, False)],
)
def test_only_a_dotted_name_is_a_users(name, own):
    assert own_code.is_own(name) == own


def test_a_missing_target_is_named_with_the_places_searched(folder):
    with pytest.raises(UserError, match=r"No module named 'mine'[^$]*in this folder"):
        instantiate({"_target_": "mine.one"})
    (folder / "mine.py").write_text("import no_such_package\n")
    with pytest.raises(UserError, match="No module named 'no_such_package'"):
        instantiate({"_target_": "mine.one"})


def test_the_source_is_the_file_that_is_named(folder):
    (folder / "mine.py").write_text("from functools import partial\nhalf = partial(pow, 0.5)\n")
    assert own_code.source("mine.half") == (folder / "mine.py").read_bytes()
    assert own_code.source("math.sin") == b"" or b"ELF" in own_code.source("math.sin")
