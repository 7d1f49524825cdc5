"""Processes killed at random moments leave a study that continues to the same result.

Two processes work on one study. Each is killed at a random moment and at once started again with the
same command, until the study is complete; then in a new folder, until there were enough kills.
CHROMATIC_FAULTS_SEED=N repeats the random moments of an earlier run.
"""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest
from filelock import FileLock

from chromatic_descent.study import Member, Study
from tests.makers import contents

pytestmark = pytest.mark.faults

DIGITS = ("-m", "experiment=demo", "threads=1", "trainer.accelerator=cpu")
LONGEST = 1800  # seconds for a study: no run may hang
# Times as multiples of importing and training one member undisturbed, which takes twice as long with
# another process beside it.
LIFE = 1.5  # within which a process is killed, if at any time
PATIENCE = 3.0  # after which a process is killed if it did not write, and was to be killed writing
# When to kill: at any time, or while the process has a half-written file of this kind.
MOMENTS = ("any", "any", "checkpoint", "artefact", "folder")


@dataclass
class Life:
    """A process on the study, and when it is to be killed."""

    process: subprocess.Popen
    log: Path
    moment: str
    until: float  # by the monotonic clock
    spared: int  # half-written files that it may finish first
    writes: bool = False  # whether it had a half-written file at the last look

    @property
    def half_written(self) -> str:
        """The part that the names of its half-written files share."""
        return f".{self.process.pid}.tmp"


@pytest.mark.parametrize(
    ("options", "kills"),
    [
        (("seed=range(12)", "trainer.max_epochs=24"), 100),
        (
            ("seed=0,4,8", "population=joint", "population.members=4", "trainer.max_epochs=10"),
            20,
        ),
    ],
    ids=["alone", "together"],
)
def test_killed_at_random_moments_a_study_ends_as_if_nothing_had_happened(
    options, kills, tmp_path, capsys
):
    seed = int(os.environ.get("CHROMATIC_FAULTS_SEED", time.time_ns() % 10**6))
    dice, began = random.Random(seed), time.monotonic()
    calm = Study(tmp_path / "multirun" / "calm")
    first = undisturbed(calm, options, tmp_path / "calm.log")
    calm_took = time.monotonic() - began
    delivered, rounds, found = 0, 0, Counter()
    while delivered < kills:
        rounds += 1
        study = Study(tmp_path / "multirun" / f"round{rounds}")
        logs = tmp_path / f"logs{rounds}"
        logs.mkdir()
        moments = disturb(study, options, logs, kills - delivered, dice, first)
        delivered += moments.total()
        found += moments
        check(study, calm, options, logs)
        shutil.rmtree(study.path)
    took = time.monotonic() - began
    with capsys.disabled():
        print(
            f"\nCHROMATIC_FAULTS_SEED={seed}: {delivered} kills over {rounds} studies of 12 "
            f"members, {took:.0f} s, of which {calm_took:.0f} s undisturbed. When they fell: "
            + ", ".join(f"{what} {number}" for what, number in found.most_common())
        )
    assert delivered == kills
    assert sum(number for what, number in found.items() if "half-written" in what) >= kills / 20


def start(study, options, log):
    command = [sys.executable, "-m", "chromatic_descent.train", *DIGITS, *options]
    command += [f"study={study.name}", f"paths.multirun={study.path.parent}"]
    with log.open("w") as file:
        return subprocess.Popen(command, cwd=log.parent, stdout=file, stderr=subprocess.STDOUT)


def undisturbed(study, options, log):
    """Train a study from beginning to end; return the seconds until its first member was complete."""
    began, first = time.monotonic(), None
    process = start(study, options, log)
    while process.poll() is None:
        if first is None and any(complete(study)):
            first = time.monotonic() - began
        time.sleep(0.01)
    assert process.returncode == 0, log.read_text()
    assert all(complete(study))
    return first


