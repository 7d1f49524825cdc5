"""Every figure of an analysis; each is a function of results that returns a matplotlib Figure.

A figure of what was not computed is not drawn: `figures` leaves it out.
"""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from matplotlib import style
from matplotlib.figure import Figure

from chromatic_descent.analysis import Analysis
from chromatic_descent.analysis.results import computed
from chromatic_descent.errors import UserError
from chromatic_descent.files.atomic import atomic_path
from chromatic_descent.report import configurations, evidence, maps
from chromatic_descent.report.panels import NOTHING, STYLE, present, tested_nulls, views_of

OF_EMBEDDINGS = ("chromatic_map", "map", "heatmap", "spectrum", "inpca", "tsne", "umap")


def figures(analysis: Analysis) -> dict[str, Figure]:
    """Every figure that the analysis has results for, by file name."""
    results = analysis.results
    made: dict[str, Figure] = {}

    def draw(name: str, figure: Callable[[Analysis], Figure], *needed: Any) -> None:
        if needed and all(computed(result) and len(result) for result in needed):
            made[name] = figure(analysis)

    draw("chromatic_map", maps.chromatic_map, views_of(analysis))
    draw("map", maps.distance_maps, views_of(analysis))
    draw("heatmap", maps.heatmaps, views_of(analysis))
    draw("spectrum", evidence.spectra, views_of(analysis))
    for method in ("tsne", "umap"):
        placed = [v["neighbours"].get(method, NOTHING) for v in views_of(analysis).values()]
        if any(computed(found) for found in placed):
            made[method] = maps.neighbour_layouts(analysis, method)
    draw("inpca", maps.inpca, results["inpca"])
    draw("mantel", maps.mantel, results["distances"].get("mantel", NOTHING))
    draw("nulls", evidence.nulls, tested_nulls(analysis))
    draw("dimension", evidence.dimension, present(results["dimension"]))
    draw("drivers", evidence.drivers, present(results["drivers"]))
    draw("interventions", evidence.interventions, present(results["drivers"]))
    draw("ensemble", evidence.ensemble_curves, results["ensembles"]["curves"])
    draw("reliability", evidence.reliability, results["ensembles"]["reliability"])
    draw("configurations", configurations.diversity_and_gain, results["groups"])
    draw("differences", configurations.differences, results["groups"].get("differences", NOTHING))
    draw("trajectories", maps.trajectories, results["trajectories"])
    return made


def save(figure: Figure, folder: Path, name: str, formats: Sequence[str] = ("png", "pdf")) -> None:
    """Write a figure in each format, each file whole or not at all."""
    if unknown := sorted(set(formats) - figure.canvas.get_supported_filetypes().keys()):
        raise UserError(f"figures={unknown}: expected formats such as png, pdf or svg.")
    # It reports on every glyph that it embeds, at a level that Hydra shows.
    logging.getLogger("fontTools").setLevel(logging.WARNING)
    for ending in formats:
        with atomic_path(folder / f"{name}.{ending}") as temporary, style.context(STYLE):
            figure.savefig(temporary, format=ending)
        figure.set_layout_engine("none")  # it is laid out now, for the other formats too
