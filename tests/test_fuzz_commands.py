"""Altered studies through the commands: each is analysed, or refused with one clear message.

Nothing hangs, nothing in a study is executed or unpickled, no file outside it is written. A case is
a copy of a good study with one thing altered; `chromatic-analyze`, `chromatic-studies` and its
cleaning then run on it, from the point where their command line was read. CHROMATIC_FUZZ sets the
number of cases (`make test-fuzz`: 10,000), which take the kinds of alteration in turn.
"""

import contextlib
import json
import os
import random
import shutil
from collections import Counter

import numpy as np
import pytest
from omegaconf import OmegaConf

from chromatic_descent import probe_logits
from chromatic_descent.analyze import run_analysis
from chromatic_descent.data.sources import digits
from chromatic_descent.probe_logits import ProbeLogits, ProbeSliceLogits, Trajectory
from chromatic_descent.studies import run_studies
from chromatic_descent.study import Manifest, Member, Study
from tests.altering import (
    TEXTS,
    VALUES,
    YAMLS,
    altered_array,
    altered_bytes,
    altered_json,
    altered_text,
    put_in_place_of_a_file,
)
from tests.fuzzing import composed, guarded, outcome
from tests.makers import make_record

CASES = int(os.environ.get("CHROMATIC_FUZZ", "16"))
PARTS = 1 if CASES < 1000 else 15  # for processes side by side; each has every kind of alteration
IMAGES, CLASSES = 12, 10
SMALL = ("bootstrap=3", "splits=1", "draws=1", "permutations=1", "tsne=0", "subsets=1")
SMALL += ("distances=[logit_mse,hellinger]", "maps=[hellinger]", "combiners=[mean_probability]")
DRAWN = 21  # one case in so many has its figures drawn, which takes seconds


def part(dice, images, name=""):
    """A slice of random logits; labels are the same for all members."""
    labels = np.arange(images, dtype=np.int64) % CLASSES
    logits = dice.normal(size=(images, CLASSES)) * 2 + 2 * np.eye(CLASSES)[labels]
    if name.startswith("foreign"):
        labels = labels * 0
    return ProbeSliceLogits(logits.astype(np.float32), labels, np.arange(images, dtype=np.int64))


def good_member(name, seed, rate):
    dice = np.random.default_rng([seed, int(10 * rate)])
    slices = {
        name: part(dice, 5, name) for name in ("train", "shift-fog-1", "shift-fog-3", "foreign-x")
    }
    record = make_record(name, seed) | {
        "config": {
            "model": {"_target_": "a.Net", "widths": [1, 2]},
            "optim": {"optimizer": {"_target_": "b.Opt", "lr": rate}},
            "repulsion": {"strength": 0 if rate < 0.3 else 0.1, "term": {"_target_": "c.d"}},
            "trainer": {"max_epochs": 2},
        },
        "dataset": {
            "name": "digits",
            "fingerprint": digits().fingerprint,
            "classes": list(digits().classes),
        },
        "versions": {"python": "3.11.0", "torch": "2.14"},
        "hardware": {"accelerator": "cpu", "device": "x", "threads": 1, "cores": None},
        "slice_hashes": dict.fromkeys(slices, "d" * 64),
        "continued": False,
        "together": [0, 1, 2],
        "references": [{"study": "s", "member": "SEED_0000", "logits_hash": "e" * 64}],
    }
    main = part(dice, IMAGES)
    along = np.stack([main.logits * scale for scale in (0, 0.5, 1)]).astype(np.float32)
    trajectory = Trajectory(along, np.array([0, 1, 2]))
    return ProbeLogits(main.logits, main.labels, main.indices, record, slices, trajectory)


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """A study of two configurations, with everything that a study can hold, analysed once."""
    study = Study(tmp_path_factory.mktemp("good") / "s")
    for seed in range(3):
        for rate in (0.1, 0.5):
            name = f"SEED_{seed:04d}" + ("" if rate == 0.1 else "-lr_0.5")
            made, member = good_member(name, seed, rate), Member(study, name)
            probe_logits.save(member.artefact, made)
            member.write_manifest(Manifest(seed, made.record["config"], "hash", [0, 1, 2], []))
            hydra = member.folder / ".hydra"
            hydra.mkdir()
            (hydra / "overrides.yaml").write_text(f"- seed={seed}\n- optim.lr={rate}\n")
            (hydra / "config.yaml").write_text(OmegaConf.to_yaml(made.record["config"]))
            (member.folder / "checkpoints").mkdir()
            member.checkpoint.write_bytes(b"weights")
    for seed in (7, 8):
        Member(study, f"SEED_{seed:04d}").write_manifest(Manifest(seed, {"a": 1}, "hash", [7, 8]))
    Member(study, "SEED_0007").failure.write_text("out of luck\n\ntrace")
    run_analysis(composed("analyze", f"study={study.path}", *SMALL, "figures=[]"))
    (study.reports / "report.html").unlink()  # large, and no command reads it
    return study


