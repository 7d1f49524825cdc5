import json
import shutil
import webbrowser
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from chromatic_descent import geometry, probe_logits
from chromatic_descent.study import Manifest, Member, Study
from tests.makers import make_member

QUICK = ("bootstrap=5", "permutations=9", "draws=9", "splits=2", "subsets=3", "tsne=0")


@pytest.fixture
def study(tmp_path):
    study = Study(tmp_path / "multirun" / "s")
    for seed in range(5):
        name = f"SEED_{seed:04d}"
        probe_logits.save(Member(study, name).artefact, make_member(name, seed, images=30))
    return study


@pytest.fixture
def analyze(command_line):
    def run(*arguments):
        drawn = () if any(a.startswith("figures") for a in arguments) else ("figures=[]",)
        return command_line("analyze", *QUICK, *drawn, *arguments)

    return run


def test_it_writes_numbers_tables_and_figures(analyze, study):
    code, printed = analyze("study=s", "figures=[png,pdf]")
    assert code == 0, printed
    assert "s: 5 members" in printed
    assert printed.rstrip().endswith("s/artifacts/reports/report.html")
    written = {
        str(p.relative_to(study.path / "artifacts")) for p in study.path.rglob("*") if p.is_file()
    }
    for name in ("map", "heatmap", "spectrum"):
        assert {f"embeddings/{name}.png", f"embeddings/{name}.pdf"} <= written
    assert {
        f"reports/{n}"
        for n in (
            "analysis.json",
            "summary.md",
            "report.html",
            "members-table.csv",
            "ensembles-curves.csv",
            "ensemble.png",
        )
    } <= written
    numbers = json.loads((study.reports / "analysis.json").read_text())
    assert numbers["schema_version"] == 2
    assert [m["seed"] for m in numbers["members"]["table"]] == list(range(5))
    with np.load(study.embeddings / "arrays.npz", allow_pickle=False) as arrays:
        assert arrays["distances/matrices/hellinger/squared"].shape == (5, 5)
        assert arrays["distances/matrices/hellinger/squared"].dtype == np.float32
        assert arrays["members"].tolist() == [f"SEED_000{s}" for s in range(5)]
    layouts = pd.read_csv(study.reports / "maps-hellinger-layouts.csv")
    assert set(layouts["layout"]) == {"mds", "smacof"}
    assert len(layouts) == 2 * 5


def test_every_key_of_the_json_is_documented(analyze, study):
    analyze("study=s")
    numbers = json.loads((study.reports / "analysis.json").read_text())
    text = (Path(__file__).parents[1] / "docs" / "results.md").read_text(encoding="utf-8")
    for key, value in numbers.items():
        assert f"`{key}" in text, key
        for inner in value if isinstance(value, dict) and "not_computed" not in value else ():
            named = f"`{key}.{inner}" in text or f"`{inner}`" in text
            assert named or inner in (*geometry.DISTANCES, *numbers["config"]), f"{key}.{inner}"


def test_plain_arrays_need_no_study(analyze, tmp_path):
    rng = np.random.default_rng(0)
    np.save(tmp_path / "mine.npy", rng.normal(size=(5, 2, 30, 3)))
    np.save(tmp_path / "labels.npy", rng.integers(3, size=30))
    code, printed = analyze("logits=mine.npy", "labels=labels.npy")
    assert code == 0, printed
    reports = tmp_path / "outputs" / "mine" / "artifacts" / "reports"
    numbers = json.loads((reports / "analysis.json").read_text())
    assert len(numbers["members"]["table"]) == 5
    assert numbers["trajectories"]["epochs"] == [0, 1]


def test_the_probes_images_may_be_given(analyze, study, tmp_path):
    np.save(tmp_path / "images.npy", np.zeros((30, 8, 8, 3), dtype=np.uint8))
    assert analyze("study=s", "images=images.npy")[0] == 0
    assert '<img src="data:image/png;base64,' in (study.reports / "report.html").read_text()
    assert analyze("study=s")[0] == 0
    text = (study.reports / "report.html").read_text()
    assert '<img src="data:' not in text
    assert "Pictures are not shown: " in text


