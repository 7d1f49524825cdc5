"""Looks up functions that users write themselves, named `module.function`."""

import importlib
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from chromatic_descent.errors import UserError


def is_own(name: object) -> bool:
    """Whether a name is that of a user's function: only these have a dot."""
    return isinstance(name, str) and "." in name


def reach(name: str) -> None:
    """Let the module that `name` begins with be imported from the current folder.

    The folder becomes the last place where Python looks, if the module lies there and its name is
    not an installed package's. Merely working in a folder makes none of its files importable.
    """
    module, folder = name.partition(".")[0], Path.cwd()
    lies_here = (folder / f"{module}.py").is_file() or (folder / module / "__init__.py").is_file()
    if lies_here and str(folder) not in sys.path and importlib.util.find_spec(module) is None:
        sys.path.append(str(folder))


def locate(name: str) -> Callable[..., Any]:
    """The function named `module.function`; raises UserError if there is no such function."""
    if not all(part.isidentifier() for part in name.split(".")):
        raise UserError(f"{name!r} is not the name of a function: expected module.function.")
    reach(name)
    module, _, attribute = name.rpartition(".")
    try:
        function: Callable[..., Any] = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise UserError(
            f"{name} cannot be imported ({error}): expected module.function, in a module that is "
            "installed, on PYTHONPATH or in this folder."
        ) from error
    if not callable(function):
        raise UserError(f"{name} is a {type(function).__name__}: expected a function.")
    return function


def source(name: str) -> bytes:
    """The source of the module in `name`, for the key of a cache; empty if it has no file."""
    locate(name)
    file = getattr(sys.modules[name.rpartition(".")[0]], "__file__", None)
    return b"" if file is None else Path(file).read_bytes()
