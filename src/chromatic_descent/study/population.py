"""Finds studies, and loads a population to analyse: members of studies, or plain arrays."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from chromatic_descent import probe_logits
from chromatic_descent.errors import ArtefactError, UserError
from chromatic_descent.probe_logits import Population, ProbeLogits
from chromatic_descent.study.study import Study


@dataclass(frozen=True)
class Subject:
    """A population to analyse."""

    population: Population
    study: Study  # where the results go
    missing: list[str] = field(default_factory=list)  # a line on each member that is not complete
    sources: list[Study] = field(default_factory=list)  # of the members; none for plain arrays


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


def find_subject(
    *,
    study: str | None,
    studies: Sequence[str] | None,
    logits: str | None,
    labels: str | None,
    multirun: Path,
    outputs: Path,
) -> Subject:
    """Load the members that the options name: by default the newest study in `multirun`.

    Results on arrays, and on several studies together, go to `outputs`. Raises UserError if the
    options contradict each other, or their files cannot be loaded.
    """
    arrays = labels if logits is None else logits
    given = {"study=": study, "studies=": studies, "logits= and labels=": arrays}
    named = [key for key, value in given.items() if value is not None]
    if len(named) > 1:
        raise UserError(f"Give either {' or '.join(named)}, not both.")
    if logits is not None and labels is not None:
        population = probe_logits.from_arrays(logits, labels)
        return Subject(population, Study(outputs / Path(logits).stem))
    if logits is not None:
        raise UserError(f"logits={logits} needs labels=FILE beside it.")
    if labels is not None:
        raise UserError(f"labels={labels} needs logits=FILE beside it.")
    if studies is None:
        source = find_study(study, multirun)
        source.check()
        population, missing = load_study(source)
        return Subject(population, source, missing, [source])
    sources = [find_study(name, multirun) for name in studies]
    together = Study(outputs / "+".join(source.name for source in sources))
    population, missing = load_studies(sources)
    return Subject(population, together, missing, sources)


def load_study(study: Study) -> tuple[Population, list[str]]:
    """The complete members of a study, stacked, and a line on each that is not complete.

    Raises ArtefactError that names every unusable file.
    """
    members, missing = _complete_members(study)
    return probe_logits.stack(members), missing


def load_studies(studies: Sequence[Study]) -> tuple[Population, list[str]]:
    """The members of several studies as one population, and a line on each that is not complete.

    A member is named `SEED_0007-<study>`, after its suffix if it has one, and its config names its
    study: the configurations of each study are compared with those of the others. Raises UserError
    if there are fewer than two, two share a name, or their probes differ.
    """
    names = [study.name for study in studies]
    if len(set(names)) < max(2, len(names)):
        raise UserError(f"studies={names}: expected two or more, with different names.")
    members, missing, probes = [], [], {}
    for study in studies:
        complete, incomplete = _complete_members(study)
        missing += [f"{study.name}, {line}" for line in incomplete]
        probes[study.name] = probe_logits.stack(complete).records[0]["probe_hash"]
        for member in complete:
            record = {**member.record, "member": f"{member.record['member']}-{study.name}"}
            record["config"] = {"study": study.name, **record["config"]}
            members.append(replace(member, record=record))
    if len(set(probes.values())) > 1:
        lines = "".join(f"\n  {name}: {digest[:12]}" for name, digest in probes.items())
        raise ArtefactError(
            f"The studies were recorded on different probes and cannot be compared:{lines}\n"
            "Train them with the same data and the same `probe`."
        )
    return probe_logits.stack(members), missing


def _complete_members(study: Study) -> tuple[list[ProbeLogits], list[str]]:
    members, missing, broken = [], [], []
    for member in study.members():
        if member.status != "complete":
            missing.append(member.explain())
            continue
        try:
            loaded = probe_logits.load(member.artefact)
            if loaded.record["member"] != member.name:
                raise ArtefactError(
                    f"{member.artefact} is the artefact of {loaded.record['member']}: rename it."
                )
            members.append(loaded)
        except ArtefactError as error:
            broken.append(str(error))
    if broken:
        raise ArtefactError("\n".join(broken))
    if not members:
        reasons = "\n  ".join(["", *missing])
        raise UserError(f"No member of {study.path} is complete, nothing to analyse.{reasons}")
    return members, missing


def _is_study(study: Study) -> bool:
    return study.probes.is_dir() or bool(study.members())


def _last_completed(study: Study) -> float:
    return max((path.stat().st_mtime for path in study.probes.glob("*.npz")), default=0.0)
