import matplotlib.image
import numpy as np
import pytest
from rich.console import Console

from chromatic_descent import analysis
from chromatic_descent.report import figures, summary
from tests.test_analysis import QUICK, make_population


def make_numbers(results, missing=()):
    return {
        "study": "toy",
        "created": "2026-01-01",
        "version": "0",
        "command": "chromatic-analyze",
        "missing": list(missing),
        "dataset": "toy data",
        "config_hashes": ["c" * 64],
        "precisions": ["32-true"],
        "trained_with": {"torch": "2"},
        "hardware": {"device": "toy"},
        "training_seconds": 12.0,
        **analysis.numbers(results),
    }


@pytest.mark.parametrize("members", [1, 2, 3, 6, 70])
def test_every_figure_is_drawn_and_saved(members, tmp_path):
    options = {**QUICK, "distances": ["logit_mse", "hellinger"], "tsne": 2}
    made = figures.figures(analysis.analyse(make_population(members), **options))
    wanted = {"ensemble"}
    if members > 1:
        wanted |= {"map", "heatmap", "scree"}
    if members > 3:
        wanted |= {"tsne"}
    assert set(made) == wanted
    for name, figure in made.items():
        figures.save(figure, tmp_path, name)
        pixels = matplotlib.image.imread(tmp_path / f"{name}.png")
        assert pixels.std() > 0.02  # something was drawn
        assert (tmp_path / f"{name}.pdf").read_bytes().startswith(b"%PDF")
    assert len(list(tmp_path.iterdir())) == 2 * len(made)


def test_ellipses_hold_most_of_a_normal_cloud():
    cloud = np.random.default_rng(0).normal(size=(4000, 2)) @ np.array([[3.0, 1.0], [0.0, 0.5]])
    ellipse = figures._ellipse(np.zeros(2), cloud)
    angle = np.radians(ellipse.angle)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    along = cloud @ turn / [ellipse.width / 2, ellipse.height / 2]  # its own axes, as a unit disc
    assert 0.94 < (np.square(along).sum(1) < 1).mean() < 0.96


def test_the_summary_says_what_is_missing_and_escapes_its_tables():
    results = analysis.analyse(make_population(5), **QUICK)
    results.members.loc[0, "member"] = "SEED|0000"
    text = summary.markdown(make_numbers(results, missing=["SEED_0009 failed: out of luck"]))
    assert "5 members on a probe of 60 images of toy data with 4 classes" in text
    assert "SEED_0009 failed: out of luck" in text
    assert "SEED\\|0000" in text
    assert "0.5000" in text  # 2 / (5 - 1): what equidistant members would give
    rows = [line for line in text.splitlines() if line.startswith("| logit_mse ")]
    assert rows[0].count("|") == 7


def test_the_summary_warns_where_a_test_says_nothing():
    three = summary.markdown(make_numbers(analysis.analyse(make_population(3), **QUICK)))
    assert "With 3 members there is no permutation test" in three
    one = summary.markdown(make_numbers(analysis.analyse(make_population(1), **QUICK)))
    assert "One member has no distances" in one
    six = analysis.analyse(make_population(6), tsne=2, **QUICK)
    assert "t-SNE and UMAP layouts mean nothing" in summary.markdown(make_numbers(six))


def test_the_terminal_table_holds_each_distance():
    console = Console(record=True, width=120)
    console.print(summary.table(make_numbers(analysis.analyse(make_population(5), **QUICK))))
    text = console.export_text()
    for part in ("toy: 5 members", "logit_mse_matched", "hellinger", "top-2 share"):
        assert part in text
