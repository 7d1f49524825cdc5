"""Claim: a member reaches 0.80 test accuracy on CIFAR-10 in an eighth of the usual way's time.

The framework trains `experiment=standard` for the fewest epochs that end at 0.80; a linear schedule
has to be told its length, so the whole run counts. The usual way is `usual_way.py`: Lightning,
per-image transforms, a DataLoader, float32, a plain network of 419,000 parameters, one cycle of SGD
of the fewest epochs that reach 0.80; it stops at the first epoch that does. The number of its
workers is the fastest of those tried here, on part of an epoch.

The claim compares training times, from the call of `Trainer.fit`; evaluating the 10,000 test images
is left out for both (once for the framework, after each epoch for the usual way). The same ratio
with evaluation, and with whole processes, is reported beside it. Every run is a process of its own;
members are trained before and after the usual way, so that a machine that drifts does not decide.

What the ratio is made of: a smaller network and an optimiser that need fewer passes, bfloat16, and
augmentation in batches. It compares recipes, not frameworks; `throughput.py` has Lightning's share.
"""

import json
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

from chromatic_descent.probe_logits import read_record
from measure import claim, member_config, timed

TARGET = 0.80  # test accuracy
EPOCHS = 2  # of experiment=standard
USUAL_EPOCHS = 6


def member(folder: str, seed: int, *overrides: str) -> dict[str, float]:
    """Train one member as `chromatic-train` does; seconds and accuracy, from its artefact."""
    command = [sys.executable, "-m", "chromatic_descent.train", "experiment=standard"]
    process, _ = timed(
        [*command, f"seed={seed}", "study=members", *overrides], CHROMATIC_MULTIRUN_DIR=folder
    )
    probes = Path(folder) / "members" / "artifacts" / "probes"
    record = read_record(probes / f"SEED_{seed:04d}.npz")
    wall = record["wall_time"]
    return {
        "train": wall["train"],
        "evaluate": wall["record"],
        "process": process,
        "accuracy": record["accuracy"],
    }


def usual_way(**options: Any) -> dict[str, Any]:
    flags = [f"--{key.replace('_', '-')}={value}" for key, value in options.items()]
    script = str(Path(__file__).with_name("usual_way.py"))
    process, printed = timed([sys.executable, script, *flags])
    return {**json.loads(printed.splitlines()[-1]), "process": process}


def measure(quick: bool) -> dict[str, Any]:
    root = member_config().paths.data
    overrides = [f"trainer.max_epochs={1 if quick else EPOCHS}"]
    overrides += ["data.train_size=2000", "probe.size=500"] if quick else []
    small = {"images": 1280, "test_images": 500, "epochs": 1}
    length = small if quick else {"epochs": USUAL_EPOCHS}
    part = {"images": 640 if quick else 6400, "test_images": 500, "epochs": 2}
    target = 0.1 if quick else TARGET
    with tempfile.TemporaryDirectory() as folder:
        members = [member(folder, 0, *overrides)]
        speeds = {}  # images/s by number of workers, in the second epoch, once they have started
        for workers in [2] if quick else [0, 2]:
            first, second = usual_way(root=root, workers=workers, target=2, **part)["epochs"]
            speeds[workers] = part["images"] / (second["train"] - first["train"])
        best = max(speeds, key=lambda workers: speeds[workers])
        usual = usual_way(root=root, workers=best, target=target, **length)
        members += [] if quick else [member(folder, 1, *overrides)]
    last = usual["epochs"][-1]
    usual_times = {
        "train": last["train"],
        "train and evaluate": last["train"] + sum(e["evaluate"] for e in usual["epochs"]),
        "process": usual["process"],
    }
    times = {
        "train": [m["train"] for m in members],
        "train and evaluate": [m["train"] + m["evaluate"] for m in members],
        "process": [m["process"] for m in members],
    }
    reached = last["accuracy"] >= target and all(m["accuracy"] >= target for m in members)
    ratios = [usual_times["train"] / seconds for seconds in times["train"]]
    return {
        "claims": [
            claim(
                f"training time to {target:.2f} on CIFAR-10, the usual way / the framework",
                ratios if reached else [],
                ">= 8",
                n=f"{len(members)} members, 1 run the usual way",
            )
        ],
        "absolute": {
            "members' overrides of experiment=standard": overrides,
            "members' test accuracy": [m["accuracy"] for m in members],
            "usual way's test accuracy by epoch": [e["accuracy"] for e in usual["epochs"]],
            "usual way's parameters": usual["parameters"],
            "usual way's images/s by number of workers, tried on part of an epoch": speeds,
            "usual way's workers, the fastest": best,
            "seconds, framework (median)": {k: statistics.median(v) for k, v in times.items()},
            "seconds, usual way": usual_times,
            "ratio": {k: usual_times[k] / statistics.median(v) for k, v in times.items()},
        },
    }
