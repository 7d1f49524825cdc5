"""Analyse a study: `python -m chromatic_descent.analyze`, or `chromatic-analyze`.

    python -m chromatic_descent.analyze                 the newest study
    python -m chromatic_descent.analyze study=plain     one by name, or by its path
    python -m chromatic_descent.analyze logits=logits.npy labels=labels.npy     no study at all

Reads the members' probe artefacts, writes `artifacts/embeddings/` and `artifacts/reports/`.
"""

import json
import logging
import shlex
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import hydra
from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from chromatic_descent import __version__, probe_logits
from chromatic_descent.atomic import atomic_path, write_text
from chromatic_descent.command_line import run
from chromatic_descent.config import configs_folder
from chromatic_descent.errors import UserError
from chromatic_descent.probe_logits import ArtefactError, Population
from chromatic_descent.study import Study, find_study

log = logging.getLogger(__name__)

SCHEMA_VERSION = 1  # of analysis.json


def load_study(study: Study) -> tuple[Population, list[str]]:
    """The complete members of a study, stacked, and a line on each that is not complete.

    Raises ArtefactError, naming every file that cannot be used, if there is one.
    """
    missing = [m.explain() for m in study.members() if m.status != "complete"]
    members, broken = [], []
    for member in (m for m in study.members() if m.status == "complete"):
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
    return probe_logits.stack(members), missing


def load_arrays(cfg: DictConfig) -> tuple[Population, Study]:
    """The population that `logits=` and `labels=` name, and where its results go."""
    if cfg.logits is None or cfg.labels is None:
        given, wanted = ("logits", "labels") if cfg.labels is None else ("labels", "logits")
        raise UserError(f"{given}={cfg[given]} needs {wanted}=FILE beside it.")
    if cfg.study is not None:
        raise UserError("Give either study= or logits= and labels=, not both.")
    return (
        probe_logits.from_arrays(cfg.logits, cfg.labels),
        Study(Path(cfg.paths.outputs) / Path(cfg.logits).stem),
    )


def run_analysis(cfg: DictConfig) -> None:
    """Analyse what the config names and write what was found."""
    from chromatic_descent import analysis
    from chromatic_descent.analysis.results import plain
    from chromatic_descent.report import figures, summary

    missing: list[str] = []
    if cfg.logits is not None or cfg.labels is not None:
        population, study = load_arrays(cfg)
    else:
        study = find_study(cfg.study, Path(cfg.paths.multirun))
        study.check()
        population, missing = load_study(study)
    for line in missing:
        log.warning("left out: %s", line)
    options: dict[str, Any] = json.loads(json.dumps(OmegaConf.to_container(cfg, resolve=True)))
    formats = options.pop("figures")
    for key in ("study", "logits", "labels", "paths", "logger"):
        del options[key]
    console = Console()
    with console.status("analysing") as status:
        results = analysis.analyse(
            population,
            cache=study.cache,
            progress=lambda section: status.update(f"analysing: {section}"),
            **options,
        )
        numbers = {
            "schema_version": SCHEMA_VERSION,
            "study": study.name,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "version": __version__,
            "command": shlex.join(["chromatic-analyze", *sys.argv[1:]]),
            "config": options,
            "missing": missing,
            "provenance": _provenance(population),
            **plain(results.results),
        }
        drawn: dict[str, str] = {}  # where the summary finds each
        if formats:
            status.update("drawing")
            for name, figure in figures.figures(results).items():
                folder = study.embeddings if name in figures.OF_EMBEDDINGS else study.reports
                figures.save(figure, folder, name, formats)
                drawn[name] = f"../{folder.name}/{name}.{formats[0]}"
        _write_tables(results, study)
        write_text(study.reports / "analysis.json", json.dumps(numbers, indent=1, allow_nan=False))
        write_text(study.reports / "summary.md", summary.markdown(numbers, drawn))
    if cfg.logger:
        from chromatic_descent.loggers import log_analysis

        log_analysis(study, numbers, [study.reports / path for path in drawn.values()], cfg.logger)
    console.print(summary.table(numbers))
    console.print(f"{study.reports / 'summary.md'}", soft_wrap=True, highlight=False)


def main() -> None:
    """Run Hydra's command line; a user's mistake ends with one message and exit code 1."""
    run(_command_line)


@hydra.main(config_path=configs_folder(), config_name="analyze", version_base="1.3")
def _command_line(cfg: DictConfig) -> None:
    run_analysis(cfg)


def _provenance(population: Population) -> dict[str, Any]:
    """What the members were trained with, merged over members where they agree."""
    records = population.records
    found: dict[str, Any] = {
        "dataset": records[0]["dataset"]["name"],
        "classes": population.classes,
        "images": len(population.labels),
        "probe_hash": records[0]["probe_hash"],
    }
    if trained := [r for r in records if r.get("versions")]:  # here: not plain arrays, not imported
        found |= {
            "config_hashes": sorted({r["config_hash"] for r in trained}),
            "precisions": sorted({r["precision"] for r in trained}),
            "trained_with": trained[0]["versions"],
            "hardware": trained[0]["hardware"],
            "training_seconds": sum(r["wall_time"]["train"] for r in trained),
        }
    if imported := {r["member"]: r["imported"] for r in records if "imported" in r}:
        found["imported"] = imported
    return found


def _write_tables(results: Any, study: Study) -> None:
    """Every array in one file, every table in a CSV of its own."""
    import numpy as np
    import pandas as pd

    from chromatic_descent.analysis.results import leaves

    def narrow(array: Any) -> Any:
        largest = np.finfo(np.float32).max
        fits = array.dtype == np.float64 and not (np.abs(array) > largest).any()
        return array.astype(np.float32) if fits else array

    arrays = {path: narrow(array) for path, array in leaves(results.results, np.ndarray)}
    with atomic_path(study.embeddings / "arrays.npz") as temporary:
        np.savez(temporary, members=np.array(results.population.names), **arrays)
    for path, frame in leaves(results.results, pd.DataFrame):
        with atomic_path(study.reports / f"{path.replace('/', '-')}.csv") as temporary:
            frame.to_csv(temporary, index=False)


if __name__ == "__main__":
    main()
