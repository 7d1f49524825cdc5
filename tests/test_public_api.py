"""What is public is documented, typed, in the reference, and cheap to import."""

import ast
import importlib
import inspect
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

import chromatic_descent

ROOT = Path(__file__).parents[1]
REFERENCE = ROOT / "docs" / "api"
PACKAGES = (
    "geometry",
    "ensemble",
    "analysis",
    "report",
    "probe_logits",
    "probe_logits.record",
    "data",
    "model",
    "training.repulsion",
    "training.repulsion.terms",
    "errors",
)
NAMES = [
    (package, name)
    for package in PACKAGES
    for name in importlib.import_module(f"chromatic_descent.{package}").__all__
]


def shown():
    """Every name that the reference shows, by its full path."""
    return [
        name
        for page in sorted(REFERENCE.glob("*.md"))
        for name in re.findall(r"^::: (\S+)$", page.read_text(encoding="utf-8"), re.M)
    ]


def found(path):
    """The object at a full path, which may be that of a function named as its module is."""
    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(module), name)


def constant_docstring(package, name):
    """The string below the assignment of a constant, in the module that defines it."""
    module = importlib.import_module(f"chromatic_descent.{package}")
    sources = [Path(module.__file__)]
    if sources[0].name == "__init__.py":
        sources += sorted(sources[0].parent.rglob("*.py"))
    for source in sources:
        body = ast.parse(source.read_text(encoding="utf-8")).body
        for node, following in pairwise(body):
            targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", 0)]
            if any(getattr(target, "id", "") == name for target in targets):
                value = getattr(following, "value", None)
                return value.value if isinstance(value, ast.Constant) else None
    raise AssertionError(f"{package}.{name} is defined nowhere")


def callables(value):
    """A function, or what of a class others call."""
    if inspect.isfunction(value):
        return [value]
    own = [getattr(attribute, "fget", attribute) for attribute in vars(value).values()]
    return [
        f
        for f in own
        if inspect.isfunction(f) and (f.__name__ == "__init__" or not f.__name__.startswith("_"))
    ]


@pytest.mark.parametrize(("package", "name"), NAMES, ids=".".join)
def test_it_is_documented_and_typed(package, name):
    value = getattr(importlib.import_module(f"chromatic_descent.{package}"), name)
    if not (inspect.isfunction(value) or inspect.isclass(value)):
        assert constant_docstring(package, name)
        return
    text = vars(value).get("__doc__") if inspect.isclass(value) else value.__doc__
    assert text
    assert re.match(r".+[.:]($|\n\n)", text, re.S), "a summary, then the rest"
    for each in callables(value):
        parameters = list(inspect.signature(each).parameters.values())
        untyped = [p.name for p in parameters if p.annotation is p.empty and p.name != "self"]
        assert not untyped, f"{each.__qualname__}: {untyped}"
        returns = each.__annotations__.get("return", "none")
        assert each.__name__ == "__init__" or returns != "none", each.__qualname__


@pytest.mark.parametrize("package", PACKAGES)
def test_it_is_in_the_reference(package):
    there = [id(found(path)) for path in shown()]
    module = importlib.import_module(f"chromatic_descent.{package}")
    missing = [name for name in module.__all__ if id(getattr(module, name)) not in there]
    assert not missing
    listing = (REFERENCE / "index.md").read_text(encoding="utf-8")
    assert re.search(rf"`{package.removesuffix('.terms')}`", listing)


def test_the_reference_shows_nothing_else_and_nothing_twice():
    public = {
        id(getattr(importlib.import_module(f"chromatic_descent.{package}"), name))
        for package, name in NAMES
    }
    assert [path for path in shown() if id(found(path)) not in public] == []
    assert len(set(shown())) == len(shown())


def test_every_page_of_the_reference_is_in_the_navigation():
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    for page in (ROOT / "docs").rglob("*.md"):
        assert f": {page.relative_to(ROOT / 'docs')}" in navigation


def test_the_arguments_in_a_docstring_exist():
    for package, name in NAMES:
        value = getattr(importlib.import_module(f"chromatic_descent.{package}"), name)
        if not (inspect.isfunction(value) or inspect.isclass(value)):
            continue
        part = re.search(r"^ *Args:\n(.*?)(\n *\n|\Z)", value.__doc__, re.S | re.M)
        if part is None:
            continue
        indent = re.match(r" *", part[1])[0]
        explained = re.findall(rf"^{indent}(\w[\w, ]*):", part[1], re.M)
        assert explained
        assert set(explained) <= set(inspect.signature(value).parameters), f"{package}.{name}"


def test_light_packages_import_neither_torch_nor_hydra():
    light = ["geometry", "ensemble", "analysis", "probe_logits", "errors", "report"]
    imports = "; ".join(f"import chromatic_descent.{name}" for name in light)
    heavy = "{'torch', 'lightning', 'hydra', 'matplotlib'} & set(sys.modules)"
    code = f"import sys; {imports}; found = {heavy}; print(*found); sys.exit(bool(found))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_type_checkers_see_the_annotations():
    assert (Path(chromatic_descent.__file__).parent / "py.typed").is_file()
