"""Claims: a sweep costs at most 5% more than its members; skipping a member, at most 0.3 s.

The command is `python -m chromatic_descent.train -m 'seed=range(12)'`, the default study, a process
of its own in a temporary folder. Its wall time, with imports and reading the data, is divided by
the sum of the training and recording times in its members' artefacts.

Then the same command runs again, which can only skip members, alternately with the same command for
one member, three times each: skipping a member costs the difference of the two, divided by the
difference in members. The benchmark checks that no artefact was written again.
"""

import statistics
import tempfile
import time
from typing import Any

from chromatic_descent.probe_logits import read_record
from measure import claim, own_seconds, sweep


def measure(quick: bool) -> dict[str, Any]:
    members, rounds = (3, 1) if quick else (12, 3)
    with tempfile.TemporaryDirectory() as folder:
        started = time.time_ns()
        process, artefacts = sweep(folder, "sweep", members, quick)
        written = [path.stat().st_mtime_ns for path in artefacts]
        records = [read_record(path) for path in artefacts]
        skips = [
            tuple(sweep(folder, "sweep", count, quick)[0] for count in (members, 1))
            for _ in range(rounds)
        ]
        if len(written) != members or [path.stat().st_mtime_ns for path in artefacts] != written:
            raise RuntimeError("the second sweep trained members that the first had completed")
    seconds = [own_seconds(record) for record in records]
    # The overhead: the time from one artefact to the next (in the order of training, which is that
    # of their names) minus the member's own time.
    overhead = [
        (end - begin) / 1e9 - own
        for begin, end, own in zip([started, *written[:-1]], written, seconds, strict=True)
    ]
    per_skip = [(many - one) / (members - 1) for many, one in skips]
    return {
        "claims": [
            claim(
                "wall time of a sweep / sum of its members' training and recording",
                [process / sum(seconds)],
                "<= 1.05",
                n=f"1 sweep of {members} members",
            ),
            claim(
                "time to skip a complete member",
                per_skip,
                "<= 0.3",
                unit="s",
                n=f"{rounds} x ({members} members against 1)",
            ),
            claim(
                "time to skip a complete member / to train and record it",
                [skip / statistics.median(seconds) for skip in per_skip],
            ),
        ],
        "absolute": {
            "sweep, s": process,
            "members, sum, s": sum(seconds),
            "overhead of the start and the first member, s": overhead[0],
            "overhead of each further member, s (median)": statistics.median(overhead[1:]),
            "overhead after the last, s": process - (written[-1] - started) / 1e9,
            "a member's training and recording, s (median)": statistics.median(seconds),
            f"sweep that skips {members}, s": [many for many, _ in skips],
            "sweep that skips 1, s": [one for _, one in skips],
            "accuracy (median)": statistics.median(r["accuracy"] for r in records),
        },
    }
