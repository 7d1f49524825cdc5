"""Finding studies: by name, by path, or the newest."""

from pathlib import Path

from chromatic_descent.errors import UserError
from chromatic_descent.study.study import Study


def studies(root: Path) -> list[Study]:
    """Every study under `root`, by name."""
    return [study for path in sorted(root.glob("*")) if _is_study(study := Study(path))]


def find_study(study: str | None, root: Path) -> Study:
    """Find a study by name under `root`, by path, or (None) the newest under `root`.

    The newest is the one whose newest member completed last. Raises UserError if there is none.
    """
    known = studies(root)
    if study is None:
        complete = [each for each in known if each.probes.is_dir()]
        if not complete:
            raise UserError(
                f"There is no study in {root.resolve()}. Train one first, for example: "
                "python -m chromatic_descent.train -m 'seed=range(12)' experiment=demo"
            )
        return max(complete, key=_last_completed)
    for candidate in (Study(root / study), Study(Path(study))):
        if _is_study(candidate):
            return candidate
    names = ", ".join(s.name for s in known) or "none"
    raise UserError(
        f"study={study} was found neither in {root.resolve()} (there: {names}) nor as a path, or "
        "has no member yet."
    )


def _is_study(study: Study) -> bool:
    return study.probes.is_dir() or bool(study.members())


def _last_completed(study: Study) -> float:
    return max((path.stat().st_mtime for path in study.probes.glob("*.npz")), default=0.0)
