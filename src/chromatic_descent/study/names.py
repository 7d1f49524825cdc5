"""Names of members and studies: plain folder names, which need no quoting anywhere."""

import re
from pathlib import Path

from chromatic_descent.errors import UserError
from chromatic_descent.files.hashing import content_hash

_PLAIN = re.compile(r"[\w][\w.+-]*")  # a single folder's name: no separator, no leading dot
_LONGEST_SUFFIX = 120  # characters; file systems allow 255 in a name, artefacts add to it


def member_name(seed: int, suffix: str = "") -> str:
    """A member's name: its seed and whatever the sweep varies besides, fit for a file name.

    >>> member_name(7)
    'SEED_0007'
    >>> member_name(7, "model.widths=[16, 64]")
    'SEED_0007-model.widths_16-64'
    """
    # Letters that need no quoting in a shell or in Hydra's overrides, where paths may be values.
    suffix = re.sub(r"[^\w.+-]+", "-", suffix.replace("=", "_").replace("_[", "_")).strip("-")
    if len(suffix) > _LONGEST_SUFFIX:
        suffix = f"{suffix[: _LONGEST_SUFFIX - 13]}-{content_hash(suffix)[:12]}"
    return f"SEED_{seed:04d}" + (f"-{suffix}" if suffix else "")


def is_plain(name: str) -> bool:
    """Whether a study or a member may have this name."""
    return _PLAIN.fullmatch(name) is not None


def check_study_name(name: str) -> str:
    """Return `name` if it can name a folder; otherwise raise UserError."""
    if not is_plain(name):
        raise UserError(
            f"study is {name!r}: expected a plain folder name of letters, digits, and '_', '-', "
            "'+' or '.', as in study=plain."
        )
    return name


def study_folder(study: str | None, otherwise: str, root: str) -> str:
    """The folder of a launch: `root`/`study` if a study is named, and `otherwise` if not."""
    return otherwise if study is None else str(Path(root) / check_study_name(str(study)))


def printable(text: str) -> str:
    """Text from a file with every character that could control a terminal replaced by '?'."""
    return "".join(character if character.isprintable() else "?" for character in text)
