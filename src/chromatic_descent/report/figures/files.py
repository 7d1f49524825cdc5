"""Figures as files, each written whole or not at all."""

import logging
from collections.abc import Sequence
from pathlib import Path

from matplotlib import style
from matplotlib.figure import Figure

from chromatic_descent.analysis import Analysis
from chromatic_descent.errors import UserError
from chromatic_descent.files.atomic import atomic_path
from chromatic_descent.report.figures import kinds
from chromatic_descent.report.figures.panels import STYLE


def figures(analysis: Analysis) -> dict[str, Figure]:
    """Every figure that the analysis has results for, by name."""
    shown = [kind for kind in kinds() if not kind.missing(analysis)]
    return {kind.name: kind.draw(analysis) for kind in shown if kind.draw}


def save_all(
    analysis: Analysis, folders: dict[str, Path], formats: Sequence[str]
) -> dict[str, Path]:
    """Save all figures that have results, and return the file of each in the first format."""
    folder_of = {kind.name: folders[kind.folder] for kind in kinds()}
    drawn = figures(analysis) if formats else {}
    for name, figure in drawn.items():
        save(figure, folder_of[name], name, formats)
    return {name: folder_of[name] / f"{name}.{formats[0]}" for name in drawn}


def save(figure: Figure, folder: Path, name: str, formats: Sequence[str] = ("png", "pdf")) -> None:
    """Save a figure in each format, each file whole or not at all."""
    if unknown := sorted(set(formats) - figure.canvas.get_supported_filetypes().keys()):
        raise UserError(f"figures={unknown}: expected formats such as png, pdf or svg.")
    # fontTools reports every glyph that it embeds, at a level that Hydra shows.
    logging.getLogger("fontTools").setLevel(logging.WARNING)
    for ending in formats:
        with atomic_path(folder / f"{name}.{ending}") as temporary, style.context(STYLE):
            figure.savefig(temporary, format=ending)
        figure.set_layout_engine("none")  # it is laid out now, for the other formats too
