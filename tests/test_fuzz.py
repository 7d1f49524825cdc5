"""Altered files: each is read as what it was, or refused with one clear message; nothing else.

A hundred of each kind here; CHROMATIC_FUZZ=10000, as in `make test-fuzz`, for more. What the
commands make of them: tests/test_fuzz_commands.py.
"""

import dataclasses
import json
import os
import random
import shutil
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from chromatic_descent import probe_logits
from chromatic_descent.analysis import NotComputed, storage
from chromatic_descent.analysis.configurations import group_members, plainest
from chromatic_descent.analysis.dimension import Dimension
from chromatic_descent.analysis.factors import varied
from chromatic_descent.errors import UserError
from chromatic_descent.import_members import run_import
from chromatic_descent.importing.checkpoints import load_weights
from chromatic_descent.probe_logits import ArtefactError, Trajectory
from chromatic_descent.study import Manifest, Member, Study
from chromatic_descent.study.population import load_study
from tests.altering import TEXTS, altered_array, altered_bytes, altered_json
from tests.fuzzing import composed, guarded, outcome
from tests.makers import make_member

CASES = range(int(os.environ.get("CHROMATIC_FUZZ", "100")))
LONGEST = 5  # seconds for one case: none may hang


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
    references = [{"member": "SEED_0001"}]
    member.write_manifest(Manifest(2, {"optim": {"lr": 0.1}}, "hash", [1, 2], references))
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
    bands = {"a": np.arange(6.0)}
    table = pd.DataFrame({"x": [1, 2]})
    whole = Dimension(table, {"p": [0.5]}, bands, NotComputed("too few members"))
    storage.save(path, whole, "key")
    content = path.read_bytes()
    for case in CASES:
        path.write_bytes(altered_bytes(random.Random(case), content))
        start = time.monotonic()
        result = storage.load(path, "key", Dimension)
        assert time.monotonic() - start < LONGEST
        assert result is None or np.array_equal(result.null_bands["a"], bands["a"]), case


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


def altered_file(dice, path, array):
    """A `.npy` or `.npz` of one array, or of something else."""
    if dice.random() < 0.5:
        array = altered_array(dice, array)
    if path.suffix == ".npy":
        np.save(path, array)
    else:
        np.savez(path, **{dice.choice([path.stem, "x"]): array})
    if dice.random() < 0.5:
        path.write_bytes(altered_bytes(dice, path.read_bytes()))


def test_altered_imports(tmp_path):
    """Logits, labels and indices of another's networks, through `chromatic-import`."""
    drawn = np.random.default_rng(0).normal(size=(2, 4, 3))
    arrays = {"logits": drawn, "labels": np.arange(4) % 3, "indices": np.arange(4)}
    root = tmp_path / "multirun"
    cfg = composed("import", "study=s", f"paths.multirun={root}")
    imported = 0
    for case in CASES:
        dice = random.Random(case)
        shutil.rmtree(root, ignore_errors=True)
        root.mkdir()
        for key, array in arrays.items():
            path = tmp_path / f"{key}{dice.choice(['.npy', '.npz'])}"
            np.save(path, array) if path.suffix == ".npy" else np.savez(path, **{key: array})
            cfg[key] = str(path)
        key = dice.choice(list(arrays))
        altered_file(dice, Path(cfg[key]), arrays[key])
        with guarded(f"case {case}", root):
            imported += outcome(f"case {case}", run_import, cfg)
        for member in Study(root / "s").members():
            probe_logits.load(member.artefact)  # what was imported can be read
    assert 0 < imported < len(CASES)


def test_altered_checkpoints(tmp_path):
    network, path = torch.nn.Linear(2, 3), tmp_path / "weights.pt"
    torch.save({"state_dict": network.state_dict()}, path)
    content = path.read_bytes()
    for case in CASES:
        path.write_bytes(altered_bytes(random.Random(case), content))
        with guarded(f"case {case}", tmp_path):
            checked(case, lambda: load_weights(network, path))
