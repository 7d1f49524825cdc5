"""List studies and clean them up: `python -m chromatic_descent.studies`, or `chromatic-studies`.

    python -m chromatic_descent.studies                     every study in paths.multirun
    python -m chromatic_descent.studies study=plain         its members, with reasons
    python -m chromatic_descent.studies study=plain clean=checkpoints       asks, then removes

On a terminal it prints tables; to a file or a pipe, the same cells, separated by tabs.
"""

import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import get_args

import hydra
from omegaconf import DictConfig, ListConfig
from rich.console import Console
from rich.table import Table
from rich.text import Text

from chromatic_descent.config import configs_folder
from chromatic_descent.errors import UserError
from chromatic_descent.launch.command_line import run
from chromatic_descent.study import Member, Status, Study, find_study, printable, studies
from chromatic_descent.study.cleaning import Kind, files, removals, remove

_RIGHT = ("size", "last touched", *get_args(Status))  # columns of numbers


@hydra.main(config_path=configs_folder(), config_name="studies", version_base="1.3")
def run_studies(cfg: DictConfig) -> None:
    """List the studies or members that the config names; remove files, once that is confirmed."""
    root = Path(cfg.paths.multirun)
    if cfg.study is None:
        if cfg.clean is not None:
            raise UserError(f"clean={cfg.clean} needs study=NAME: one study is cleaned at a time.")
        _print(("study", *get_args(Status), "size", "last touched"), map(_row, studies(root)))
        return
    study = find_study(str(cfg.study), root)
    if cfg.clean is None:
        rows = ((m.name, _status(m), *_usage(m.folder, m.artefact)) for m in study.members())
        _print(("member", "status", "size", "last touched"), rows)
        return
    _clean(study, _kinds(cfg.clean), cfg.sure)


def main() -> None:
    """Run Hydra's command line; a user's mistake ends with one message and exit code 1."""
    run(run_studies)


def _row(study: Study) -> tuple[str, ...]:
    count = Counter(member.status for member in study.members())
    return (study.name, *(str(count[s]) for s in get_args(Status)), *_usage(study.path))


def _status(member: Member) -> str:
    """The member's status, with the reason if it failed; its name has a column of its own."""
    return member.explain().removeprefix(f"{member.name} ").removeprefix("is ")


def _usage(*paths: Path) -> tuple[str, str]:
    """The size of everything at or below some paths, and when it was last written to."""
    stats = [file.lstat() for path in paths for file in files(path)]
    if not stats:
        return _readable(0), ""
    newest = datetime.fromtimestamp(max(stat.st_mtime for stat in stats)).astimezone()
    return _readable(sum(stat.st_size for stat in stats)), f"{newest:%Y-%m-%d %H:%M}"


def _kinds(clean: object) -> list[Kind]:
    given = list(clean) if isinstance(clean, ListConfig) else [clean]
    kinds: tuple[Kind, ...] = get_args(Kind)
    if not given or not set(given) <= set(kinds):
        raise UserError(
            f"clean={clean}: expected one or a list of {', '.join(kinds)}, as in "
            "clean=[checkpoints,cache]."
        )
    return [kind for kind in kinds if kind in given]


def _clean(study: Study, kinds: Sequence[Kind], sure: bool) -> None:
    removable = removals(study, kinds)
    if not removable:
        print(f"{study.path}: there is nothing of that kind to remove.")
        return
    rows = ((r.kind, str(r.path.relative_to(study.path)), _usage(r.path)[0]) for r in removable)
    _print(("what", "path", "size"), rows)
    total, _ = _usage(*(removal.path for removal in removable))
    if not sure and not _confirmed(f"Remove this from {study.path}, {total}?"):
        print(f"Nothing was removed. With sure=true, {total} would be.")
        return
    kept = [removal for removal in removable if not remove(removal)]
    for removal in kept:
        print(f"kept, since another process has taken up its member: {removal.path}")
    print(f"Removed {len(removable) - len(kept)} of {len(removable)}.")


def _confirmed(question: str) -> bool:
    """Ask on a terminal; anywhere else nobody can answer, which means no."""
    can_ask = sys.stdin.isatty() and Console().is_terminal
    return can_ask and input(f"{question} [y/N] ").strip().lower() in ("y", "yes")


def _readable(number: float) -> str:
    """A number of bytes with a unit.

    >>> _readable(1536000)
    '1.5 MB'
    """
    for unit in ("B", "kB", "MB"):
        if number < 1000:
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1000
    return f"{number:.1f} GB"


def _print(columns: Sequence[str], rows: Iterator[tuple[str, ...]]) -> None:
    console = Console()
    if not console.is_terminal:
        for row in (columns, *rows):
            print("\t".join(printable(cell) for cell in row))
        return
    table = Table(box=None, header_style="bold")
    for column in columns:
        table.add_column(column, justify="right" if column in _RIGHT else "left", no_wrap=True)
    for row in rows:
        table.add_row(*(Text(printable(cell)) for cell in row))
    console.print(table)


if __name__ == "__main__":
    main()
