"""Altered files: each is read as what it was, or refused with one clear message; nothing else.

A hundred of each kind here; CHROMATIC_FUZZ=10000, as in `make test-fuzz`, for more.
"""

import dataclasses
import json
import os
import random
import time

import numpy as np
import pandas as pd
import pytest

from chromatic_descent import probe_logits
from chromatic_descent.analysis import results
from chromatic_descent.analysis.drivers import varied
from chromatic_descent.analysis.groups import group_members, plainest
from chromatic_descent.analyze import load_study
from chromatic_descent.errors import UserError
from chromatic_descent.probe_logits import ArtefactError, Trajectory
from chromatic_descent.study import Member, Study
from tests.test_probe_logits import make_member

CASES = range(int(os.environ.get("CHROMATIC_FUZZ", "100")))
LONGEST = 5  # seconds for one case: none may hang
VALUES = [
    None, True, False, 0, -1, 1e308, 10**30, "", "x", "../../x", "<script>", "\x1b[2J", "\ud800", "\n",
    [], {}, [[]], ["a", "b", "c"], {"_target_": "os.abort"}, "${oc.env:HOME}", "NaN", [None] * 3,
]  # fmt: skip
TEXTS = [
    "",
    "null",
    "[]",
    "{",
    "NaN",
    '{"a": NaN}',
    "[" * 10**5,
    '{"a":' * 10**5,
    "9" * 5000,
    "1e999",
    "\x00",
]


def altered_bytes(dice, content):
    """One to three of: a byte changed, a piece lost, doubled or moved, the end cut off."""
    content = bytearray(content)
    for _ in range(dice.randint(1, 3)):
        a, b = sorted(dice.randrange(len(content) + 1) for _ in range(2))
        b = min(b, a + 50)
        how = dice.randrange(5)
        if how == 0 and a < len(content):
            content[a] ^= dice.randint(1, 255)
        elif how == 1:
            del content[a:b]
        elif how == 2:
            content[a:a] = content[a:b]
        elif how == 3:
            content[a:b] = dice.randbytes(b - a)
        elif content:
            del content[a:]
    return bytes(content)


def altered_json(dice, tree):
    """A value anywhere in the tree replaced, removed or added."""
    tree = json.loads(json.dumps(tree))
    node = tree
    while True:
        keys = list(node) if isinstance(node, dict) else list(range(len(node)))
        if not keys or dice.random() < 0.2:
            break
        key = dice.choice(keys)
        if isinstance(node[key], (dict, list)) and node[key] and dice.random() < 0.7:
            node = node[key]
            continue
        if dice.random() < 0.3:
            del node[key]
        else:
            node[key] = dice.choice(VALUES)
        return tree
    if isinstance(node, dict):
        node[dice.choice(["a", "_target_", "seed", "__class__"])] = dice.choice(VALUES)
    else:
        node.append(dice.choice(VALUES))
    return tree


def altered_array(dice, array):
    """Another type, shape or value."""
    how = dice.randrange(6)
    if how == 0:
        return array.astype(dice.choice(["f8", "i4", "U3", "c8", "f2", "?"]))
    if how == 1:
        return array[: dice.randrange(len(array) + 1)]
    if how == 2:
        return array[None]
    if how == 3:
        return np.array(
            dice.choice([0, np.nan, -1]), dtype=array.dtype if array.dtype.kind == "f" else "f4"
        )
    array = array.copy()
    extremes = [np.nan, np.inf, 3e38] if array.dtype.kind == "f" else [-1, 2**62, -(2**62)]
    array.flat[dice.randrange(array.size)] = dice.choice(extremes)
    return array


def whole_member():
    member = make_member("SEED_0001", 1)
    along = np.stack([member.logits, member.logits])
    return dataclasses.replace(member, trajectory=Trajectory(along, np.array([0, 2])))


@pytest.fixture
def study(tmp_path):
    """A good member; the second is to be altered."""
    study = Study(tmp_path / "multirun" / "s")
    for name, member in [("SEED_0000", make_member()), ("SEED_0001", whole_member())]:
        probe_logits.save(Member(study, name).artefact, member)
    return study