def test_a_second_run_only_draws(analyze, study, monkeypatch):
    analyze("study=s")
    before = (study.reports / "analysis.json").read_text()

    def computed_again(*arguments, **options):
        raise AssertionError("computed twice")

    monkeypatch.setattr(geometry, "distance_matrices", computed_again)
    assert analyze("study=s")[0] == 0
    after = (study.reports / "analysis.json").read_text()
    assert json.loads(before)["maps"] == json.loads(after)["maps"]


def test_by_path_and_newest_and_from_anywhere(analyze, study, tmp_path):
    assert analyze()[0] == 0
    assert analyze(f"study={study.path}", "paths.multirun=elsewhere")[0] == 0
    assert not (tmp_path / "outputs").exists()


def test_missing_members_are_said_and_the_rest_goes_on(analyze, study):
    member = Member(study, "SEED_0007")
    member.write_manifest(Manifest(7, {}, "hash"))
    member.failure.write_text("out of luck\n\ntrace")
    code, printed = analyze("study=s")
    assert code == 0
    assert "left out: SEED_0007 failed: out of luck" in printed
    assert "SEED_0007" in (study.reports / "summary.md").read_text()


def test_broken_and_foreign_artefacts_are_all_named_and_nothing_is_lost(analyze, study):
    broken = Member(study, "SEED_0001").artefact
    broken.write_bytes(broken.read_bytes()[:50])
    foreign = study.probes / "SEED_0009.npz"
    shutil.copy(Member(study, "SEED_0002").artefact, foreign)
    before = {p: p.read_bytes() for p in study.probes.iterdir()}
    code, printed = analyze("study=s")
    assert code == 1
    assert "SEED_0001.npz cannot be read" in printed
    assert "SEED_0009.npz is the artefact of SEED_0002" in printed
    assert "Traceback" not in printed
    assert {p: p.read_bytes() for p in study.probes.iterdir()} == before
    assert not study.reports.exists()


def test_another_probe_in_the_study_is_refused(analyze, study):
    other = make_member("SEED_0009", 9, probe_hash="b" * 64, images=30)
    probe_logits.save(Member(study, "SEED_0009").artefact, other)
    code, printed = analyze("study=s")
    assert code == 1
    assert "different probes" in printed
    assert "SEED_0009" in printed


@pytest.fixture
def wide(tmp_path):
    """A study of the same seeds with another config."""
    study = Study(tmp_path / "multirun" / "wide")
    for seed in range(4):
        name = f"SEED_{seed:04d}"
        member = make_member(name, 50 + seed, images=30)
        record = {**member.record, "seed": seed, "config": {"model": {"width": 128}}}
        probe_logits.save(Member(study, name).artefact, replace(member, record=record))
    return study


def test_studies_are_compared(analyze, study, wide, tmp_path):
    before = {p: p.read_bytes() for p in study.path.parent.rglob("*") if p.is_file()}
    code, printed = analyze("studies=[wide,s]", "figures=[png]")
    assert code == 0, printed
    assert {p: p.read_bytes() for p in study.path.parent.rglob("*") if p.is_file()} == before
    artifacts = tmp_path / "outputs" / "wide+s" / "artifacts"
    numbers = json.loads((artifacts / "reports" / "analysis.json").read_text())
    assert numbers["study"] == "wide+s"
    assert numbers["groups"]["baseline"] == "wide"
    names = [row["member"] for row in numbers["members"]["table"]]
    assert names[0] == "SEED_0000-wide"
    assert names[-1] == "SEED_0004-s"
    assert numbers["colours"]["shapes"] == {"o": "wide", "s": "s"}
    seeds = {row["seeds"] for row in numbers["groups"]["differences"] if row["group"] == "s"}
    assert seeds == {4}
    assert "study" in {row["factor"] for row in numbers["factors"]["hellinger"]}
    assert (artifacts / "reports" / "differences.png").exists()
    other = analyze("studies=[wide,s]", "baseline=s")
    assert other[0] == 0
    numbers = json.loads((artifacts / "reports" / "analysis.json").read_text())
    assert numbers["groups"]["baseline"] == "s"


