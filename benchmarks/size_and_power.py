"""Claims: each test rejects a true hypothesis 3% to 7% of the time at the 5% level; and it finds a
plane planted among the members, at the signal stated, at least 95% of the time.

    python benchmarks/size_and_power.py                  all parts, minutes on one core
    python benchmarks/size_and_power.py size map         these; the others' results stay
    python benchmarks/size_and_power.py --studies 50     fewer (see also --table, --json)

simulates studies of 12 members, 500 probe items and 10 classes (`simulated_studies.py`), and writes
docs/size_and_power.md and benchmarks/size_and_power.json. Every study has a seed of its own, so the
rates are the same on any machine, but for the last bit of its arithmetic.
"""

import argparse
import json
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest
from threadpoolctl import threadpool_limits

from simulated_studies import (
    CENTRED,
    DRAWS,
    POWERS,
    RUNGS,
    SIGNALS,
    SIZES,
    WORLDS,
    C,
    Floats,
    N,
    Rng,
    S,
    recovery,
    rung_p,
)

LEVEL = 0.05
SIZE_RANGE = (0.03, 0.07)
POWER_TARGET, R_TARGET = 0.95, 0.99


def one_study(simulate: Callable[[Rng], float], key: str, study: int) -> float:
    return simulate(np.random.default_rng([zlib.crc32(key.encode()), study]))


def many(
    simulate: Callable[[Rng], float], key: str, studies: int, pool: ProcessPoolExecutor | None
) -> Floats:
    run = partial(one_study, simulate, key)
    values: Iterator[float]
    values = pool.map(run, range(studies), chunksize=20) if pool else map(run, range(studies))
    return np.fromiter(values, dtype=np.float64, count=studies)


def rate(hits: NDArray[np.bool_]) -> dict[str, Any]:
    """How often, with its exact 95% interval (Clopper & Pearson 1934)."""
    count = int(hits.sum())
    low, high = binomtest(count, len(hits)).proportion_ci(0.95)
    return {"rate": count / len(hits), "low": float(low), "high": float(high), "n": len(hits)}


def measure_size(studies: int, pool: ProcessPoolExecutor | None) -> list[dict[str, Any]]:
    rows = []
    for case in SIZES:
        p_values = many(case.p_value, f"{case.test} {case.distance}", studies, pool)
        found = rate(p_values <= LEVEL)
        met = SIZE_RANGE[0] <= found["rate"] <= SIZE_RANGE[1]
        rows.append(
            {"test": case.test, "distance": case.distance, "world": case.world, **found, "met": met}
        )
        print(f"size  {case.test:36} {case.distance:18} {found['rate']:.3f}", flush=True)
    return rows


def measure_rungs(studies: int, pool: ProcessPoolExecutor | None) -> list[dict[str, Any]]:
    rows = []
    for test in RUNGS:
        for words, world in WORLDS.items():
            simulate = partial(rung_p, test=test, name=CENTRED, world=world)
            p_values = many(simulate, f"{test} {words}", studies, pool)
            rows.append({"test": test, "world": words, **rate(p_values <= LEVEL)})
            print(f"rungs {test:36} {words[:30]:30} {rows[-1]['rate']:.3f}", flush=True)
    return rows


def measure_power(studies: int, pool: ProcessPoolExecutor | None) -> list[dict[str, Any]]:
    rows = []
    for case in POWERS:
        for share in SIGNALS:
            simulate = partial(case.p_value, share=share)
            p_values = many(simulate, f"{case.test} {share}", studies, pool)
            found = rate(p_values <= LEVEL)
            rows.append({"test": case.test, "distance": case.distance, "share": share, **found})
            print(f"power {case.test:36} {share:.0%} {found['rate']:.3f}", flush=True)
    return rows


def measure_map(studies: int, pool: ProcessPoolExecutor | None) -> list[dict[str, Any]]:
    rows = []
    for name in (CENTRED, "hellinger"):
        for share in SIGNALS:
            r = many(partial(recovery, share=share, name=name), f"map {share}", studies, pool)
            rows.append(
                {
                    "distance": name,
                    "share": share,
                    "median": float(np.median(r)),
                    "lowest 5%": float(np.quantile(r, 0.05)),
                    **rate(r >= R_TARGET),
                }
            )
            print(f"map   {name:36} {share:.0%} r {np.median(r):.4f}", flush=True)
    return rows


PARTS = {
    "size": measure_size,
    "rungs": measure_rungs,
    "power": measure_power,
    "map": measure_map,
}


def signal_needed(rows: list[dict[str, Any]]) -> float | None:
    """The smallest share from which on every rate reaches the target."""
    enough = None
    for row in sorted(rows, key=lambda row: -row["share"]):
        if row["rate"] < POWER_TARGET:
            break
        enough = row["share"]
    return enough


def percent(row: dict[str, Any]) -> str:
    return f"{row['rate']:.1%} ({row['low']:.1%}–{row['high']:.1%})"


def table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