def checked(case, read):
    """Whether a file was read; if not, that was said in a UserError that names a file."""
    start = time.monotonic()
    try:
        read()
        return True
    except UserError as error:
        assert str(error), case
        str(error).encode()
        return False
    finally:
        assert time.monotonic() - start < LONGEST, case


def test_altered_files(study):
    path = Member(study, "SEED_0001").artefact
    whole, content = whole_member(), path.read_bytes()
    read = 0
    for case in CASES:
        path.write_bytes(altered_bytes(random.Random(case), content))
        if checked(case, lambda: load_study(study)):
            read += 1
            loaded = probe_logits.load(path)
            assert np.array_equal(loaded.logits, whole.logits), case  # bookkeeping of the zip
            assert loaded.record == whole.record, case
    assert read < len(CASES) / 2


def arrays_of(member):
    arrays = {"logits": member.logits, "labels": member.labels, "indices": member.indices}
    arrays |= {"trajectory": member.trajectory.logits, "epochs": member.trajectory.epochs}
    part = member.slices["train"]
    return arrays | {
        "train.logits": part.logits,
        "train.labels": part.labels,
        "train.indices": part.indices,
    }


def test_altered_records_and_arrays(study, tmp_path):
    path = Member(study, "SEED_0001").artefact
    member = whole_member()
    outside = {p for p in tmp_path.rglob("*") if study.path not in p.parents}
    read = 0
    for case in CASES:
        dice = random.Random(case)
        record, arrays = member.record, arrays_of(member)
        if dice.random() < 0.7:
            record = altered_json(dice, record)
        else:
            key = dice.choice(list(arrays))
            arrays[key] = altered_array(dice, arrays[key])
        text = dice.choice(TEXTS) if dice.random() < 0.05 else json.dumps(record)
        np.savez(path, record=np.array(text), **arrays)
        read += checked(case, lambda: load_study(study))
    assert read > 0
    assert {p for p in tmp_path.rglob("*") if study.path not in p.parents} == outside


def test_altered_configs_are_data_for_the_analysis():
    members = [make_member(f"SEED_000{seed}", seed) for seed in range(3)]
    config = {"optim": {"lr": 0.1, "name": "x"}, "repulsion": {"strength": 0.1, "term": {"a": 1}}}

    def read(population):
        varied(population)
        plainest(population, group_members(population))

    for case in CASES:
        dice = random.Random(case)
        for member in members:
            member.record["config"] = altered_json(dice, config)
        population = probe_logits.stack(members)
        assert checked(case, lambda population=population: read(population)), case


def test_altered_manifests(study):
    member = Member(study, "SEED_0002")
    member.write_manifest(2, {"optim": {"lr": 0.1}}, "hash", [1, 2], [{"member": "SEED_0001"}])
    content = member.manifest.read_bytes()
    tree = json.loads(content)
    for case in CASES:
        dice = random.Random(case)
        how = dice.random()
        if how < 0.5:
            member.manifest.write_text(json.dumps(altered_json(dice, tree)))
        elif how < 0.6:
            member.manifest.write_text(dice.choice(TEXTS))
        else:
            member.manifest.write_bytes(altered_bytes(dice, content))
        checked(case, member.read_manifest)
        checked(case, member.together)
        assert member.explain().isprintable()
        assert all(other.folder.parent == study.path for other in together(member))


def together(member):
    try:
        return member.together()
    except UserError:
        return []


def test_altered_caches_are_computed_again(tmp_path):
    path = tmp_path / "nulls.npz"
    whole = {"a": np.arange(6.0), "t": pd.DataFrame({"x": [1, 2]}), "n": {"p": 0.5}}
    results.save(path, whole, "key")
    content = path.read_bytes()
    for case in CASES:
        path.write_bytes(altered_bytes(random.Random(case), content))
        start = time.monotonic()
        found = results.load(path, "key")
        assert time.monotonic() - start < LONGEST
        assert found is None or np.array_equal(found["a"], whole["a"]), case


def test_a_mutation_of_an_artefact_is_never_another_member(study):
    """A record that names another member does not become that member."""
    member = whole_member()
    member.record["member"] = "SEED_0000"
    np.savez(
        Member(study, "SEED_0001").artefact,
        record=np.array(json.dumps(member.record)),
        **arrays_of(member),
    )
    with pytest.raises(ArtefactError, match="is the artefact of SEED_0000"):
        load_study(study)
