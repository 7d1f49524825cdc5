"""The complete members of one study, or of several, as one population."""

from collections.abc import Sequence
from dataclasses import replace

from chromatic_descent import probe_logits
from chromatic_descent.errors import ArtefactError, UserError
from chromatic_descent.probe_logits import Population, ProbeLogits
from chromatic_descent.study.study import Study


def load_study(study: Study) -> tuple[Population, list[str]]:
    """The complete members of a study, stacked, and a line on each that is not complete.

    Raises ArtefactError, naming every file that cannot be used, if there is one.
    """
    members, missing = _complete_members(study)
    return probe_logits.stack(members), missing


def load_studies(studies: Sequence[Study]) -> tuple[Population, list[str]]:
    """The members of several studies as one population, and a line on each that is not complete.

    A member is named `SEED_0007-<study>`, after its suffix if it has one, and its config names its
    study: the configurations of each study are compared with those of the others.

    Raises UserError if there are fewer than two, two share a name, or their probes differ.
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
            name = f"{member.record['member']}-{study.name}"
            config = {"study": study.name, **member.record["config"]}
            members.append(
                replace(member, record={**member.record, "member": name, "config": config})
            )
    if len(set(probes.values())) > 1:
        seen = "".join(f"\n  {name}: {digest[:12]}" for name, digest in probes.items())
        raise ArtefactError(
            f"The studies were recorded on different probes and cannot be compared:{seen}\n"
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
