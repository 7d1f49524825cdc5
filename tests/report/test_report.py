import subprocess
import sys

import matplotlib.image
import numpy as np
import pytest
from matplotlib.colors import to_hex
from rich.console import Console

from chromatic_descent import analysis, report
from chromatic_descent.analysis.results import plain
from chromatic_descent.report import coloured, colours_of, configurations, figures, maps, summary
from tests.analysis.test_groups import make_trial
from tests.makers import QUICK, make_population


def make_numbers(analysed, missing=()):
    return {
        "study": "toy",
        "created": "2026-01-01",
        "version": "0",
        "command": "chromatic-analyze",
        "missing": list(missing),
        "provenance": {
            "dataset": "toy data",
            "classes": list("abcd"),
            "images": 60,
            "probe_hash": "p" * 64,
            "config_hashes": ["c" * 64],
            "precisions": ["32-true"],
            "trained_with": {"torch": "2"},
            "hardware": {"device": "toy"},
            "training_seconds": 12.0,
        },
        **plain(coloured(analysed).results),
    }


def analyse(members, **options):
    return analysis.analyse(make_population(members, epochs=3), **{**QUICK, **options})


@pytest.mark.parametrize("members", [1, 2, 3, 6, pytest.param(70, marks=pytest.mark.slow)])
def test_every_figure_is_drawn_and_saved(members, tmp_path):
    made = figures.figures(analyse(members, maps=["logit_mse", "hellinger"], tsne=2))
    wanted = {"ensemble", "reliability"}
    if members > 1:
        wanted |= {
            "chromatic_map",
            "map",
            "heatmap",
            "spectrum",
            "inpca",
            "dimension",
            "trajectories",
        }
    if members > 3:
        wanted |= {"tsne", "nulls", "mantel"}
    if members > 5:
        wanted |= {"drivers", "interventions"}
    assert wanted <= set(made)
    for name, figure in made.items():
        figures.save(figure, tmp_path, name)
        pixels = matplotlib.image.imread(tmp_path / f"{name}.png")
        assert pixels.std() > 0.02  # something was drawn
        assert (tmp_path / f"{name}.pdf").read_bytes().startswith(b"%PDF")
    assert len(list(tmp_path.iterdir())) == 2 * len(made)


def test_a_member_has_one_colour_in_every_figure():
    analysed = analyse(12, maps=["logit_mse", "hellinger"], tsne=1)
    colours = colours_of(analysed)
    made = figures.figures(analysed)
    for name in ("chromatic_map", "map", "inpca", "tsne", "trajectories"):
        for axis in made[name].axes:
            dots = [c for c in axis.collections if len(c.get_offsets()) < 66]  # not of the pairs
            if dots:
                drawn = [to_hex(c) for dot in dots for c in dot.get_facecolors()]
                assert sorted(drawn) == sorted(colours.hex), name
    assert [to_hex(line.get_color()) for line in made["trajectories"].axes[1].lines] == colours.hex
    strips = made["heatmap"].axes[0].images[1].get_array()
    assert sorted(map(to_hex, strips[:, 0])) == sorted(colours.hex)
    safe = maps.chromatic_map(analysed, safe=True).axes[0].collections
    assert {to_hex(c) for dot in safe for c in dot.get_facecolors()} == set(colours.safe)


def test_figures_are_named_by_the_package_and_imported_when_asked_for():
    quick = "import sys, chromatic_descent.report as r; r.colours_of; print('matplotlib' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", quick], text=True).strip() == "False"
    assert all(callable(getattr(report, name)) for name in report.__all__)
    assert report.chromatic_map is maps.chromatic_map
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = report.nonsense


def test_ellipses_hold_most_of_each_cloud():
    analysed = analyse(5, bootstrap=400)
    ellipses = analysed.results["maps"]["hellinger"]["ellipses"]
    assert (ellipses["half_axis_1"] >= ellipses["half_axis_2"]).all()
    figure = maps.distance_maps(analysed)
    drawn = figure.axes[0].patches[0]
    row = analysed.results["maps"]["logit_mse"]["ellipses"].iloc[0]
    assert drawn.get_center() == (row.x, row.y)
    assert drawn.width == 2 * row.half_axis_1
    assert drawn.angle == pytest.approx(np.degrees(row.angle))


