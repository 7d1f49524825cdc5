"""Records of every version: files that the code of their time wrote, see tests/frozen/README.md."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from chromatic_descent import probe_logits
from chromatic_descent.files.hashing import content_hash
from chromatic_descent.probe_logits import identity
from chromatic_descent.probe_logits.identity import config_hash, upgraded
from chromatic_descent.probe_logits.record import (
    RECORD_KEYS,
    SCHEMA_VERSION,
    UPGRADES,
    parse_record,
)
from chromatic_descent.study import Study
from chromatic_descent.study.population import load_study

FROZEN = Path(__file__).parents[1] / "frozen"
SHIFTS = {
    f"shift-{kind}-{severity}"
    for kind in (
        "gaussian_blur",
        "brightness",
        "contrast",
        "gaussian_noise",
        "pixelate",
        "rotation",
    )
    for severity in (1, 2)
}
HOLDS = {  # name: version, slices, epochs of the trajectory, the logits' hash
    "SEED_0000": (1, {"train"}, None, "e6894a87e306"),
    "SEED_0001": (1, set(), [0, 1, 2], "78cbdd6104e2"),
    "SEED_0002": (1, {*SHIFTS, "foreign-digits", "foreign-noise"}, None, "50844c81798d"),
    "SEED_0003-theirs": (1, set(), None, "c85e239a9267"),
    "SEED_0004": (1, set(), None, "40470beeebe3"),
    "SEED_0006": (2, {*SHIFTS, "train"}, [0, 1, 2], "4a43ab0cb793"),
    "SEED_0007-theirs": (2, set(), None, "c85e239a9267"),
    "SEED_0008": (3, {*SHIFTS, "train"}, [0, 1, 2], "c7b2de025533"),
}


def test_there_is_a_file_of_every_version():
    assert {path.stem for path in FROZEN.glob("*.npz")} == set(HOLDS)
    assert {version for version, *_ in HOLDS.values()} == set(range(1, SCHEMA_VERSION + 1))
    assert set(UPGRADES) == set(range(1, SCHEMA_VERSION))


@pytest.mark.parametrize("name", HOLDS)
def test_a_file_of_every_version_is_read_as_todays(name):
    path = FROZEN / f"{name}.npz"
    version, slices, epochs, digest = HOLDS[name]
    with np.load(path) as archive:
        written = json.loads(str(archive["record"]))
    assert written["schema_version"] == version
    member = probe_logits.load(path)
    assert content_hash(member.logits).startswith(digest)
    assert set(member.slices) == slices
    assert set(member.record["slice_hashes"]) == slices
    assert (member.trajectory.epochs.tolist() if member.trajectory else None) == epochs
    assert member.record["schema_version"] == SCHEMA_VERSION
    assert RECORD_KEYS.keys() <= member.record.keys()
    written = upgraded(written)
    assert {**member.record, **written} == {**member.record, "schema_version": version}
    assert config_hash(member.record["config"]) == member.record["config_hash"]
    assert probe_logits.read_record(path) == member.record


def test_members_of_several_versions_are_one_population(tmp_path):
    shutil.copytree(FROZEN, tmp_path / "s" / "artifacts" / "probes")
    population, missing = load_study(Study(tmp_path / "s"))
    assert population.names == sorted(HOLDS)
    assert missing == []


def test_versions_are_upgraded_one_after_another(monkeypatch, tmp_path):
    monkeypatch.setattr("chromatic_descent.probe_logits.record.SCHEMA_VERSION", 5)
    for version, key in [(3, "finished"), (4, "two")]:
        monkeypatch.setitem(
            UPGRADES,
            version,
            lambda record, key=key, v=version: {**record, "two": record[key] + "!" * v},
        )
    written = probe_logits.read_record(FROZEN / "SEED_0000.npz")
    finished = written["finished"]
    for version, marks in [(3, 7), (4, 4)]:
        record = {**written, "schema_version": version, "two": finished}
        latest = parse_record(json.dumps(record), tmp_path)
        assert latest["schema_version"] == 5
        assert latest["two"] == finished + "!" * marks


def test_a_record_of_todays_version_has_the_keys_that_its_options_gained(monkeypatch):
    path = FROZEN / "SEED_0008.npz"
    with np.load(path) as archive:
        text = str(archive["record"])
    gained = {"chromatic_descent.data.Probe": {"later": False}}
    monkeypatch.setattr(identity, "_GAINED", gained)
    record = parse_record(text, path)
    assert record["config"]["data"]["probe"]["later"] is False
    assert record["config_hash"] == identity.config_hash(record["config"])
