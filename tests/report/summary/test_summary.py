from dataclasses import replace

import pytest

from chromatic_descent import analysis
from chromatic_descent.analysis.members import Members
from chromatic_descent.report import summary
from tests.makers import QUICK, make_trial
from tests.report.cases import make_run, quickly_analysed


def markdown(result, figures=None, missing=()):
    return summary.markdown(result, make_run(missing=missing), figures)


def test_the_summary_says_what_is_missing_and_escapes_its_tables():
    result = quickly_analysed(6)
    names = result.members.table.assign(member=["SEED|0000", *result.members.table["member"][1:]])
    text = markdown(replace(result, members=Members(names)), missing=["SEED_0009 failed: no luck"])
    assert "6 members on a probe of 60 images of toy with 4 classes" in text
    assert "SEED_0009 failed: no luck" in text
    assert "SEED\\|0000" in text
    assert "0.4000" in text  # 2 / (6 - 1): the share of equidistant members
    for title in ("Is the structure real?", "Dimension", "What drives the axes?", "Ensembles"):
        assert f"## {title}" in text
    assert "independent errors" in text


def test_the_summary_says_what_was_not_computed_and_why():
    three = markdown(quickly_analysed(3))
    assert "- test hellinger, independent_errors:" in three
    assert "4 members" in three
    one = markdown(quickly_analysed(1))
    assert "One member has no distances" in one
    six = quickly_analysed(6, tsne=2)
    assert "t-SNE and UMAP layouts mean nothing" in markdown(six)


def test_the_summary_shows_the_figures_that_were_drawn():
    result = quickly_analysed(5)
    shown = markdown(result, {"map": "../embeddings/map.png"})
    image = "![Maps of the members under each distance](../embeddings/map.png)"
    assert image in shown
    assert "![" not in shown.replace(image, "")
    assert "![" not in markdown(result)


@pytest.mark.parametrize("seeds", [1, 2, 5])
def test_configurations_are_described(seeds):
    text = markdown(analysis.analyse(make_trial(seeds), **{**QUICK, "maps": ["hellinger"]}))
    assert "## Configurations" in text
    if seeds == 1:
        assert "no configuration has two members" in text
        return
    assert "the baseline is `default`" in text
    if seeds > 2:
        assert "| repulsion.strength_1 | ensemble calibrated nll | +" in text
        assert "On other data:" in text
    else:
        assert "- repulsion.strength_1, differences: shares 2 seeds with default" in text
