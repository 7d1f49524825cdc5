"""Analyse a study: `python -m chromatic_descent.analyze`, or `chromatic-analyze`.

    python -m chromatic_descent.analyze                 the newest study
    python -m chromatic_descent.analyze study=plain     one by name, or by its path
    python -m chromatic_descent.analyze 'studies=[plain,repelled]'              several, compared
    python -m chromatic_descent.analyze logits=logits.npy labels=labels.npy     no study at all

Reads the members' probe artefacts, writes `artifacts/embeddings/` and `artifacts/reports/`.
"""

import logging
import shlex
import sys
import webbrowser
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import NoneType
from typing import TYPE_CHECKING, Any, cast

import hydra
from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from chromatic_descent import __version__
from chromatic_descent.config import configs_folder
from chromatic_descent.errors import UserError
from chromatic_descent.files.atomic import write_text
from chromatic_descent.launch.command_line import run
from chromatic_descent.study.population import Subject, find_subject

if TYPE_CHECKING:
    from chromatic_descent.analysis import Analysis
    from chromatic_descent.analysis.output import Run

log = logging.getLogger(__name__)

_NAMES = ("study", "logits", "labels", "images", "colours", "baseline")
_LISTS = ("distances", "maps", "combiners", "figures")


def run_analysis(cfg: DictConfig) -> None:
    """Analyse the members that the config names, and write the results."""
    from chromatic_descent import analysis
    from chromatic_descent.analysis import output
    from chromatic_descent.analysis.colours import with_kept_colours
    from chromatic_descent.report import summary
    from chromatic_descent.report.figures.files import save_all

    config, console = _checked(cfg), Console()
    with console.status("reading the members"):
        subject = find_subject(
            **{key: config[key] for key in ("study", "studies", "logits", "labels")},
            multirun=Path(config["paths"]["multirun"]),
            outputs=Path(config["paths"]["outputs"]),
        )
    for line in subject.missing:
        log.warning("left out: %s", line)
    options = _options(config, subject)
    study, sections = subject.study, list(analysis.SECTIONS)
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    shown = console.is_terminal
    with Progress(*columns, console=console, transient=True, disable=not shown) as bar:
        task = bar.add_task("analysing", total=len(sections) + 1)

        def show(section: str) -> None:
            done = sections.index(section)
            bar.update(task, description=f"analysing: {section}", completed=done)

        result = analysis.analyse(subject.population, cache=study.cache, progress=show, **options)
        members, distances = result.population, result.distances
        colours = with_kept_colours(members, distances, result.colours, study.embeddings)
        result = replace(result, colours=colours)
        this_run = output.Run(
            study=study.name,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            version=__version__,
            command=shlex.join(["chromatic-analyze", *sys.argv[1:]]),
            config=options,
            missing=subject.missing,
        )
        bar.update(task, description="drawing", completed=len(sections))
        folders = {"embeddings": study.embeddings, "reports": study.reports}
        drawn = save_all(result, folders, config["figures"])
        output.write(result, this_run, study)
        links = {name: f"../{path.parent.name}/{path.name}" for name, path in drawn.items()}
        write_text(study.reports / "summary.md", summary.markdown(result, this_run, links))
        bar.update(task, description="writing the report", completed=len(sections))
        report = study.reports / "report.html"
        write_text(report, _page(result, this_run, subject, config))
    if summary.shows_colours(console):
        console.print(summary.chromatic_map(result) or "")
    if cfg.logger:
        from chromatic_descent.training.loggers import log_analysis

        content = output.as_json(result, this_run)
        log_analysis(study, content, list(drawn.values()), cfg.logger)
    console.print(summary.table(result, study.name))
    console.print(f"{report}", soft_wrap=True, highlight=False)
    if config["open"]:
        _open(report)


def main() -> None:
    """Run Hydra's command line; a user's mistake ends with one message and exit code 1."""
    run(_command_line)


@hydra.main(config_path=configs_folder(), config_name="analyze", version_base="1.3")
def _command_line(cfg: DictConfig) -> None:
    run_analysis(cfg)


def _checked(cfg: DictConfig) -> dict[str, Any]:
    """The config as plain data, each name and list of names checked; 2026 is a name too."""
    config = cast("dict[str, Any]", OmegaConf.to_container(cfg, resolve=True))
    for key in _NAMES:
        value = config[key]
        if isinstance(value, bool) or not isinstance(value, (str, int, float, NoneType)):
            raise UserError(f"{key}={value}: expected a name or a path.")
        config[key] = None if value is None else str(value)
    for key in _LISTS if config["studies"] is None else (*_LISTS, "studies"):
        value = config[key]
        if not isinstance(value, list) or not all(isinstance(v, (str, int, float)) for v in value):
            raise UserError(f"{key}={value}: expected a list, '{key}=[one,other]'.")
        config[key] = [str(name) for name in value]
    return config


def _options(config: dict[str, Any], subject: Subject) -> dict[str, Any]:
    """The options of the analysis, checked now rather than in minutes."""
    from chromatic_descent.analysis import OPTIONS
    from chromatic_descent.analysis.configurations import first_ensemble
    from chromatic_descent.analysis.sections import check_options
    from chromatic_descent.report import page

    options = {key: value for key, value in config.items() if key in OPTIONS}
    check_options(options, OPTIONS)
    if config["images"] is not None:
        page.pictures_from_file(config["images"], [], len(subject.population.labels))
    if config["studies"] is not None and options["baseline"] is None:
        options["baseline"] = first_ensemble(subject.population)
    return options


def _page(analysis: "Analysis", this_run: "Run", subject: Subject, config: dict[str, Any]) -> str:
    """The report as HTML, with the probe's pictures where they can be loaded."""
    from chromatic_descent.report import page

    population, images = subject.population, page.shown_images(analysis)
    pictures = (
        page.pictures_from_dataset(population, config["paths"]["data"], images)
        if config["images"] is None
        else page.pictures_from_file(config["images"], images, len(population.labels))
    )
    commands = [line for study in subject.sources for line in page.training_commands(study)]
    return page.render(analysis, this_run, pictures, commands)


def _open(page: Path) -> None:
    """Show the page in the user's browser, or say why not."""
    if not page.is_file():
        log.warning("open=true: there is no page %s", page)
    elif not webbrowser.open(page.resolve().as_uri()):
        log.warning("open=true: no browser was found, open %s yourself", page)


if __name__ == "__main__":
    main()
