import subprocess
import sys
from dataclasses import replace

import matplotlib.image
import numpy as np
import pytest
from matplotlib.colors import to_hex

from chromatic_descent import analysis, report
from chromatic_descent.analysis import NotComputed
from chromatic_descent.report import figures, page, summary
from chromatic_descent.report.figures import files
from chromatic_descent.report.figures.chromatic_map import chromatic_map
from chromatic_descent.report.figures.distance_maps import distance_maps
from chromatic_descent.report.figures.diversity_and_gain import diversity_and_gain
from chromatic_descent.report.figures.kind import Interactive
from chromatic_descent.report.summary.sections import on_the_page
from tests.makers import QUICK, make_trial
from tests.report.cases import as_plotly, draw_planted, make_run, plant_figure, quickly_analysed


@pytest.mark.parametrize("members", [1, 2, 3, 6, pytest.param(70, marks=pytest.mark.slow)])
def test_every_figure_is_drawn_and_saved(members, tmp_path):
    made = files.figures(quickly_analysed(members, maps=["logit_mse", "hellinger"], tsne=2))
    expected = {"ensemble", "reliability"}
    if members > 1:
        expected |= {
            "chromatic_map",
            "map",
            "heatmap",
            "spectrum",
            "inpca",
            "dimension",
            "trajectories",
        }
    if members > 3:
        expected |= {"tsne", "nulls", "mantel"}
    if members > 5:
        expected |= {"drivers", "interventions"}
    assert expected <= set(made)
    for name, figure in made.items():
        files.save(figure, tmp_path, name)
        pixels = matplotlib.image.imread(tmp_path / f"{name}.png")
        assert pixels.std() > 0.02  # something was drawn
        assert (tmp_path / f"{name}.pdf").read_bytes().startswith(b"%PDF")
    assert len(list(tmp_path.iterdir())) == 2 * len(made)


def test_a_member_has_one_colour_in_every_figure():
    analysed = quickly_analysed(12, maps=["logit_mse", "hellinger"], tsne=1)
    colours = analysed.colours
    made = files.figures(analysed)
    for name in ("chromatic_map", "map", "inpca", "tsne", "trajectories"):
        for axis in made[name].axes:
            dots = [c for c in axis.collections if len(c.get_offsets()) < 66]  # not of the pairs
            if dots:
                drawn = [to_hex(c) for dot in dots for c in dot.get_facecolors()]
                assert sorted(drawn) == sorted(colours.hex), name
    assert [to_hex(line.get_color()) for line in made["trajectories"].axes[1].lines] == colours.hex
    strips = made["heatmap"].axes[0].images[1].get_array()
    assert sorted(map(to_hex, strips[:, 0])) == sorted(colours.hex)
    safe = chromatic_map(analysed, safe=True).axes[0].collections
    assert {to_hex(c) for dot in safe for c in dot.get_facecolors()} == set(colours.safe)


def test_figures_are_named_by_the_package_and_imported_when_asked_for():
    quick = "import sys, chromatic_descent.report as r; dir(r); print('matplotlib' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", quick], text=True).strip() == "False"
    assert all(callable(getattr(report, name)) for name in report.__all__)
    assert set(report.__all__) <= set(dir(report))
    assert report.chromatic_map is chromatic_map
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = report.nonsense


def test_every_figure_has_a_name_a_section_and_a_counterpart_of_its_own():
    kinds = figures.kinds()
    names = [kind.name for kind in kinds]
    assert len(set(names)) == len(names)
    assert {kind.section for kind in kinds} <= {section.id for section in on_the_page()}
    assert {kind.page for kind in kinds if isinstance(kind.page, str)} <= set(names)
    drawings = [d for k in kinds if isinstance(k.page, Interactive) for d in k.page.drawings]
    assert len(set(drawings)) == len(drawings)


