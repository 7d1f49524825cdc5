"""Analyse a study: `python -m chromatic_descent.analyze`, or `chromatic-analyze`.

    python -m chromatic_descent.analyze                 the newest study
    python -m chromatic_descent.analyze study=plain     one by name, or by its path

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


def analyse_study(cfg: DictConfig) -> None:
    """Analyse the study that the config names and write what was found into it."""
    from chromatic_descent import analysis
    from chromatic_descent.report import figures, summary

    study = find_study(cfg.study, Path(cfg.paths.multirun))
    population, missing = load_study(study)
    for line in missing:
        log.warning("left out: %s", line)
    options: dict[str, Any] = json.loads(json.dumps(OmegaConf.to_container(cfg, resolve=True)))
    del options["study"], options["paths"]
    results = analysis.analyse(population, **options)
    numbers = {
        "schema_version": SCHEMA_VERSION,
        "study": study.name,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "version": __version__,
        "command": shlex.join(["chromatic-analyze", *sys.argv[1:]]),
        "config": options,
        "missing": missing,
        **_provenance(population),
        **analysis.numbers(results),
    }
    for name, figure in figures.figures(results).items():
        figures.save(figure, study.reports if name == "ensemble" else study.embeddings, name)
    _write_tables(results, study)
    write_text(study.reports / "analysis.json", json.dumps(numbers, indent=1, allow_nan=False))
    write_text(study.reports / "summary.md", summary.markdown(numbers))
    console = Console()
    console.print(summary.table(numbers))
    console.print(f"{study.reports / 'summary.md'}", soft_wrap=True, highlight=False)


def main() -> None:
    """Run Hydra's command line; a user's mistake ends with one message and exit code 1."""
    run(_command_line)


@hydra.main(config_path=configs_folder(), config_name="analyze", version_base="1.3")
def _command_line(cfg: DictConfig) -> None:
    analyse_study(cfg)


def _provenance(population: Population) -> dict[str, Any]:
    """What the members were trained with, merged over members where they agree."""
    records = population.records
    return {
        "dataset": records[0]["dataset"]["name"],
        "config_hashes": sorted({r["config_hash"] for r in records}),
        "precisions": sorted({r["precision"] for r in records}),
        "trained_with": records[0]["versions"],
        "hardware": records[0]["hardware"],
        "training_seconds": sum(r["wall_time"]["train"] for r in records),
    }


def _write_tables(results: Any, study: Study) -> None:
    """Arrays and tidy tables: distances, layouts, members, ensembles."""
    import numpy as np
    import pandas as pd

    tables = {study.reports / "members.csv": results.members}
    tables[study.reports / "ensemble.csv"] = results.curves
    members = results.members[["member", "seed"]]
    layouts = [
        members.assign(distance=name, layout=layout, x=xy[:, 0], y=xy[:, 1])
        for name, view in results.maps.items()
        for layout, xy in {"mds": view.mds.coordinates, **view.layouts}.items()
    ]
    if layouts:
        tables[study.embeddings / "layouts.csv"] = pd.concat(layouts, ignore_index=True)
        with atomic_path(study.embeddings / "distances.npz") as temporary:
            squared = {name: view.squared for name, view in results.maps.items()}
            np.savez(temporary, members=np.array(results.population.names), **squared)
    for path, frame in tables.items():
        with atomic_path(path) as temporary:
            frame.to_csv(temporary, index=False)


if __name__ == "__main__":
    main()