def test_studies_on_different_probes_are_not_compared(analyze, study, wide, tmp_path):
    for path in wide.probes.iterdir():
        member = probe_logits.load(path)
        record = {**member.record, "probe_hash": "b" * 64}
        probe_logits.save(path, replace(member, record=record))
    code, printed = analyze("studies=[s,wide]")
    assert code == 1
    assert "recorded on different probes and cannot be compared" in printed
    assert "wide: bbbbbbbbbbbb" in printed
    assert not (tmp_path / "outputs").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("studies=s",), "studies=s: expected a list"),
        (("studies=[s]",), "studies=['s']: expected two or more, with different names"),
        (("studies=[s,s]",), "studies=['s', 's']: expected two or more"),
        (("studies=[s,unknown]",), "study=unknown was found neither"),
        (("studies=[s,s]", "study=s"), "Give either study= or studies=, not both"),
        (("colours=nonsense",), "colours=nonsense: expected one of maps, logit_mse"),
        (("study=unknown",), "study=unknown was found neither"),
        (("distances=[nonsense]",), "distances=['nonsense']: expected names from"),
        (("bootstrap=0",), "bootstrap=0: expected a whole number from 3"),
        (("figures=[gif3]",), "figures=['gif3']: expected formats such as png"),
        (("images=mine.npy",), "images=mine.npy cannot be read"),
        (("logits=mine.npy",), "logits=mine.npy needs labels=FILE beside it"),
        (("labels=mine.npy",), "labels=mine.npy needs logits=FILE beside it"),
        (("logits=a.npy", "labels=b.npy"), "logits=a.npy cannot be read as an array"),
        (("logits=a.npy", "labels=b.npy", "study=s"), "Give either study= or logits="),
        (("study=[s]",), "study=['s']: expected a name or a path"),
        (("study=2026",), "study=2026 was found neither"),
        (("maps=hellinger",), "maps=hellinger: expected a list, 'maps=[one,other]'"),
        (("combiners=[]",), "combiners=[]: expected one or more"),
        (("nonsense=1",), "Could not override 'nonsense'"),
    ],
)
def test_each_mistake_is_one_message(analyze, study, arguments, message):
    code, printed = analyze(*arguments)
    assert code == 1
    assert message in printed
    assert "Traceback" not in printed


def test_no_study_at_all(analyze):
    code, printed = analyze()
    assert code == 1
    assert "There is no study in" in printed


def test_a_study_without_a_complete_member_says_why(analyze, study):
    for path in study.probes.iterdir():
        path.unlink()
    member = Member(study, "SEED_0000")
    member.write_manifest(Manifest(0, {}, "hash"))
    member.failure.write_text("out of luck")
    code, printed = analyze("study=s")
    assert code == 1
    assert "nothing to analyse" in printed
    assert "SEED_0000 failed: out of luck" in printed


def test_the_page_is_opened_if_there_is_one(analyze, study, monkeypatch):
    opened = []
    monkeypatch.setattr(webbrowser, "open", lambda uri: bool(opened.append(uri)) or len(opened) > 1)
    page = study.reports / "report.html"
    page.parent.mkdir(parents=True)
    page.write_text("page")
    assert "no browser was found" in analyze("study=s", "open=true")[1]
    assert "no browser was found" not in analyze("study=s", "open=true")[1]
    assert opened == [page.as_uri()] * 2
    analyze("study=s")
    assert len(opened) == 2