@pytest.mark.parametrize("counterpart", [None, as_plotly])
def test_a_new_figure_is_one_file_and_a_line_in_the_table(counterpart, monkeypatch, tmp_path):
    """It is then in the files, in the summary and on the page."""
    plant_figure(monkeypatch, counterpart)
    result, run = quickly_analysed(3), make_run()
    saved = files.save_all(result, {"embeddings": tmp_path, "reports": tmp_path}, ["png", "svg"])
    assert saved["planted"] == tmp_path / "planted.png"
    assert (tmp_path / "planted.svg").is_file()
    assert "![A planted figure](planted.png)" in summary.markdown(
        result, run, {name: path.name for name, path in saved.items()}
    )
    text = page.render(result, run, page.Pictures(reason="a toy has none"))
    section = text[text.index('id="dimension"') : text.index('id="drivers"')]
    assert "<figcaption>It shows that one file is enough.</figcaption>" in section
    if counterpart is None:
        assert 'alt="A planted figure"' in section
        assert 'src="data:image/png;base64,' in section
    else:
        assert 'data-figure="planted" data-drawing="plain" data-of="planted"' in section
        assert '"planted":{"data":[{"type":"bar","x":["\\u0026lt;/script' in text
    assert report.planted is draw_planted
    assert "planted" in dir(report)

    alone = quickly_analysed(1)
    assert "planted" not in files.figures(alone)
    assert "A planted figure" not in page.render(alone, run, page.Pictures())


def test_ellipses_hold_most_of_each_cloud():
    analysed = quickly_analysed(5, bootstrap=400)
    ellipses = analysed.maps["hellinger"].ellipses
    assert (ellipses["half_axis_1"] >= ellipses["half_axis_2"]).all()
    figure = distance_maps(analysed)
    drawn = figure.axes[0].patches[0]
    row = analysed.maps["logit_mse"].ellipses.iloc[0]
    assert drawn.get_center() == (row.x, row.y)
    assert drawn.width == 2 * row.half_axis_1
    assert drawn.angle == pytest.approx(np.degrees(row.angle))


def test_figures_of_what_was_not_computed_are_left_out():
    result = quickly_analysed(6)
    ensembles = replace(result.ensembles, reliability=NotComputed("one image"))
    drawn = files.figures(replace(result, ensembles=ensembles))
    assert "reliability" not in drawn
    assert "ensemble" in drawn


@pytest.mark.parametrize("seeds", [1, 2, 5])
def test_configurations_are_drawn(seeds, tmp_path):
    analysed = analysis.analyse(make_trial(seeds), **{**QUICK, "maps": ["hellinger"]})
    made = files.figures(analysed)
    assert ("configurations" in made) == (seeds > 1)
    if seeds == 1:
        return
    for name, figure in made.items():
        files.save(figure, tmp_path, name, ["png"])
    points = made["configurations"].axes[0].containers
    assert len(points) == 4
    assert ("differences" in made) == (seeds > 2)
    labels = [text.get_text().split(" (n")[0] for text in made["configurations"].legends[0].texts]
    assert labels == ["default: baseline", "strength", "model.widths_32"]
    assert [len(bars[2]) for bars in points] == [2 if seeds > 2 else 0] * 4


def test_a_strength_that_is_not_a_number_is_drawn():
    trial = make_trial(2)
    for record in trial.records:
        if "strength_0.1" in record["member"]:
            record["config"] = {**record["config"], "repulsion": {"strength": ["strong"]}}
    analysed = analysis.analyse(trial, **{**QUICK, "maps": ["hellinger"]})
    assert diversity_and_gain(analysed).axes


def test_names_are_drawn_as_they_are(tmp_path):
    """matplotlib would take dollars for mathematics, and leave out names that begin with `_`."""
    trial = make_trial(2)
    for record in trial.records:
        record["dataset"] = {**record["dataset"], "classes": ["$\\no{$", "$", "_b", "d"]}
        record["member"] = record["member"].replace("-", "-_$\\no{$-")
    analysed = analysis.analyse(trial, **{**QUICK, "maps": ["hellinger"]})
    made = files.figures(analysed)
    for name, figure in made.items():
        files.save(figure, tmp_path, name, ["png"])
    labels = [text.get_text() for text in made["configurations"].legends[0].texts]
    assert any(label.startswith(" _$\\no{$") for label in labels)
