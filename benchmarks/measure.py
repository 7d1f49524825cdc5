"""Shared by the benchmarks: claims with intervals, timed commands, a description of the machine.

Machines are noisy and differ, so wherever possible a claim is a ratio of two things measured
alternately in one run; seconds and images/s are reported beside it.
"""

import math
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

from chromatic_descent.config import configs_folder
from chromatic_descent.training.hardware import describe_versions, resolve_precision


def claim(
    text: str, values: Sequence[float], target: str | None = None, unit: str = "ratio", n: str = ""
) -> dict[str, Any]:
    """A claim in words with the median of its measured `values`, their interval, and its target.

    `target` reads ">= 0.97" or "<= 1.5"; `n` describes the sample, by default the number of values.
    """
    value = statistics.median(values) if values else None
    met = None
    if target is not None and value is not None:
        relation, bound = target.split()
        met = value >= float(bound) if relation == ">=" else value <= float(bound)
    return {
        "claim": text,
        "value": value,
        "interval": interval(values) if len(values) > 1 else None,
        "unit": unit,
        "n": n or str(len(values)),
        "target": target,
        "met": met,
        "values": list(values),
    }


def interval(values: Sequence[float], level: float = 0.95) -> tuple[float, float]:
    """An interval that contains the median with probability `level` or more, by order statistics.

    The median lies below the k-th smallest of n values with probability P(Binomial(n, 1/2) < k),
    whatever their distribution. Below n = 6 even the extremes have a smaller probability, and are
    returned.
    """
    ordered, n = sorted(values), len(values)
    rank, outside = 0, 0.5**n  # P(Binomial < rank + 1), one side
    while outside + math.comb(n, rank + 1) * 0.5**n <= (1 - level) / 2:
        rank += 1
        outside += math.comb(n, rank) * 0.5**n
    return ordered[rank], ordered[n - 1 - rank]


def spread(values: Sequence[float]) -> dict[str, Any]:
    """The median of absolute values, its interval and their number."""
    return {
        "median": statistics.median(values),
        "interval": interval(values),
        "n": len(values),
    }


def timed(command: Sequence[str], **environment: str) -> tuple[float, str]:
    """Run a command and return its wall time in seconds and what it printed on stdout."""
    started = time.perf_counter()
    done = subprocess.run(
        command, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )
    seconds = time.perf_counter() - started
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr}")
    return seconds, done.stdout


def sweep(
    folder: str, study: str, members: int, quick: bool, *overrides: str
) -> tuple[float, list[Path]]:
    """Run `chromatic-train -m 'seed=range(members)'`; its wall time, and the study's artefacts.

    `quick` makes members small; studies go to `folder`.
    """
    command = [sys.executable, "-m", "chromatic_descent.train", "-m", f"study={study}"]
    command += [f"seed=range({members})", *overrides]
    if quick:
        command += ["data.train_size=1000", "trainer.max_epochs=1", "probe.size=500"]
    seconds = timed(command, CHROMATIC_MULTIRUN_DIR=folder)[0]
    return seconds, sorted(Path(folder, study, "artifacts", "probes").glob("*.npz"))


def own_seconds(record: dict[str, Any]) -> float:
    """The seconds of training and recording in a member's artefact."""
    return float(record["wall_time"]["train"] + record["wall_time"]["record"])


def member_config(*overrides: str) -> DictConfig:
    """The config of `chromatic-train` with these overrides."""
    with initialize_config_dir(configs_folder(), version_base="1.3"):
        return compose("train", list(overrides))


def others_cpu_seconds() -> float | None:
    """CPU seconds that other processes have used since the machine started; None without /proc.

    The increase during a benchmark is the number of cores that others kept busy, which matters to
    readers of timings from a shared machine. The time of child processes counts once they end.
    """
    stat = Path("/proc/stat")
    if not stat.exists():
        return None
    fields = stat.read_text(encoding="utf-8").split()[1:9]
    user, nice, system, _, _, irq, softirq, steal = map(int, fields)
    busy = (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")
    return busy - sum(os.times()[:4])


def environment() -> dict[str, Any]:
    """Hardware, threads, precision, versions and the date."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "precision": resolve_precision("auto", "auto"),
        "system": f"{platform.system()} {platform.machine()}",
        "versions": describe_versions(),
    }


def _processor() -> str:
    """The processor's name, with the features that make bfloat16 fast."""
    name, cpuinfo = platform.processor() or "unknown", Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(encoding="utf-8").splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name":
                name = value.strip()
                break
    features = torch.cpu.get_capabilities()
    fast = [feature for feature in ("avx512_bf16", "amx_bf16") if features.get(feature)]
    return f"{name} ({', '.join(fast) or 'no bfloat16'})"
