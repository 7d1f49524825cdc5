"""Members and populations that many tests need."""

import dataclasses
import functools
import json

import numpy as np

from chromatic_descent.probe_logits import Population, ProbeLogits, ProbeSliceLogits, Trajectory
from chromatic_descent.probe_logits.record import SCHEMA_VERSION
from chromatic_descent.study import Member

QUICK = {
    "bootstrap": 5,
    "draws": 9,
    "permutations": 9,
    "splits": 2,
    "subsets": 3,
    "tsne": 0,
}
QUICK_OPTIONS = tuple(f"{key}={value}" for key, value in QUICK.items())  # on a command line


def make_record(name="SEED_0000", seed=0, probe_hash="a" * 64):
    return {
        "schema_version": SCHEMA_VERSION,
        "member": name,
        "seed": seed,
        "config": {"optim": {"lr": 0.1}},
        "config_hash": "c" * 64,
        "probe_hash": probe_hash,
        "slice_hashes": {},
        "dataset": {"name": "toy", "fingerprint": "f" * 64, "classes": ["a", "b", "c"]},
        "accuracy": 0.5,
        "precision": "32-true",
        "versions": {},
        "hardware": {},
        "wall_time": {"train": 1.0, "record": 0.1},
        "finished": "2026-01-01T00:00:00+00:00",
    }


def make_member(name="SEED_0000", seed=0, probe_hash="a" * 64, images=6):
    rng = np.random.default_rng(seed)
    labels = np.arange(images, dtype=np.int64) % 3
    return ProbeLogits(
        rng.normal(size=(images, 3)).astype(np.float32),
        labels,
        np.arange(images, dtype=np.int64),
        make_record(name, seed, probe_hash),
        {"train": ProbeSliceLogits(np.ones((4, 3), np.float32), labels[:4], labels[:4])},
    )


def with_trajectory(member, epochs=(0, 2), dtype=np.float32):
    logits = np.stack([member.logits * k for k in range(len(epochs))]).astype(dtype)
    return dataclasses.replace(member, trajectory=Trajectory(logits, np.array(epochs)))


def make_population(members=6, images=60, classes=4, seed=0, configs=None, epochs=None):
    rng = np.random.default_rng(seed)
    labels = rng.integers(classes, size=images)
    common = 2 * np.eye(classes)[labels]
    shape = (members, images, classes) if epochs is None else (members, epochs, images, classes)
    logits = (common + rng.normal(size=shape)).astype(np.float32)
    records = [
        {
            "member": f"SEED_{s:04d}",
            "seed": s,
            "probe_hash": "p" * 64,
            "config_hash": "c" * 64,
            "config": {} if configs is None else configs[s],
            "precision": "32-true",
            "versions": {"torch": "2"},
            "hardware": {"device": "toy"},
            "wall_time": {"train": 1.0, "record": 0.1},
            "dataset": {"name": "toy", "fingerprint": "f", "classes": list("abcd")[:classes]},
        }
        for s in range(members)
    ]
    return Population(
        logits=logits if epochs is None else logits[:, -1],
        labels=labels,
        indices=np.arange(images),
        records=records,
        trajectories=None if epochs is None else logits,
        epochs=None if epochs is None else np.arange(epochs),
    )


def complete_member(study, name):
    """A member that counts as complete, with an empty artefact."""
    member = Member(study, name)
    member.artefact.parent.mkdir(parents=True, exist_ok=True)
    member.artefact.touch()
    return member


def contents(path):
    """An artefact's arrays, to the bit, and its record without the keys that differ between runs."""
    with np.load(path, allow_pickle=False) as archive:
        arrays = {name: archive[name] for name in archive}
    record = json.loads(str(arrays.pop("record")))
    kept = {
        key: value
        for key, value in record.items()
        if key not in ("wall_time", "finished", "continued")
    }
    return kept, {name: (a.dtype, a.shape, a.tobytes()) for name, a in arrays.items()}


CLASSES, IMAGES, SHIFTED = 4, 200, 50
RECIPES = {  # suffix: (config, how far members are spread)
    "": ({"repulsion": {"strength": 0.0}, "model": {"widths": [16]}}, 1.0),
    "repulsion.strength_0.1": ({"repulsion": {"strength": 0.1}, "model": {"widths": [16]}}, 1.5),
    "repulsion.strength_1": ({"repulsion": {"strength": 1.0}, "model": {"widths": [16]}}, 3.0),
    "model.widths_32": ({"repulsion": {"strength": 0.0}, "model": {"widths": [32]}}, 0.5),
}


def make_trial(seeds=5, recipes=RECIPES, slices=True):
    """Members of several recipes: those of one seed share half of what sets them apart."""
    rng = np.random.default_rng(0)
    labels = rng.integers(CLASSES, size=IMAGES)
    own = {seed: rng.normal(size=(IMAGES, CLASSES)) for seed in range(seeds)}
    names = [f"shift-{kind}-{k}" for kind in ("contrast", "gaussian_blur") for k in (1, 2)]
    logits, records = [], []
    parts = {name: [] for name in [*names, "foreign-digits", "foreign-noise"]}
    for suffix, (config, spread) in recipes.items():
        for seed in range(seeds):
            apart = (own[seed] + rng.normal(size=(IMAGES, CLASSES))) * spread
            logits.append(2 * np.eye(CLASSES)[labels] + apart)
            for name, found in parts.items():
                severity = 0.3 * int(name[-1]) if name in names else 0.0
                signal = (2 - severity) * np.eye(CLASSES)[labels[:SHIFTED]] if severity else 0
                found.append(signal + spread * rng.normal(size=(SHIFTED, CLASSES)))
            name = f"SEED_{seed:04d}" + (f"-{suffix}" if suffix else "")
            records.append(
                {
                    "member": name,
                    "seed": seed,
                    "config": config,
                    "probe_hash": "p" * 64,
                    "wall_time": {"train": 10.0 + seed + spread},
                    "dataset": {"name": "toy", "classes": list("abcd")},
                }
            )
    return Population(
        logits=np.array(logits, dtype=np.float32),
        labels=labels,
        indices=np.arange(IMAGES),
        records=records,
        slices={
            name: ProbeSliceLogits(
                np.array(found, dtype=np.float32),
                labels[:SHIFTED] if name in names else np.zeros(SHIFTED, dtype=np.int64),
                np.arange(SHIFTED),
            )
            for name, found in parts.items()
        }
        if slices
        else {},
    )


def make_pool_data(**options):
    """Made images of which 24 are held out of training and not recorded."""
    from chromatic_descent.data import ImageData, Probe, sources  # imports torch

    source = functools.partial(sources.synthetic, train_images=96, test_images=16, image_size=8)
    return ImageData(source, **{"heldout_size": 32, "probe": Probe(heldout=8), **options})
