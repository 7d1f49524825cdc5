import os
import time

import numpy as np
import pytest

from chromatic_descent import probe_logits
from chromatic_descent.errors import UserError
from chromatic_descent.study import Member, Study, find_study
from chromatic_descent.study.population import find_subject, load_studies
from tests.makers import complete_member, make_member


@pytest.fixture
def multirun(tmp_path):
    for study in ("one", "two"):
        for seed in range(2):
            made = make_member(f"SEED_000{seed}", seed)
            artefact = Member(Study(tmp_path / study), f"SEED_000{seed}").artefact
            probe_logits.save(artefact, made)
    return tmp_path


@pytest.fixture
def find(multirun):
    def find(**named):
        options = dict.fromkeys(("study", "studies", "logits", "labels"))
        paths = {"multirun": multirun, "outputs": multirun / "outputs"}
        return find_subject(**{**options, **paths, **named})

    return find


def test_results_go_to_the_study_or_to_outputs(find, multirun):
    one = find(study="one")
    assert (one.study, one.sources) == (Study(multirun / "one"), [Study(multirun / "one")])
    both = find(studies=["one", "two"])
    assert both.study.path == multirun / "outputs" / "one+two"
    assert len(both.sources) == 2
    np.save(multirun / "mine.npy", np.zeros((2, 5, 3), dtype=np.float32))
    np.save(multirun / "labels.npy", np.zeros(5, dtype=int))
    arrays = find(logits=f"{multirun}/mine.npy", labels=f"{multirun}/labels.npy")
    assert arrays.study.path == multirun / "outputs" / "mine"
    assert arrays.sources == []


def test_members_of_several_studies_are_named_after_their_study(multirun):
    population, missing = load_studies([Study(multirun / "one"), Study(multirun / "two")])
    assert missing == []
    assert population.names == [f"SEED_000{s}-{study}" for study in ("one", "two") for s in (0, 1)]
    assert [record["config"]["study"] for record in population.records] == ["one"] * 2 + ["two"] * 2


@pytest.mark.parametrize(
    ("named", "message"),
    [
        ({"study": "one", "studies": ["one", "two"]}, "either study= or studies=, not both"),
        ({"study": "one", "labels": "x.npy"}, "either study= or logits= and labels=, not both"),
        ({"labels": "x.npy"}, "labels=x.npy needs logits=FILE"),
    ],
)
def test_options_that_contradict_each_other(find, named, message):
    with pytest.raises(UserError, match=message):
        find(**named)


def test_find_by_name_by_path_and_newest(tmp_path):
    for name in ["old", "new"]:
        complete_member(Study(tmp_path / name), "SEED_0000")
    old = tmp_path / "old" / "artifacts" / "probes" / "SEED_0000.npz"
    os.utime(old, (time.time() - 100,) * 2)
    assert find_study("old", tmp_path).path == tmp_path / "old"
    assert find_study(str(tmp_path / "old"), tmp_path / "elsewhere").path == tmp_path / "old"
    assert find_study(None, tmp_path).name == "new"


def test_no_study_and_unknown_study_are_explained(tmp_path):
    with pytest.raises(UserError, match=r"There is no study in .* Train one first"):
        find_study(None, tmp_path)
    complete_member(Study(tmp_path / "known"), "SEED_0000")
    with pytest.raises(UserError, match=r"study=unknown was found neither .*there: known"):
        find_study("unknown", tmp_path)
