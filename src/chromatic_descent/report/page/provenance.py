"""The commands that trained a study's members, from what Hydra recorded beside them."""

import re
import shlex
from collections import defaultdict
from pathlib import Path

from chromatic_descent.files.plain_json import regular
from chromatic_descent.study import Study

_SEED = re.compile(r"[0-9]{1,18}")
_LONGEST = 8000  # bytes of overrides that are read: more could keep a YAML parser busy for minutes


def training_commands(study: Study) -> list[str]:
    """The commands that would train a study's members again; one for all that differ only in seed.

    They are read from each member's `.hydra/overrides.yaml`. A member without that file (its folder
    was not kept) adds nothing; members that were trained together share one.
    """
    by_recipe: dict[tuple[str, ...], set[int]] = defaultdict(set)
    for member in study.members():
        overrides = _overrides(member.folder / ".hydra" / "overrides.yaml")
        if overrides and member.status == "complete":
            rest = tuple(o for o in overrides if o.partition("=")[0] not in ("seed", "study"))
            seeds = {o.removeprefix("seed=") for o in overrides if o.startswith("seed=")}
            by_recipe[rest] |= {int(seed) for seed in seeds if _SEED.fullmatch(seed)}
    return [
        shlex.join(["chromatic-train", *_swept(sorted(seeds)), f"study={study.name}", *rest])
        for rest, seeds in by_recipe.items()
    ]


def _swept(seeds: list[int]) -> list[str]:
    if len(seeds) < 2:
        return [f"seed={seed}" for seed in seeds]
    return ["-m", f"seed={_listed(seeds)}"]


def _listed(seeds: list[int]) -> str:
    """Distinct seeds in Hydra's syntax: `range(12)`, `range(3,7)`, `1,4,9`."""
    first, last = seeds[0], seeds[-1]
    if len(seeds) > 2 and last - first == len(seeds) - 1:
        return f"range({last + 1})" if first == 0 else f"range({first},{last + 1})"
    return ",".join(map(str, seeds))


def _overrides(path: Path) -> list[str]:
    import yaml

    try:
        if path.stat().st_size > _LONGEST:
            return []
        overrides = yaml.safe_load(regular(path).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError, yaml.YAMLError):
        return []
    lines = overrides if isinstance(overrides, list) else []  # anything else may print without end
    return [line for line in lines if isinstance(line, str) and line.isprintable()]
