"""Train members: `python -m chromatic_descent.train`, or `chromatic-train`.

    python -m chromatic_descent.train seed=3 experiment=fast
    python -m chromatic_descent.train -m 'seed=range(12)' study=plain trainer.accelerator=auto

torch and Lightning are imported only once a member is to be trained: help, tab completion and
skipping complete members stay quick.
"""

import io
import logging
import traceback
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from chromatic_descent import config, probe_logits
from chromatic_descent.atomic import write_text
from chromatic_descent.command_line import message, run
from chromatic_descent.errors import UserError
from chromatic_descent.study import Member, Study, claim
from chromatic_descent.sweep import ReportFailures

log = logging.getLogger(__name__)


def run_member(cfg: DictConfig, member: Member) -> None:
    """Train one member unless it is complete: skip, continue, start, or refuse.

    Raises UserError if the member's folder holds another config's work and `overwrite` is false,
    and MemberBusyError if another process holds the member.
    """
    seed = config.check_seed(cfg.seed)
    identity = config.identity(cfg)
    wanted = config.config_hash(identity)
    with claim(member):
        if member.artefact.exists():
            record = probe_logits.read_record(member.artefact)
            if record["config_hash"] == wanted:
                log.info("%s is complete, skipped (%s)", member.name, member.artefact)
                return
            _refuse_unless(cfg.overwrite, member, record["config"], identity, "was trained")
        manifest = member.read_manifest()
        if manifest is not None and manifest.get("config_hash") != wanted:
            _refuse_unless(cfg.overwrite, member, manifest.get("config", {}), identity, "was begun")
            member.checkpoint.unlink(missing_ok=True)
            manifest = None
        member.write_manifest(seed, identity, wanted, (manifest or {}).get("references"))
        member.failure.unlink(missing_ok=True)
        try:
            _record_config(cfg, member)
            train = config.instantiate(cfg.population)
            train(cfg, member, identity)
        except Exception as error:
            reason = str(error) or type(error).__name__
            write_text(member.failure, f"{reason}\n\n{traceback.format_exc()}")
            raise


def main() -> None:
    """Run Hydra's command line; a user's mistake ends with one message and exit code 1."""
    ReportFailures.sweep = None
    run(_command_line, _explain)


@hydra.main(config_path=config.configs_folder(), config_name="train", version_base="1.3")
def _command_line(cfg: DictConfig) -> None:
    folder = Path(HydraConfig.get().runtime.output_dir)
    run_member(cfg, Member(Study(folder.parent), folder.name))


def _explain(error: Exception) -> str:
    """What went wrong; for a sweep that ran, which members did not finish."""
    study = ReportFailures.sweep
    members = study.members() if study is not None else []
    unfinished = [member.explain() for member in members if member.status != "complete"]
    if study is None or not unfinished:
        return message(error)
    done = len(members) - len(unfinished)
    return "\n  ".join([f"{study.path}: {done} of {len(members)} complete.", *unfinished])


def _refuse_unless(
    overwrite: bool, member: Member, found: dict[str, object], wanted: dict[str, object], verb: str
) -> None:
    """Raise UserError naming the keys that differ, unless the user asked to overwrite."""
    if overwrite:
        log.warning("%s %s with another config: replaced, since overwrite=true", member.name, verb)
        return
    keys = "\n".join(f"  {line}" for line in config.differences(found, wanted))
    raise UserError(
        f"{member.folder} {verb} with another config. What differs (there -> asked for):\n{keys}\n"
        "Use another study=NAME, go back to those values, or replace it with overwrite=true."
    )


def _record_config(cfg: DictConfig, member: Member) -> None:
    """Save Hydra's record and the resolved config's tree in the member's folder; print the first.

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
    if OmegaConf.is_missing(hydra_cfg.job, "num") or hydra_cfg.job.num == 0:
        config.print_tree(cfg, Console(stderr=True))


if __name__ == "__main__":
    main()