def rewrite(path, change):
    """Save an `.npz` with its arrays changed, as an attacker who knows the format would."""
    with np.load(path, allow_pickle=False) as archive:
        arrays = {name: archive[name] for name in archive}
    np.savez(path, **change(arrays))


def altered_arrays(dice, arrays):
    """Records with values of other types, gone or added; arrays altered, gone, renamed or added."""
    how, key = dice.random(), dice.choice(list(arrays))
    if how < 0.55 and "record" in arrays:
        tree = json.loads(str(arrays["record"]))
        for _ in range(dice.choice((1, 1, 1, 2, 5))):
            tree = altered_json(dice, tree)
        return arrays | {"record": np.array(json.dumps(tree))}
    if how < 0.6:
        return arrays | {key: np.array(dice.choice(TEXTS))}
    if how < 0.7:
        return {name: array for name, array in arrays.items() if name != key}
    if how < 0.8:
        other = dice.choice(["x.logits", "shift-fog.logits", "\x1b[2J.logits", "../x", "foreign-"])
        return {(other if name == key else name): array for name, array in arrays.items()}
    if how < 0.85:
        return {
            name.replace("-fog-", dice.choice(["", "-", "-²-", "x"])): a
            for name, a in arrays.items()
        }
    return arrays | {key: altered_array(dice, arrays[key]) if arrays[key].ndim else arrays[key]}


def artefacts(study):
    return sorted(study.probes.iterdir())


def one_artefact_by_bytes(dice, study):
    path = dice.choice(artefacts(study))
    path.write_bytes(altered_bytes(dice, path.read_bytes()))


def one_artefact_by_structure(dice, study):
    rewrite(dice.choice(artefacts(study)), lambda arrays: altered_arrays(dice, arrays))


def all_artefacts_alike(dice, study):
    """Alter all members alike, so that they agree with each other."""
    throw = dice.randrange(10**9)
    for path in artefacts(study):
        rewrite(path, lambda arrays: altered_arrays(random.Random(throw), arrays))


def all_records_alike(dice, study):
    throw = dice.randrange(10**9)

    def change(arrays):
        own = random.Random(throw)
        tree = json.loads(str(arrays["record"]))
        key = own.choice(list(tree))
        tree[key] = (
            altered_json(own, tree[key])
            if isinstance(tree[key], (dict, list)) and own.random() < 0.8
            else own.choice(VALUES)
        )
        return arrays | {"record": np.array(json.dumps(tree))}

    for path in artefacts(study):
        rewrite(path, change)


def a_manifest(dice, study):
    path = dice.choice(study.members()).manifest
    content = path.read_bytes()
    if dice.random() < 0.5:
        path.write_text(json.dumps(altered_json(dice, json.loads(content))))
    else:
        path.write_bytes(altered_text(dice, content, TEXTS))


def member_configs(dice, study):
    """The same alteration in one or all members."""
    paths = sorted(study.path.glob("SEED_*/.hydra/*.yaml"))
    text = altered_text(dice, dice.choice(paths).read_bytes(), YAMLS)
    for path in paths if dice.random() < 0.5 else [dice.choice(paths)]:
        path.write_bytes(text)


def what_analysis_keeps(dice, study):
    """Its cache, its colours, and what it wrote for people."""
    paths = [p for p in study.path.glob("artifacts/*/*") if p.parent != study.probes]
    often = [p for p in paths if p.parent == study.cache or p.name.startswith("colours")]
    path = dice.choice(often if dice.random() < 0.9 else paths)
    content = path.read_bytes()
    if path.suffix == ".npz" and dice.random() < 0.6:

        def change(arrays):
            if "tree" in arrays and dice.random() < 0.7:
                tree = altered_json(dice, json.loads(str(arrays["tree"])))
                return arrays | {"tree": np.array(json.dumps(tree))}
            return altered_arrays(dice, arrays)

        rewrite(path, change)
    elif path.suffix == ".json" and dice.random() < 0.6:
        tree = json.loads(content)
        for _ in range(dice.choice((1, 3, 20))):
            tree = altered_json(dice, tree)
        path.write_text(json.dumps(tree))
    else:
        path.write_bytes(altered_text(dice, content, TEXTS))


