import base64
import io
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from chromatic_descent import probe_logits
from chromatic_descent.analysis import Each, NotComputed
from chromatic_descent.analysis.members import Provenance
from chromatic_descent.errors import UserError
from chromatic_descent.report import page, summary
from chromatic_descent.report.figures.kind import why_not
from chromatic_descent.report.page import data, images, words
from chromatic_descent.report.page.render import number
from chromatic_descent.report.summary import sections
from chromatic_descent.report.summary.blocks import Lines, Section, Table
from chromatic_descent.study import Member, Study
from tests.makers import make_population
from tests.report.cases import CASES, HOSTILE, analysed, hostile, html, of_digits


class Reader(HTMLParser):
    """Tags, attributes, and the text outside of scripts and styles."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.text, self.inside = [], [], [], None
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += attributes
        self.inside = tag if tag in ("script", "style") else None

    def handle_endtag(self, tag):
        self.inside = None

    def handle_data(self, text):
        if self.inside is None:
            self.text.append(text)

    @property
    def words(self):
        return " ".join("".join(self.text).split())


def embedded(text):
    return json.loads(re.search(r'id="data">(.*?)</script>', text, re.DOTALL)[1])


@pytest.mark.parametrize("case", CASES)
def test_every_case_is_a_whole_page(case):
    text = html(CASES[case](), case, maps=["logit_mse", "hellinger"])
    read = Reader(text)
    assert text.count("<!doctype html>") == 1
    assert text.rstrip().endswith("</html>")
    ids = [value for name, value in read.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    targets = [v[1:] for name, v in read.attributes if name == "href" and v.startswith("#")]
    assert set(targets) <= set(ids)
    content = embedded(text)
    figures = [value for name, value in read.attributes if name == "data-figure"]
    assert len(figures) == len(set(figures))
    assert len(content["members"]["hex"]) == len(content["members"]["name"])
    assert "nan" not in read.words.split()
    assert "None" not in read.words
    assert len(text.encode()) < 8e6


def test_nothing_is_fetched_and_plotly_is_there_once():
    text = html(CASES["planted"]())
    read = Reader(text)
    links = [v for name, v in read.attributes if name in ("src", "href")]
    assert not [v for v in links if v.startswith(("http", "//", "file:"))]
    assert text.count('id="plotly"') == 1
    assert "@import" not in text
    assert "url(" not in re.search(r"<style>(.*?)</style>", text, re.DOTALL)[1]


def test_what_a_study_says_is_text():
    text = html(hostile(), name=HOSTILE)
    read = Reader(text)
    assert read.tags.count("script") == 3  # data, Plotly, the page's own
    assert not [name for name, _ in read.attributes if name.startswith("on")]
    shown = " ".join(HOSTILE.split())
    assert read.words.count(shown) > 10
    assert embedded(text)["members"]["name"][0] == f"0 {HOSTILE}"
    assert embedded(text)["classes"][0] == HOSTILE


def test_the_sentence_is_made_from_the_config():
    config = {
        "model": {"_target_": "chromatic_descent.model.SmallCNN", "widths": [16, 64]},
        "trainer": {"max_epochs": 4},
        "optim": {"optimizer": {"_target_": "chromatic_descent.training.optim.muon"}},
    }
    population = make_population(3, configs=[config] * 3)
    of = Provenance("CIFAR10", ["a", "b"], 10000, "p" * 64, 0)
    assert words.sentence(population, of) == (
        "Three SmallCNN networks trained on CIFAR10 for four epochs with muon, differing only in "
        "their seed; recorded on 10,000 probe images in 2 classes."
    )
    other = {**config, "trainer": {"max_epochs": 8}}
    population = make_population(2, configs=[config, other])
    assert "differing in trainer.max_epochs and in two seeds" in words.sentence(population, of)
    assert words.recipes(population) == ["trainer.max_epochs 4", "trainer.max_epochs 8"]
    assert words.sentence(make_population(12), of).startswith("12 members given as logits,")
    assert "with seed 0;" in words.sentence(make_population(1, configs=[config]), of)


def test_missing_members_and_missing_results_are_explained():
    result, run = analysed(make_population(2))
    run = replace(run, missing=["SEED_0009 failed: out of luck"])
    read = Reader(page.render(result, run, page.Pictures(reason="the disk is away")))
    for expected in (
        "1 member missing",
        "SEED_0009 failed: out of luck",
        "Pictures are not shown: the disk is away.",
        "Not computed: members were not recorded along training",
        "Not computed: all members share one configuration.",
        "Not computed: drivers of the axes need at least 6 members",
        "There are no repelled members in this study.",
    ):
        assert expected in read.words, expected


def test_a_study_without_anything_significant_says_so():
    assert "Nothing is shown." in Reader(html(CASES["gaussian"](), maps=["hellinger"])).words
    shown = html(CASES["planted"](), maps=["hellinger"])
    assert "Nothing is shown." not in Reader(shown).words


def test_studies_are_compared():
    read = Reader(html(CASES["studies"](), maps=["hellinger"]))
    assert "differing in study and in six seeds" in read.words
    assert "of the variance by study" in read.words
    assert "less the baseline, plain" in read.words
    assert "In 0 of 1 repelled configurations" in read.words
    assert "■ repelled" in read.words


def test_commands_and_files_are_named():
    result, run = analysed(make_population(5))
    text = page.render(result, run, page.Pictures(), ["chromatic-train -m 'seed=range(5)'"])
    read = Reader(text)
    assert "chromatic-train -m 'seed=range(5)' chromatic-analyze study=toy" in read.words
    links = {v for name, v in read.attributes if name == "href"}
    assert {"analysis.json", "../embeddings/arrays.npz", "members-table.csv"} <= links
    assert "ensembles-curves.csv" in links


def test_figure_data_are_the_numbers():
    result, _ = analysed(CASES["paths"]())
    made = data.page_data(result, "hellinger")
    view = made["distances"]["hellinger"]
    squared = result.distances.matrices["hellinger"].squared
    order = view["heatmap"]["order"]
    assert sorted(order) == list(range(12))
    upper = np.sqrt(squared)[np.ix_(order, order)][np.triu_indices(12, 1)]
    np.testing.assert_allclose(view["heatmap"]["upper"], upper, rtol=1e-4)
    joins = np.array(view["heatmap"]["tree"])
    assert joins.shape == (11, 2, 4)
    assert joins[:, 0].min() == 0
    assert joins[:, 0].max() == 11
    xyz = np.array(view["chromatic_map"]["layouts"]["mds"]["xyz"])
    coordinates = result.maps["hellinger"].coordinates
    np.testing.assert_allclose(xyz.T, coordinates[:, :3], rtol=1e-4)
    assert len(view["nulls"]) == 5
    assert len(view["nulls"][2]["draws"]) == 39
    low, high = view["spectrum"]["bands"]["independent_errors"]
    assert len(low) == len(high) == 11
    assert all(a <= b for a, b in zip(low, high, strict=True))
    upper = result.dimension["hellinger"].null_quantiles["independent_errors"]
    assert all(a <= b * 1.001 for a, b in zip(upper, high, strict=True))
    json.dumps(made, allow_nan=False)


def test_rounding():
    given = {"a": np.array([1.234567, np.nan]), "b": (np.float32(2), np.int64(3)), "c": None}
    assert data.rounded(given) == {"a": [1.2346, None], "b": [2.0, 3], "c": None}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (float("nan"), "–"),
        (3, "3"),
        (0.5, "0.5000"),
        (-0.25, "−0.2500"),
        (0.0, "0"),
        ("a-1", "a-1"),
    ],
)
def test_numbers_in_words(value, text):
    assert number(value) == text


def test_a_new_section_is_one_file_and_a_line_in_the_list(monkeypatch):
    """Without a template of its own, the page shows what the summary says."""
    blocks = [HOSTILE, Table(["a", "b"], [["1", "2"]]), Lines("Planted lines:", ["- c", "d"])]
    planted = Section("planted", "A planted section", lambda analysis, run: blocks)
    monkeypatch.setattr(sections, "SECTIONS", (*sections.SECTIONS, planted))
    result, run = analysed(make_population(2))
    text = page.render(result, run, page.Pictures())
    assert '<a href="#planted">A planted section</a>' in text
    section = text[text.index('<section id="planted"') :]
    read = Reader(section[: section.index("</section>")])
    shown = " ".join(HOSTILE.split())
    assert read.words.startswith(f"A planted section {shown} ab 12")
    assert "Planted lines:" in read.words
    summarised = summary.markdown(result, run)
    assert f"## A planted section\n\n{HOSTILE}\n\n| a | b |\n| --- | --- |\n| 1 | 2 |" in summarised


def test_the_navigation_names_sections_by_their_headings():
    text = html(CASES["two"](), maps=["hellinger"])
    linked = re.findall(r'<li><a href="#([\w-]+)">(.*?)</a></li>', text)
    assert linked == re.findall(r'<h2 id="h-([\w-]+)">(.*?)</h2>', text)
    assert len(linked) == 12


def test_why():
    absent = NotComputed("no")
    assert why_not(absent) == "no"
    assert why_not({"a": absent, "b": Each({"x": absent})}) == "no"
    assert why_not(Each({"a": absent, "b": Each({"x": 1})})) == ""
    assert why_not({}) == "one member has no distances"
    assert why_not([]) == ""


def decoded(uri):
    head, _, body = uri.partition(",")
    assert head == "data:image/png;base64"
    return Image.open(io.BytesIO(base64.b64decode(body)))


@pytest.mark.parametrize("shape", [(8, 8), (8, 8, 1), (8, 8, 3)])
def test_a_picture_is_its_pixels(shape):
    image = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    np.testing.assert_array_equal(np.asarray(decoded(images.data_uri(image))), image.squeeze())


def test_large_pictures_are_made_smaller():
    assert decoded(images.data_uri(np.zeros((300, 200, 3), np.uint8))).size == (64, 96)


def test_pictures_of_a_file(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (20, 8, 8), dtype=np.uint8)
    np.save(tmp_path / "images.npy", images)
    shown = page.pictures_from_file(tmp_path / "images.npy", [3, 5], 20)
    np.testing.assert_array_equal(np.asarray(decoded(shown.uris[5])), images[5])
    for wrong in (images[:5], images.astype(float), images[..., None, None], np.array(3)):
        np.save(tmp_path / "wrong.npy", wrong)
        with pytest.raises(UserError, match=r"expected uint8 \[20, height, width, 1 or 3\]"):
            page.pictures_from_file(tmp_path / "wrong.npy", [3], 20)
    (tmp_path / "wrong.npy").write_bytes(b"nothing")
    with pytest.raises(UserError, match="cannot be read"):
        page.pictures_from_file(tmp_path / "wrong.npy", [3], 20)


def test_pictures_of_a_data_set_are_at_the_probes_places():
    population, images = of_digits()
    shown = page.pictures_from_dataset(population, "nowhere", [3, 7])
    np.testing.assert_array_equal(np.asarray(decoded(shown.uris[7])), images[14, ..., 0])
    assert shown.reason == ""


def test_pictures_are_not_shown_unless_the_data_set_is_the_same(tmp_path):
    population, _ = of_digits("another")
    shown = page.pictures_from_dataset(population, tmp_path, [3])
    assert shown.uris == {}
    assert "is not the one members learned" in shown.reason
    population.records[0]["dataset"]["name"] = "CIFAR10"
    assert "was not found" in page.pictures_from_dataset(population, tmp_path, [3]).reason
    population.records[0]["dataset"]["name"] = "os.system"
    assert "images=FILE.npy" in page.pictures_from_dataset(population, tmp_path, [3]).reason
    plain = probe_logits.from_arrays(population.logits, population.labels)
    assert "given as logits" in page.pictures_from_dataset(plain, tmp_path, [3]).reason


def test_each_image_is_shown_with_what_each_member_answers():
    population, _ = of_digits()
    result, run = analysed(population)
    shown = page.pictures_from_dataset(population, "", page.shown_images(result))
    text = page.render(result, run, shown)
    pictured = [v for name, v in Reader(text).attributes if name == "src"]
    assert len(pictured) >= 24
    assert all(v.startswith("data:image/png;base64,") for v in pictured)
    cards = re.findall(r'<li class="card">(.*?)</ul>', text, re.DOTALL)
    for card in cards:
        assert len(re.findall(r'class="dot m\d+"', card)) == 3


def write_overrides(study, name, *lines):
    path = Member(study, name).folder / ".hydra" / "overrides.yaml"
    path.parent.mkdir(parents=True)
    path.write_text("".join(f"- {line}\n" for line in lines))


@pytest.mark.parametrize("hostile", ["[", "{? ", "- ", "x"])
def test_overrides_that_keep_a_parser_busy_are_left_out(tmp_path, hostile):
    study = Study(tmp_path / "mine")
    write_overrides(study, "SEED_0000", "seed=0", hostile * 10**5)
    Member(study, "SEED_0000").artefact.parent.mkdir(parents=True)
    Member(study, "SEED_0000").artefact.touch()
    assert page.training_commands(study) == []  # and not after minutes


def test_training_commands_are_what_hydra_recorded(tmp_path):
    study = Study(tmp_path / "mine")
    for seed in range(3):
        write_overrides(study, f"SEED_000{seed}", f"seed={seed}", "study=mine", "experiment=demo")
    for seed in (4, 9):
        write_overrides(
            study, f"SEED_000{seed}", f"seed={seed}", "study=mine", "model.widths=[8,9]"
        )
    for seed in (5, 6):
        together = ("seed=5", "population=joint", "population.members=2")
        write_overrides(study, f"SEED_000{seed}", *together)
    (tmp_path / "mine" / "SEED_0007" / ".hydra").mkdir(parents=True)
    (tmp_path / "mine" / "SEED_0007" / ".hydra" / "overrides.yaml").write_text("{: [")
    write_overrides(study, "SEED_0008", "study=mine", "experiment=repulsion_trial")
    study.probes.mkdir(parents=True)
    for seed in range(10):
        (study.probes / f"SEED_000{seed}.npz").touch()
    write_overrides(study, "SEED_0010", "seed=10", "study=mine", "experiment=demo")
    Member(study, "SEED_0010").manifest.write_text("{}")  # not complete
    assert page.training_commands(study) == [
        "chromatic-train -m 'seed=range(3)' study=mine experiment=demo",
        "chromatic-train -m seed=4,9 study=mine 'model.widths=[8,9]'",
        "chromatic-train seed=5 study=mine population=joint population.members=2",
        "chromatic-train study=mine experiment=repulsion_trial",
    ]