PAGE = """# Size and power of the tests

Written by `python benchmarks/size_and_power.py` in {minutes:.0f} minutes on one core.
Simulated studies of {S} members, {N} probe items and {C} classes; every test with {draws} draws or
permutations, at the 5% level. Exact 95% intervals of the rates are in brackets.

## Size

How often each test rejects when its own hypothesis is true, over {studies:,} studies.
{verdict}

{sizes}

## What each null distinguishes

How often each null of the ladder is rejected in each world, none of which has a plane, over
{power_studies:,} studies (`{centred}`). A rejection means that the null's own hypothesis is false,
not that there are two axes: the last null that is not rejected describes the members.

{rungs}

## Power

How often each test rejects, over {power_studies:,} studies (`{centred}`), when members are also
spread over a plane through function space; each null of the ladder in the world of its own
hypothesis (`permuted_distances`, Mantel and PERMANOVA in that of independent errors). Signal: the
share of the variance between members that lies in the plane (for PERMANOVA: between two groups,
along one direction). Last column: the smallest signal from which the rate is at least 95%.

{powers}

## Recovery of the map

Procrustes correlation r of the two-dimensional classical MDS with the planted positions: the
median, and in brackets the value that 95% of the studies reach. Last column: the smallest signal
from which at least 95% of the studies reach r ≥ 0.99.

{maps}
"""


def page(results: dict[str, Any]) -> str:
    """docs/size_and_power.md"""
    size, rungs, power, maps = (results[part]["rows"] for part in PARTS)
    outside = [f"{row['test']} ({row['distance']})" for row in size if not row["met"]]
    verdict = "All lie within [3%, 7%], the required range."
    if outside:
        verdict = f"Outside [3%, 7%], the required range: {', '.join(outside)}."
    shares = [f"{share:.0%}" for share in SIGNALS]

    def grouped(rows: list[dict[str, Any]], key: str) -> dict[str, list[dict[str, Any]]]:
        return {row[key]: [r for r in rows if r[key] == row[key]] for row in rows}

    def needed(rows: list[dict[str, Any]]) -> str:
        enough = signal_needed(rows)
        return "more" if enough is None else f"{enough:.0%}"

    return PAGE.format(
        minutes=sum(part["minutes"] for part in results.values()),
        S=S,
        N=N,
        C=C,
        draws=DRAWS,
        studies=size[0]["n"],
        power_studies=power[0]["n"],
        verdict=verdict,
        sizes=table(
            ["test", "distance", "true hypothesis", "rejected at 5%"],
            [[f"`{r['test']}`", f"`{r['distance']}`", r["world"], percent(r)] for r in size],
        ),
        centred=CENTRED,
        rungs=table(
            ["world", *(f"`{test}`" for test in RUNGS)],
            [
                [words, *(f"{row['rate']:.1%}" for row in rows)]
                for words, rows in grouped(rungs, "world").items()
            ],
        ),
        powers=table(
            ["test", *shares, "detected from"],
            [
                [f"`{test}`", *(f"{r['rate']:.1%}" for r in rows), needed(rows)]
                for test, rows in grouped(power, "test").items()
            ],
        ),
        maps=table(
            ["distance", *shares, "r ≥ 0.99 from"],
            [
                [
                    f"`{name}`",
                    *(f"{r['median']:.3f} ({r['lowest 5%']:.3f})" for r in rows),
                    needed(rows),
                ]
                for name, rows in grouped(maps, "distance").items()
            ],
        ),
    )


def main() -> None:
    root = Path(__file__).resolve().parents[1]
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("parts", nargs="*", metavar="part", help=f"of {', '.join(PARTS)}")
    parser.add_argument("--studies", type=int, default=1000, help="for the sizes")
    parser.add_argument("--power-studies", type=int, default=200, help="for everything else")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--table", type=Path, default=root / "docs" / "size_and_power.md")
    parser.add_argument("--json", type=Path, default=root / "benchmarks" / "size_and_power.json")
    arguments = parser.parse_args()
    unknown = sorted(set(arguments.parts) - set(PARTS))
    if unknown:
        parser.error(f"no such part: {', '.join(unknown)}; there are {', '.join(PARTS)}")

    threadpool_limits(1)  # matrices are small: more threads only wait for each other
    pool = None
    if arguments.processes > 1:
        pool = ProcessPoolExecutor(
            arguments.processes, initializer=threadpool_limits, initargs=(1,)
        )
    path = arguments.json
    results = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    for part in arguments.parts or PARTS:
        started = time.perf_counter()
        studies = arguments.studies if part == "size" else arguments.power_studies
        rows = PARTS[part](studies, pool)
        minutes = (time.perf_counter() - started) / 60
        results[part] = {"rows": rows, "minutes": round(minutes, 1), "numpy": np.__version__}
        path.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    if set(results) == set(PARTS):
        arguments.table.write_text(page(results), encoding="utf-8")
    if not all(row["met"] for row in results.get("size", {"rows": []})["rows"]):
        sys.exit("a size lies outside [3%, 7%]")


if __name__ == "__main__":
    main()
