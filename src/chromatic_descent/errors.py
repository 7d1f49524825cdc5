"""Errors that users can fix, and helpers for raising and reading them."""

from collections.abc import Iterator
from typing import TypeGuard

__all__ = ["ArtefactError", "UserError"]  # public; the rest is for this package


class UserError(Exception):
    """A mistake that the user can fix: the command line prints its message and no traceback.

    The message names the key or file, what was found, what was expected, and what to do.
    """


class ArtefactError(UserError):
    """A probe artefact that cannot be used."""


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield the error, then the errors it was raised from or during, nearest first."""
    seen: list[BaseException] = []
    while error is not None and error not in seen:  # the chain may be a ring
        seen.append(error)
        yield error
        error = error.__cause__ or error.__context__


def is_whole(value: object, least: int = 0, most: int | None = None) -> TypeGuard[int]:
    """Whether a value is a whole number from `least` to `most`; True and False are not."""
    return type(value) is int and least <= value and (most is None or value <= most)


def first_line(error: BaseException) -> str:
    """The first line of an error's message without its full stop, or its type if it is empty."""
    text = str(error).strip()
    return text.splitlines()[0].rstrip(". ") if text else type(error).__name__