def test_the_summary_says_what_is_missing_and_escapes_its_tables():
    analysed = analyse(6)
    analysed.results["members"]["table"].loc[0, "member"] = "SEED|0000"
    text = summary.markdown(make_numbers(analysed, missing=["SEED_0009 failed: out of luck"]))
    assert "6 members on a probe of 60 images of toy data with 4 classes" in text
    assert "SEED_0009 failed: out of luck" in text
    assert "SEED\\|0000" in text
    assert "0.4000" in text  # 2 / (6 - 1): what equidistant members would give
    for title in ("Is the structure real?", "Dimension", "What drives the axes?", "Ensembles"):
        assert f"## {title}" in text
    assert "independent errors" in text


def test_the_summary_says_what_was_not_computed_and_why():
    three = summary.markdown(make_numbers(analyse(3)))
    assert "- test hellinger, independent_errors:" in three
    assert "4 members" in three
    one = summary.markdown(make_numbers(analyse(1)))
    assert "One member has no distances" in one
    six = analyse(6, tsne=2)
    assert "t-SNE and UMAP layouts mean nothing" in summary.markdown(make_numbers(six))


def test_the_summary_shows_the_figures_that_were_drawn():
    numbers = make_numbers(analyse(5))
    shown = summary.markdown(numbers, {"map": "../embeddings/map.png"})
    assert "![map](../embeddings/map.png)" in shown
    assert "![" not in shown.replace("![map]", "")
    assert "![" not in summary.markdown(numbers)


def test_figures_of_what_was_not_computed_are_left_out():
    one_image = analyse(6)
    one_image.results["ensembles"]["reliability"] = {"not_computed": "one image"}
    drawn = figures.figures(one_image)
    assert "reliability" not in drawn
    assert "ensemble" in drawn


@pytest.mark.parametrize("seeds", [1, 2, 5])
def test_configurations_are_drawn_and_told(seeds, tmp_path):
    analysed = analysis.analyse(make_trial(seeds), **{**QUICK, "maps": ["hellinger"]})
    made = figures.figures(analysed)
    assert ("configurations" in made) == (seeds > 1)
    text = summary.markdown(make_numbers(analysed))
    assert "## Configurations" in text
    if seeds == 1:
        assert "no configuration has two members" in text
        return
    for name, figure in made.items():
        figures.save(figure, tmp_path, name, ["png"])
    points = made["configurations"].axes[0].containers
    assert len(points) == 4
    assert ("differences" in made) == (seeds > 2)
    told = [text.get_text().split(" (n")[0] for text in made["configurations"].legends[0].texts]
    assert told == ["default: baseline", "strength", "model.widths_32"]
    assert [len(bars[2]) for bars in points] == [2 if seeds > 2 else 0] * 4
    assert "the baseline is `default`" in text
    if seeds > 2:
        assert "| repulsion.strength_1 | ensemble calibrated nll | +" in text
        assert "On other data:" in text
    else:
        assert "- repulsion.strength_1, differences: shares 2 seeds with default" in text


def test_a_strength_that_is_no_number_is_drawn():
    trial = make_trial(2)
    for record in trial.records:
        if "strength_0.1" in record["member"]:
            record["config"] = {**record["config"], "repulsion": {"strength": ["strong"]}}
    analysed = analysis.analyse(trial, **{**QUICK, "maps": ["hellinger"]})
    assert configurations.diversity_and_gain(analysed).axes


def test_names_are_drawn_as_they_are(tmp_path):
    """matplotlib would take dollars for mathematics, and leave out what begins with `_`."""
    trial = make_trial(2)
    for record in trial.records:
        record["dataset"] = {**record["dataset"], "classes": ["$\\no{$", "$", "_b", "d"]}
        record["member"] = record["member"].replace("-", "-_$\\no{$-")
    analysed = analysis.analyse(trial, **{**QUICK, "maps": ["hellinger"]})
    made = figures.figures(analysed)
    for name, figure in made.items():
        figures.save(figure, tmp_path, name, ["png"])
    labels = [text.get_text() for text in made["configurations"].legends[0].texts]
    assert any(label.startswith(" _$\\no{$") for label in labels)


def test_the_terminal_table_holds_each_map():
    console = Console(record=True, width=120)
    console.print(summary.table(make_numbers(analyse(5))))
    text = console.export_text()
    for part in ("toy: 5 members", "logit_mse_matched", "hellinger", "top-2 share"):
        assert part in text