def disturb(study, options, logs, kills, dice, first):
    """Let two processes complete the study, killing them up to `kills` times; count what they did."""
    seen, killed, number, began = {}, Counter(), 0, time.monotonic()

    def begin():
        nonlocal number
        number += 1
        moment = dice.choice(MOMENTS)
        patience = first * (dice.uniform(0, LIFE) if moment == "any" else PATIENCE)
        spared = dice.choice((0, 0, 1, 5, 20)) if moment == "checkpoint" else dice.randrange(2)
        log = logs / f"{number:03d}.log"
        process = start(study, options, log)
        return Life(process, log, moment, time.monotonic() + patience, spared)

    lives = [begin(), begin()]
    try:
        while not all(complete(study)):
            assert time.monotonic() - began < LONGEST, "it does not end"
            watch(study, seen)
            for index, life in enumerate(lives):
                if life.process.poll() is not None:
                    printed = life.log.read_text()
                    assert life.process.returncode in (0, 1), printed
                    assert life.process.returncode == 0 or "is being trained by" in printed, printed
                    lives[index] = begin()
                elif killed.total() < kills and is_due(life, study):
                    life.process.kill()
                    if life.process.wait() == -signal.SIGKILL:
                        killed[what_it_did(life, study)] += 1
                    lives[index] = begin()
            time.sleep(0.0005)
        for life in lives:
            assert life.process.wait(100) in (0, 1), life.log.read_text()
        watch(study, seen)
    finally:
        for life in lives:
            life.process.kill()
            life.process.wait()
    return killed


def complete(study):
    return [Member(study, f"SEED_{seed:04d}").artefact.exists() for seed in range(12)]


def watch(study, seen):
    """No artefact, once it exists, is ever written again or removed."""
    for name, before in seen.items():
        assert identity(study.probes / name) == before, f"{name} was written twice"
    for name in names_in(study.probes):
        if name.startswith("SEED"):
            seen.setdefault(name, identity(study.probes / name))


def identity(path):
    stat = path.stat()
    return stat.st_ino, stat.st_mtime_ns, stat.st_size


def is_due(life, study):
    """Whether it is time to kill a process."""
    if time.monotonic() > life.until:
        return True
    if life.moment == "any":
        return False
    wrote, life.writes = life.writes, half_written(life, study, life.moment)
    if wrote or not life.writes:
        return False
    life.spared -= 1
    return life.spared < 0


def half_written(life, study, kind):
    """Whether the process has a half-written file of a kind in the study."""
    if kind == "artefact":
        folders = [study.probes]
    else:
        inner = ("checkpoints",) if kind == "checkpoint" else ("", ".hydra")
        folders = [study.path / f"SEED_{seed:04d}" / name for seed in range(12) for name in inner]
    return any(life.half_written in name for folder in folders for name in names_in(folder))


def names_in(folder):
    try:
        return [path.name for path in folder.iterdir()]
    except FileNotFoundError:
        return []


def what_it_did(life, study):
    """What a killed process was doing, by the files that it left."""
    for kind in ("artefact", "checkpoint", "folder"):
        if half_written(life, study, kind):
            return f"half-written {kind}"
    manifests = {member: member.read_manifest() for member in study.members()}
    its = [m for m, each in manifests.items() if each.process["pid"] == life.process.pid]
    if not its:
        return "starting"
    return "between members" if all(m.artefact.exists() for m in its) else "training a member"


def check(study, calm, options, logs):
    """A disturbed study equals the undisturbed one, and reports it."""
    printed = [log.read_text() for log in sorted(logs.iterdir())]
    assert not any("Traceback" in text for text in printed), "\n".join(printed)
    for member in study.members():
        finished = sum(text.count(f"{member.name}: accuracy") for text in printed)
        assert finished <= 1, f"{member.name} was trained to its end {finished} times"
        with FileLock(member.lock, blocking=False):
            pass  # no Timeout: no process holds it
    assert files_of(study) == files_of(calm)
    for path in sorted(calm.probes.iterdir()):
        assert contents(study.probes / path.name) == contents(path), path.name
    again = logs / "again.log"
    assert start(study, options, again).wait(100) == 0, again.read_text()
    assert again.read_text().count("is complete, skipped") == 12


def files_of(study):
    """Every file but the metrics of further attempts, among them no temporary files or failures."""
    files = {path.relative_to(study.path) for path in study.path.rglob("*") if path.is_file()}
    return {str(path) for path in files if path.parts[1:2] != ("metrics",)}
