"""Claim: members in joblib's processes take at most 0.9 of their time one after another.

The commands are `python -m chromatic_descent.train -m 'seed=range(12)'`, the default study, whose
members are trained one after another with all cores, and the same with `launcher=joblib`: one
process per core, each training with one thread. Wall times include start and imports; the benchmark
checks that both sweeps train all their members.
"""

import tempfile
from typing import Any

from chromatic_descent.launch.slots import at_once
from chromatic_descent.probe_logits import read_record
from measure import claim, own_seconds, sweep


def measure(quick: bool) -> dict[str, Any]:
    members = 2 if quick else 12
    with tempfile.TemporaryDirectory() as folder:

        def under(launcher: str) -> tuple[float, list[dict[str, Any]]]:
            options = (f"launcher={launcher}", "trainer.accelerator=cpu")
            seconds, artefacts = sweep(folder, launcher, members, quick, *options)
            if len(artefacts) != members:
                raise RuntimeError(f"launcher={launcher} completed {len(artefacts)} of {members}")
            return seconds, [read_record(path) for path in artefacts]

        joblib, apart = under("joblib")
        basic, in_turn = under("basic")

    def own(records: list[dict[str, Any]]) -> float:
        return sum(map(own_seconds, records))

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
