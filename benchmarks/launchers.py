"""Claim: members in joblib's processes take at most 0.9 of their time one after another.

The commands are `python -m chromatic_descent.train -m 'seed=range(12)'`, the default study, whose
members are trained in turn with all the cores, and the same with `launcher=joblib`: a process a
core, each training with one thread. Wall times, start and imports included; both sweeps train all
their members, which is checked.
"""

import sys
import tempfile
from pathlib import Path
from typing import Any

from chromatic_descent.launchers import at_once
from chromatic_descent.probe_logits import read_record
from measure import claim, timed


def measure(quick: bool) -> dict[str, Any]:
    members = 2 if quick else 12
    shorter = ["data.train_size=1000", "trainer.max_epochs=1", "probe.size=500"] if quick else []

    with tempfile.TemporaryDirectory() as folder:

        def sweep(launcher: str) -> tuple[float, list[dict[str, Any]]]:
            command = [sys.executable, "-m", "chromatic_descent.train", "-m"]
            command += [f"seed=range({members})", f"study={launcher}", f"launcher={launcher}"]
            command += ["trainer.accelerator=cpu"]
            seconds = timed([*command, *shorter], CHROMATIC_MULTIRUN_DIR=folder)[0]
            artefacts = (Path(folder) / launcher / "artifacts" / "probes").glob("*.npz")
            records = [read_record(path) for path in sorted(artefacts)]
            if len(records) != members:
                raise RuntimeError(f"launcher={launcher} completed {len(records)} of {members}")
            return seconds, records

        joblib, apart = sweep("joblib")
        basic, in_turn = sweep("basic")

    def own(records: list[dict[str, Any]]) -> float:
        return sum(r["wall_time"]["train"] + r["wall_time"]["record"] for r in records)

    processes = at_once("cpu", None, 1)
    threads = [records[0]["hardware"]["threads"] for records in (apart, in_turn)]
    return {
        "claims": [
            claim(
                "wall time of a sweep under joblib, a thread a process / under basic",
                [joblib / basic],
                "<= 0.9",
                n=f"1 sweep of {members} members each",
            ),
            claim(
                "the same, of training and recording alone",
                [own(apart) / processes / own(in_turn)],
                n=f"{members} members each",
            ),
        ],
        "absolute": {
            "joblib, s": joblib,
            "basic, s": basic,
            "threads of a member under joblib, under basic": threads,
            "a member's training and recording under joblib, s (mean)": own(apart) / members,
            "the same under basic, s (mean)": own(in_turn) / members,
        },
    }
