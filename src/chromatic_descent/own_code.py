"""What users write themselves, named `module.function`: how it is found."""

import importlib
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from chromatic_descent.errors import UserError


def is_own(name: object) -> bool:
    """Whether a name is of a user's own: it has a dot, as none of this package's has."""
    return isinstance(name, str) and "." in name


def reach(name: str) -> None:
    """Let the module that `name` begins with be imported from the current folder.

    Only if the command line names it, nothing that is installed is called so, and it lies there:
    then the folder becomes the last that Python looks in. (Under `python -m` it is the first, by
    Python's doing.) A folder that one merely stands in, a study say, adds nothing.
    """
    module, folder = name.partition(".")[0], Path.cwd()
    lies_here = (folder / f"{module}.py").is_file() or (folder / module / "__init__.py").is_file()
    if lies_here and str(folder) not in sys.path and importlib.util.find_spec(module) is None:
        sys.path.append(str(folder))


def locate(name: str) -> Callable[..., Any]:
    """The function called `module.function`.

    Raises UserError if there is none.
    """
    if not all(part.isidentifier() for part in name.split(".")):
        raise UserError(f"{name!r} is no name of a function: expected module.function.")
    reach(name)
    module, _, attribute = name.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise UserError(
            f"{name} cannot be imported ({error}): expected module.function, of a module that is "
            "installed, on PYTHONPATH or in this folder."
        ) from error
    if not callable(found):
        raise UserError(f"{name} is a {type(found).__name__}: expected a function.")
    function: Callable[..., Any] = found
    return function


def source(name: str) -> bytes:
    """The file of the module that `name` names, if it has one: what a cache must depend on."""
    locate(name)
    file = getattr(sys.modules[name.rpartition(".")[0]], "__file__", None)
    return b"" if file is None else Path(file).read_bytes()
