"""Train members: `python -m chromatic_descent.train`, or `chromatic-train`.

    python -m chromatic_descent.train seed=3 experiment=fast
    python -m chromatic_descent.train -m 'seed=range(12)' study=plain trainer.accelerator=auto

torch and Lightning are imported only once a member is to be trained: help, tab completion and
skipping complete members stay quick.
"""

import io
import logging
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from chromatic_descent import config, probe_logits
from chromatic_descent.errors import UserError
from chromatic_descent.files.atomic import write_text
from chromatic_descent.launch import launchers
from chromatic_descent.launch.callbacks import ReportFailures
from chromatic_descent.launch.command_line import is_mendable, message, run
from chromatic_descent.launch.stopping import as_it_was
from chromatic_descent.probe_logits.identity import config_hash, differences
from chromatic_descent.study import Member, Study, claim, member_name

log = logging.getLogger(__name__)


def run_members(cfg: DictConfig, members: list[Member]) -> None:
    """Train a job's members unless they are complete: skip, continue, start, or refuse.

    `members` are in the order of their seeds: one under `population=solo`, all those trained
    together under `population=joint`.

    Raises UserError if a member's folder holds another config's work and `overwrite` is false,
    and MemberBusyError if another process holds a member.
    """
    members[0].study.check(members)
    identity = config.identity(cfg)
    wanted = _Work(identity, config_hash(identity), _together(cfg))
    if not _left(members, wanted, cfg.overwrite):
        return
    launchers.place()  # before torch is asked for a device
    train = config.instantiate(cfg.population)(cfg)  # what it refuses is left untouched
    with ExitStack() as claims:
        for member in members:
            claims.enter_context(claim(member))
        left = _left(members, wanted, cfg.overwrite)
        if not left:  # another process has completed them meanwhile
            return
        _begin(members, left, config.seeds(cfg), wanted, cfg.overwrite)
        try:
            for member in left:
                _record_config(cfg, member)
            _show_config(cfg)
            with as_it_was(members[0].name):
                train(members, left, identity)
        except Exception as error:
            for member in left:  # those that failed for a reason of their own have said so
                if not _is_complete(member, wanted, True) and not member.failure.exists():
                    with suppress(OSError):  # the reason may be that nothing can be written
                        member.write_failure(error)
            raise


def members_of(cfg: DictConfig, folder: Path) -> list[Member]:
    """The members of the job whose first member's folder Hydra has named."""
    first, *others = (member_name(seed) for seed in config.seeds(cfg))
    suffix = folder.name.removeprefix(first)  # what else the sweep varies
    names = [folder.name, *(f"{other}{suffix}" for other in others)]
    return [Member(Study(folder.parent), name) for name in names]


def main() -> None:
    """Run Hydra's command line; what stops it ends with one message, see `command_line.run`."""
    ReportFailures.study, ReportFailures.sweep = None, False
    run(_launch, _explain, _is_explained)


def _launch() -> None:
    with launchers.ending_with_this():
        _command_line()


@hydra.main(config_path=config.configs_folder(), config_name="train", version_base="1.3")
def _command_line(cfg: DictConfig) -> None:
    folder = Path(HydraConfig.get().runtime.output_dir)
    run_members(cfg, members_of(cfg, folder))


def _is_explained(error: BaseException) -> bool:
    """Whether its message is enough: a sweep's members that failed have logged their tracebacks."""
    study = ReportFailures.study if ReportFailures.sweep else None
    return is_mendable(error) or (study is not None and bool(_unfinished(study.members())))


def _unfinished(members: list[Member]) -> list[Member]:
    return [member for member in members if member.status != "complete"]


def _explain(error: BaseException) -> str:
    """What went wrong; for a sweep that ran, which members did not finish; how to go on."""
    study = ReportFailures.study
    stopped = isinstance(error, KeyboardInterrupt)
    if study is None or not (ReportFailures.sweep or stopped):
        return message(error)
    members = study.members()
    unfinished = [member.explain() for member in _unfinished(members)]
    done = f"{study.path}: {len(members) - len(unfinished)} of {len(members)} complete."
    if stopped:
        again = f"The same command with {ReportFailures.named} goes on from there."
        return "\n  ".join([f"Interrupted. {done}", *unfinished, again])
    reason = message(error)
    if not unfinished:
        return reason
    is_told = reason.partition("\n")[0] in "\n".join(unfinished)
    return "\n  ".join([done, *unfinished]) + ("" if is_told else f"\n{reason}")


