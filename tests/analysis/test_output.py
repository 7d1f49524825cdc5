import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from chromatic_descent import probe_logits
from chromatic_descent.analysis import read_numbers
from chromatic_descent.analysis.output import SCHEMA_VERSION
from chromatic_descent.errors import UserError
from chromatic_descent.probe_logits import ProbeSliceLogits
from chromatic_descent.study import Member, Study
from tests.makers import make_member, with_trajectory

FROZEN = Path(__file__).parents[1] / "frozen"
QUICK = ("bootstrap=5", "permutations=9", "draws=9", "splits=2", "subsets=3", "tsne=2")
QUICK += ("distances=[hellinger,bhattacharyya]", "maps=[hellinger]", "figures=[]")


def schema(value):
    """A tree's names and types; a table is its first row."""
    if isinstance(value, dict):
        return {key: schema(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [schema(value[0])] if value else []
    return "number" if type(value) in (int, float) else type(value).__name__


def lacking(old, new, path=""):
    """Where something of one schema is missing from the other, or another type; null fits all."""
    if "NoneType" in (old, new):
        return []
    if isinstance(old, dict) and isinstance(new, dict):
        return [
            place
            for key in old
            for place in (
                lacking(old[key], new[key], f"{path}/{key}") if key in new else [f"{path}/{key}"]
            )
        ]
    if isinstance(old, list) and isinstance(new, list):
        return lacking(old[0], new[0], f"{path}[]") if old and new else []
    return [] if old == new else [path]


@pytest.fixture
def study(tmp_path):
    """Two configurations of four seeds, recorded along training, on shifted and on other images."""
    study = Study(tmp_path / "multirun" / "s")
    for index in range(8):
        suffix = "" if index < 4 else "-high"
        made = make_member(f"SEED_000{index % 4}{suffix}", index, images=30)
        made = with_trajectory(made, (0, 1, 2))
        made.record["seed"] = index % 4
        made.record["config"] = {"optim": {"lr": 0.1 if index < 4 else 0.2}}
        labels = np.arange(12) % 3
        for name in ("shift-contrast-1", "foreign-noise"):
            logits = np.random.default_rng([index, len(name)]).normal(size=(12, 3))
            made.slices[name] = ProbeSliceLogits(logits.astype(np.float32), labels, np.arange(12))
        artefact = Member(study, made.record["member"]).artefact
        probe_logits.save(artefact, replace(made, logits=made.trajectory.logits[-1]))
    return study


def test_names_are_those_of_the_version(command_line, study):
    code, printed = command_line("analyze", "study=s", *QUICK)
    assert code == 0, printed
    numbers = read_numbers(study.reports / "analysis.json")
    assert numbers["schema_version"] == SCHEMA_VERSION
    frozen = read_numbers(FROZEN / f"analysis-{SCHEMA_VERSION}.json")
    assert lacking(schema(frozen), schema(numbers)) == []


def test_a_name_that_is_gone_is_noticed():
    old = schema({"a": {"b": 1}, "rows": [{"x": 0.5, "y": None}], "s": "x"})
    assert lacking(old, schema({"a": {"b": 1.5}, "rows": [{"x": 1, "y": 2}], "s": "y"})) == []
    assert lacking(old, schema({"a": {}, "rows": [{"y": 1}], "s": 1})) == [
        "/a/b",
        "/rows[]/x",
        "/s",
    ]


@pytest.mark.parametrize("version", range(1, SCHEMA_VERSION + 1))
def test_every_version_is_read(version):
    path = FROZEN / f"analysis-{version}.json"
    numbers = read_numbers(path)
    assert numbers["schema_version"] == version
    newest = read_numbers(FROZEN / f"analysis-{SCHEMA_VERSION}.json")
    assert numbers.keys() == newest.keys()
    moved = schema({key: numbers[key] for key in ("per_class", "per_image")})
    assert moved == schema({key: newest[key] for key in ("per_class", "per_image")})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (json.dumps({"schema_version": SCHEMA_VERSION + 1}), "of a newer release: .* Upgrade"),
        ("[]", "it has no schema version"),
        ('{"schema_version": true}', "it has no schema version"),
        ('{"schema_version": 0}', "it has no schema version"),
        ('{"schema_version": 1', "cannot be read"),
        ('{"schema_version": NaN}', "cannot be read"),
    ],
)
def test_each_way_to_be_wrong_has_its_message(tmp_path, text, message):
    path = tmp_path / "analysis.json"
    path.write_text(text)
    with pytest.raises(UserError, match=rf"analysis\.json.*{message}"):
        read_numbers(path)


def test_no_file_is_one_message(tmp_path):
    with pytest.raises(UserError, match=r"missing\.json cannot be read"):
        read_numbers(tmp_path / "missing.json")
