"""Analyse a study: `python -m chromatic_descent.analyze`, or `chromatic-analyze`.

    python -m chromatic_descent.analyze                 the newest study
    python -m chromatic_descent.analyze study=plain     one by name, or by its path
    python -m chromatic_descent.analyze 'studies=[plain,repelled]'              several, compared
    python -m chromatic_descent.analyze logits=logits.npy labels=labels.npy     no study at all

Reads the members' probe artefacts, writes `artifacts/embeddings/` and `artifacts/reports/`.
"""

import json
import logging
import shlex
import sys
import webbrowser
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import hydra
from omegaconf import DictConfig, ListConfig, OmegaConf
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from chromatic_descent import __version__, probe_logits
from chromatic_descent.config import configs_folder
from chromatic_descent.errors import UserError
from chromatic_descent.files.atomic import atomic_path, write_text
from chromatic_descent.launch.command_line import run
from chromatic_descent.probe_logits import ArtefactError, Population, ProbeLogits
from chromatic_descent.study import Study, find_study

log = logging.getLogger(__name__)


def load_study(study: Study) -> tuple[Population, list[str]]:
    """The complete members of a study, stacked, and a line on each that is not complete.

    Raises ArtefactError, naming every file that cannot be used, if there is one.
    """
    members, missing = _complete_members(study)
    return probe_logits.stack(members), missing


def load_studies(studies: Sequence[Study]) -> tuple[Population, list[str]]:
    """The members of several studies as one population, and a line on each that is not complete.

    A member is named `SEED_0007-<study>`, after its suffix if it has one, and its config says its
    study: each study's configurations are held against those of the others.

    Raises UserError if there are fewer than two, two share a name, or their probes differ.
    """
    called = [study.name for study in studies]
    if len(set(called)) < max(2, len(called)):
        raise UserError(f"studies={called}: expected two or more, with different names.")
    members, missing, probes = [], [], {}
    for study in studies:
        found, absent = _complete_members(study)
        missing += [f"{study.name}, {line}" for line in absent]
        probes[study.name] = probe_logits.stack(found).records[0]["probe_hash"]
        for member in found:
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
    return members, missing


def load_arrays(cfg: DictConfig) -> tuple[Population, Study]:
    """The population that `logits=` and `labels=` name, and where its results go."""
    if cfg.logits is None or cfg.labels is None:
        given, wanted = ("logits", "labels") if cfg.labels is None else ("labels", "logits")
        raise UserError(f"{given}={cfg[given]} needs {wanted}=FILE beside it.")
    return (
        probe_logits.from_arrays(cfg.logits, cfg.labels),
        Study(Path(cfg.paths.outputs) / Path(cfg.logits).stem),
    )


def load(cfg: DictConfig) -> tuple[Population, list[str], Study, list[Study]]:
    """The population that the config names, what is missing from it, where its results go.

    And the studies that it is from, none for plain arrays.
    """
    arrays = cfg.logits is not None or cfg.labels is not None
    given = {"study=": cfg.study, "studies=": cfg.studies, "logits= and labels=": arrays or None}
    named = [key for key, value in given.items() if value is not None]
    if len(named) > 1:
        raise UserError(f"Give either {' or '.join(named)}, not both.")
    if arrays:
        population, study = load_arrays(cfg)
        return population, [], study, []
    root = Path(cfg.paths.multirun)
    if cfg.studies is None:
        study = find_study(cfg.study, root)
        study.check()
        return *load_study(study), study, [study]
    studies = [find_study(str(name), root) for name in cfg.studies]
    together = Study(Path(cfg.paths.outputs) / "+".join(study.name for study in studies))
    return *load_studies(studies), together, studies