@dataclass(frozen=True)
class _Work:
    """What determines members: their config, and who is trained together (seeds; None: alone)."""

    config: dict[str, Any]
    config_hash: str
    together: list[int] | None

    def explain(self) -> dict[str, Any]:
        """The config and, beside its keys, who is trained together, for telling differences."""
        seeds = self.together
        return {**self.config, "together": seeds and f"seeds {seeds[0]} to {seeds[-1]}"}


def _together(cfg: DictConfig) -> list[int] | None:
    return config.seeds(cfg) if "members" in cfg.population else None


def _work(found: dict[str, Any]) -> _Work:
    """What an artefact's record or a manifest says."""
    return _Work(found.get("config", {}), found.get("config_hash", ""), found.get("together"))


def _same(found: _Work, wanted: _Work) -> bool:
    return (found.config_hash, found.together) == (wanted.config_hash, wanted.together)


def _left(members: list[Member], wanted: _Work, overwrite: bool) -> list[Member]:
    """The members that are not complete; if there are none, that is said."""
    left = [member for member in members if not _is_complete(member, wanted, overwrite)]
    if not left:
        for member in members:
            log.info("%s is complete, skipped (%s)", member.name, member.artefact)
    return left


def _is_complete(member: Member, wanted: _Work, overwrite: bool) -> bool:
    """Whether the member has its artefact; UserError if it is another config's."""
    if not member.artefact.exists():
        return False
    found = _work(probe_logits.read_record(member.artefact))
    if _same(found, wanted):
        return True
    if not overwrite:
        raise _refusal(member, found, wanted, "was trained")
    return False


def _begin(
    members: list[Member], left: list[Member], seeds: list[int], wanted: _Work, overwrite: bool
) -> None:
    """Say in each folder what it is for; UserError, before any is written, if it is another's."""
    manifests = [member.read_manifest() for member in members]
    others = [
        (member, _work(manifest))
        for member, manifest in zip(members, manifests, strict=True)
        if manifest is not None
        and not _same(_work(manifest), wanted)
        and _can_go_on(member, manifest)  # else nothing is lost: say, it was refused at once
    ]
    for member, found in others:
        if not overwrite:
            raise _refusal(member, found, wanted, "was begun")
        log.warning("%s has another config: replaced, since overwrite=true", member.name)
    if others:  # members trained together go on together, or not at all
        for member in members:
            member.checkpoint.unlink(missing_ok=True)
            member.joint_checkpoint.unlink(missing_ok=True)
    for member, seed, manifest in zip(members, seeds, manifests, strict=True):
        if member in left:
            earlier = manifest if manifest and _same(_work(manifest), wanted) else {}
            member.write_manifest(
                *(seed, wanted.config, wanted.config_hash, wanted.together),
                earlier.get("references"),
            )
            member.failure.unlink(missing_ok=True)


def _can_go_on(member: Member, manifest: dict[str, Any]) -> bool:
    """Whether there is a checkpoint of what a member's folder was begun for."""
    if manifest.get("together"):
        return member.together()[0].joint_checkpoint.exists()
    return member.checkpoint.exists()


def _refusal(member: Member, found: _Work, wanted: _Work, verb: str) -> UserError:
    """Name the keys that differ."""
    differing = differences(found.explain(), wanted.explain())
    keys = "\n".join(f"  {line}" for line in differing)
    return UserError(
        f"{member.folder} {verb} with another config. What differs (there -> asked for):\n{keys}\n"
        "Use another study=NAME, go back to those values, or replace it with overwrite=true."
    )


def _record_config(cfg: DictConfig, member: Member) -> None:
    """Save Hydra's record and the resolved config's tree in the member's folder.

    Hydra would save its record before it is known whether the member may be touched at all, so
    `hydra.output_subdir` is null and it is saved here.
    """
    hydra_cfg = HydraConfig.get()
    folder = member.folder / ".hydra"
    write_text(folder / "config.yaml", OmegaConf.to_yaml(cfg))
    write_text(folder / "overrides.yaml", OmegaConf.to_yaml(hydra_cfg.overrides.task))
    write_text(folder / "hydra.yaml", OmegaConf.to_yaml(OmegaConf.create({"hydra": hydra_cfg})))
    text = io.StringIO()
    config.print_tree(cfg, Console(file=text, width=100))
    write_text(member.folder / "config_tree.txt", text.getvalue())


def _show_config(cfg: DictConfig) -> None:
    """Print the resolved config's tree, once in a sweep."""
    job = HydraConfig.get().job
    if OmegaConf.is_missing(job, "num") or job.num == 0:
        config.print_tree(cfg, Console(stderr=True))


if __name__ == "__main__":
    main()