def kinds_of_files(dice, study):
    """Something other than a file or a folder in its place, or a name that no member can have."""
    paths = [p for p in study.path.rglob("*") if p.is_file()] + [study.path / "analysis"]
    member = dice.choice(study.members())
    paths += [member.failure, member.folder / "train.log", member.lock]
    how = dice.random()
    if how < 0.7:
        put_in_place_of_a_file(dice, dice.choice(paths), study.path.parents[1] / "precious")
    elif how < 0.85:
        folder = dice.choice([p for p in study.path.rglob("*") if p.is_dir()])
        shutil.rmtree(folder)
        put_in_place_of_a_file(dice, folder, study.path.parents[1])
    else:
        names = ["SEED_0000 x.npz", "SEED_\x1b[2J.npz", "evil.npz", "SEED_0009.npz", "-rf.npz"]
        path = dice.choice(artefacts(study))
        path.rename(path.with_name(dice.choice(names)))


KINDS = (
    *(one_artefact_by_bytes, one_artefact_by_structure, all_artefacts_alike, all_records_alike),
    *(a_manifest, member_configs, what_analysis_keeps, kinds_of_files),
)


@pytest.mark.parametrize("share", range(PARTS))
def test_altered_studies(share, good, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    root, elsewhere = tmp_path / "multirun", tmp_path / "precious"
    elsewhere.write_text("precious")
    study = Study(root / "s")
    plain, drawn = (
        composed("analyze", f"paths.multirun={root}", "study=s", *SMALL, f"figures={figures}")
        for figures in ("[]", "[png]")
    )
    listing = composed("studies", f"paths.multirun={root}")
    members, cleaning = (
        composed("studies", f"paths.multirun={root}", "study=s", *more)
        for more in ((), ("clean=[checkpoints,failed,interrupted,cache]", "sure=true"))
    )
    counted = Counter()
    for case in range(share, CASES, PARTS):
        alter = KINDS[case % len(KINDS)]
        shutil.rmtree(root, ignore_errors=True)
        shutil.copytree(good.path, study.path)
        alter(random.Random(case), study)
        analysis = drawn if case % DRAWN == 3 else plain
        case = f"case {case}, {alter.__name__}"
        with guarded(case, study.path):
            done = outcome(case, run_analysis, analysis)
            outcome(case, run_studies, listing)
            outcome(case, run_studies, members)
            outcome(case, run_studies, cleaning)
        counted[alter.__name__, done] += 1
        if done:
            numbers = json.loads((study.reports / "analysis.json").read_text())
            assert 0 < len(numbers["members"]["table"]) <= 7, case
        if alter is what_analysis_keeps and done:
            same_numbers(case, numbers, good)
        assert elsewhere.read_text() == "precious", case
        assert sorted(p.name for p in tmp_path.iterdir()) == ["multirun", "precious"], case
    with capsys.disabled():
        print(
            "".join(
                f"\n{kind}: {n} {'analysed' if done else 'refused'}"
                for (kind, done), n in sorted(counted.items())
            )
        )
    for kind in KINDS:
        assert counted[kind.__name__, True] + counted[kind.__name__, False] > 0
    assert {done for _, done in counted} == {True, False}


def same_numbers(case, numbers, good):
    """A cache that was altered changes no number."""
    wanted = json.loads((good.reports / "analysis.json").read_text())
    for section in ("members", "distances", "maps", "ensembles", "groups", "drivers", "nulls"):
        assert numbers[section] == wanted[section], (case, section)


def test_altered_options(good, tmp_path, monkeypatch):
    """Configs of the analysis itself: any value for any option."""
    monkeypatch.chdir(tmp_path)
    study = Study(tmp_path / "multirun" / "s")
    shutil.copytree(good.path, study.path)
    asked = composed(
        "analyze", f"paths.multirun={study.path.parent}", "study=s", *SMALL, "figures=[]"
    )
    counts = ("bootstrap", "splits", "draws", "permutations", "subsets", "tsne", "umap", "seed")
    options = [key for key in asked if key not in ("paths", "logger", "open")]
    for case in range(max(8, CASES // 10)):
        dice = random.Random(case)
        cfg = asked.copy()
        for key in dice.sample(options, dice.choice((1, 1, 2))):
            fit = [v for v in VALUES if not (key in counts and v == 10**30)]  # is asked for
            fit = [v for v in fit if not isinstance(v, str) or v.isprintable()]  # is one's own
            tree = OmegaConf.to_container(cfg[key]) if OmegaConf.is_config(cfg[key]) else None
            value = altered_json(dice, tree) if tree and dice.random() < 0.5 else dice.choice(fit)
            with contextlib.suppress(Exception):  # what OmegaConf itself refuses
                OmegaConf.update(cfg, key, value, merge=False)
        with guarded(f"case {case}: {cfg}", tmp_path):
            outcome(f"case {case}: {cfg}", run_analysis, cfg)