def run_analysis(cfg: DictConfig) -> None:
    """Analyse what the config names and write what was found."""
    from chromatic_descent import analysis
    from chromatic_descent.analysis.groups import group_members
    from chromatic_descent.analysis.numbers import SCHEMA_VERSION
    from chromatic_descent.analysis.results import plain
    from chromatic_descent.report import colour, figures, page, summary, terminal

    _check_kinds(cfg)
    console = Console()
    with console.status("reading the members"):
        population, missing, study, sources = load(cfg)
    for line in missing:
        log.warning("left out: %s", line)
    options: dict[str, Any] = json.loads(json.dumps(OmegaConf.to_container(cfg, resolve=True)))
    formats, distance, opens = (options.pop(key) for key in ("figures", "colours", "open"))
    if distance is not None and distance not in options["maps"]:  # said now, not in minutes
        raise UserError(f"colours={distance}: expected one of maps, {', '.join(options['maps'])}.")
    if cfg.images is not None:
        page.pictures_from_file(cfg.images, [], len(population.labels))
    for key in ("study", "studies", "logits", "labels", "images", "paths", "logger"):
        del options[key]
    if cfg.studies is not None and options["baseline"] is None:
        sizes = {name: len(who) for name, who in group_members(population).items()}
        options["baseline"] = next((name for name, size in sizes.items() if size > 1), None)
    with _bar(console) as bar:
        sections = list(analysis.SECTIONS)
        task = bar.add_task("analysing", total=len(sections) + 1)
        results = analysis.analyse(
            population,
            cache=study.cache,
            progress=lambda section: bar.update(
                task, description=f"analysing: {section}", completed=sections.index(section)
            ),
            **options,
        )
        results = colour.coloured(results, distance, kept=study.embeddings)
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
            bar.update(task, description="drawing", completed=len(sections))
            for name, figure in figures.figures(results).items():
                folder = study.embeddings if name in figures.OF_EMBEDDINGS else study.reports
                figures.save(figure, folder, name, formats)
                drawn[name] = f"../{folder.name}/{name}.{formats[0]}"
        _write_tables(results, study)
        write_text(study.reports / "analysis.json", json.dumps(numbers, indent=1, allow_nan=False))
        write_text(study.reports / "summary.md", summary.markdown(numbers, drawn))
        bar.update(task, description="writing the report", completed=len(sections))
        report = study.reports / "report.html"
        write_text(report, _page(numbers, results, sources, cfg))
    if terminal.shows_colours(console):
        console.print(terminal.chromatic_map(numbers) or "")
    if cfg.logger:
        from chromatic_descent.training.loggers import log_analysis

        log_analysis(study, numbers, [study.reports / path for path in drawn.values()], cfg.logger)
    console.print(summary.table(numbers))
    console.print(f"{report}", soft_wrap=True, highlight=False)
    if opens:
        _open(report)


def _check_kinds(cfg: DictConfig) -> None:
    """Raise UserError for an option that is no text, or no list of texts, where one is expected.

    A number is a text where a name is expected: study=2026.
    """
    for key in ("study", "logits", "labels", "images", "colours", "baseline"):
        if cfg[key] is not None:
            if isinstance(cfg[key], bool) or not isinstance(cfg[key], (str, int, float)):
                raise UserError(f"{key}={cfg[key]}: expected a name or a path.")
            cfg[key] = str(cfg[key])
    for key in ("studies", "distances", "maps", "combiners", "figures"):
        listed = isinstance(cfg[key], ListConfig)
        if not (listed and all(isinstance(each, (str, int, float)) for each in cfg[key])) and not (
            key == "studies" and cfg[key] is None
        ):
            raise UserError(f"{key}={cfg[key]}: expected a list, '{key}=[one,other]'.")
    if not cfg.combiners:
        raise UserError("combiners=[]: expected one or more, such as combiners=[mean_probability].")


def main() -> None:
    """Run Hydra's command line; a user's mistake ends with one message and exit code 1."""
    run(_command_line)


@hydra.main(config_path=configs_folder(), config_name="analyze", version_base="1.3")
def _command_line(cfg: DictConfig) -> None:
    run_analysis(cfg)


def _bar(console: Console) -> Progress:
    """What is being done, on a terminal; nothing elsewhere."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


def _open(page: Path) -> None:
    """Show the page in the user's browser, or say why not."""
    if not page.is_file():
        log.warning("open=true: there is no page %s", page)
    elif not webbrowser.open(page.resolve().as_uri()):
        log.warning("open=true: no browser was found, open %s yourself", page)


def _page(numbers: dict[str, Any], results: Any, studies: Sequence[Study], cfg: DictConfig) -> str:
    """The report as HTML, with the probe's pictures where they can be had."""
    from chromatic_descent.report import page

    population = results.population
    places = page.picture_places(results)
    pictures = (
        page.pictures_from_dataset(population, cfg.paths.data, places)
        if cfg.images is None
        else page.pictures_from_file(cfg.images, places, len(population.labels))
    )
    commands = [line for study in studies for line in page.training_commands(study)]
    return page.render(numbers, results, pictures, commands)


def _provenance(population: Population) -> dict[str, Any]:
    """What the members were trained with, merged over members where they agree."""
    from chromatic_descent.analysis.groups import is_repelled

    records = population.records
    found: dict[str, Any] = {
        "dataset": records[0]["dataset"]["name"],
        "classes": population.classes,
        "images": len(population.labels),
        "probe_hash": records[0]["probe_hash"],
        "repelled": sum(is_repelled(r["config"]) for r in records),
    }
    if trained := [r for r in records if r.get("versions")]:  # here: not plain arrays, not imported
        found |= {
            "config_hashes": sorted({r["config_hash"] for r in trained}),
            "precisions": sorted({r["precision"] for r in trained}),
            "trained_with": trained[0]["versions"],
            "hardware": trained[0]["hardware"],
            "training_seconds": sum(r["wall_time"].get("train", 0) for r in trained),
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
