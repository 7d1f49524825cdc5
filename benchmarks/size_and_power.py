"""Claims: each test rejects a true hypothesis 3% to 7% of the time at the 5% level; and it finds a
plane planted among the members, at the signal stated, at least 95% of the time.

    python benchmarks/size_and_power.py [--studies 1000] [--power-studies 200] [--processes 1]

simulates studies of 12 members, 500 probe items and 10 classes (minutes on one core), and writes
docs/size_and_power.md and benchmarks/size_and_power.json. Every study has a seed of its own, so the
numbers are the same on any machine but for the last bit of its arithmetic. To check a further test,
add it to `SIZES` or `POWERS`: a function from a random generator to a p-value.
"""

import argparse
import json
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest
from threadpoolctl import threadpool_limits

import chromatic_descent.geometry as g

S, N, C = 12, 500, 10
LABELS = np.arange(N) % C
LEVEL = 0.05
DRAWS = 99
SIZE_RANGE = (0.03, 0.07)
POWER_TARGET, R_TARGET = 0.95, 0.99

Floats = NDArray[np.float64]
Rng = np.random.Generator


# What studies are drawn from. Everything about an item is drawn anew for every study. In each
# world a value of a member differs from the mean member's by a variance of about 1 to 2, so that
# a plane of a given size is about as hard to see in all.


def gaussian(rng: Rng) -> Floats:
    """Members are points of a round Gaussian."""
    return rng.normal(size=(S, N, C))


def independent(rng: Rng) -> Floats:
    """Members who err independently; items differ in their answer and in how far answers spread.

    The spread is Gamma(2) distributed with mean 1: a few items carry much of the variance, as hard
    images do.
    """
    spread = rng.gamma(2.0, 0.5, size=(N, 1))
    return 3 * rng.normal(size=(N, C)) + spread * rng.normal(size=(S, N, C))


def by_class(rng: Rng) -> Floats:
    """Members with a mean and a loudness of their own for every class; items of a class alike."""
    means, loudness = 0.5 * rng.normal(size=(S, C, C)), rng.gamma(4.0, 0.25, size=(S, C, 1))
    return means[:, LABELS] + loudness[:, LABELS] * rng.normal(size=(S, N, C))


def tempered(rng: Rng) -> Floats:
    """Independent errors; then a temperature (SD 20%) and a class bias (SD 0.3) per member."""
    scale, bias = np.exp(0.2 * rng.normal(size=(S, 1, 1))), 0.3 * rng.normal(size=(S, 1, C))
    return scale * independent(rng) + bias


World = Callable[[Rng], Floats]


def planted(
    rng: Rng, share: float, world: World = independent, places: Floats | None = None
) -> tuple[Floats, Floats]:
    """Members spread over a plane that adds `share` of their variance to that of the world.

    The plane's directions run through all items and classes. Returns the logits and each member's
    place in the plane, [S, 2], or [S, 1] along a line.
    """
    places = rng.normal(size=(S, 2)) if places is None else places
    places = (places - places.mean(axis=0)) / places.std(axis=0, ddof=1)
    directions = rng.normal(size=(places.shape[1], N, C))
    logits = world(rng)
    within = logits.var(axis=0, ddof=1).mean()
    size = np.sqrt(within * share / (1 - share) / places.shape[1])
    return logits + size * np.einsum("sk,knc->snc", places, directions), places


def seed(rng: Rng) -> int:
    return int(rng.integers(2**32))


# Under its own hypothesis: how often does each test reject?


@dataclass(frozen=True)
class Size:
    """A test in a world where its hypothesis holds; `p_value` simulates one study."""

    test: str
    distance: str
    world: str
    p_value: Callable[[Rng], float]


def permuted_p(rng: Rng) -> float:
    squared = np.zeros((S, S))
    squared[np.triu_indices(S, 1)] = rng.uniform(1, 3, size=S * (S - 1) // 2)
    return g.permuted_distances(squared + squared.T, permutations=DRAWS, seed=seed(rng)).p_value


def rung_p(rng: Rng, test: str, name: str, world: World, share: float = 0.0) -> float:
    """The p-value of one rung of the ladder, in a world with or without a plane."""
    logits, _ = planted(rng, share, world)
    if test in ("permuted_distances", "isotropic"):
        squared = g.distance_matrix(logits, name)
        if test == "permuted_distances":
            return g.permuted_distances(squared, permutations=DRAWS, seed=seed(rng)).p_value
        degrees = N * C if name == "logit_mse" else N * (C - 1)
        return g.isotropic(squared, degrees=degrees, draws=DRAWS, seed=seed(rng)).p_value
    if test == "within_class_shuffles":
        shuffle = partial(g.within_class_shuffles, labels=LABELS)
    else:
        shuffle = {
            "independent_errors": g.independent_errors,
            "temperature_and_bias": g.temperature_and_bias,
        }[test]
    return shuffle(logits, name=name, draws=DRAWS, seed=seed(rng)).p_value


def mantel_p(rng: Rng, method: Literal["pearson", "spearman"]) -> float:
    one, other = (g.distance_matrix(planted(rng, 0.3)[0], "hellinger") for _ in range(2))
    return g.mantel(one, other, permutations=DRAWS, seed=seed(rng), method=method).p_value


def permanova_p(rng: Rng, sizes: tuple[int, ...]) -> float:
    squared = g.distance_matrix(planted(rng, 0.3)[0], "hellinger")
    groups = np.repeat(np.arange(len(sizes)), sizes)
    return g.permanova(squared, groups, permutations=DRAWS, seed=seed(rng)).p_value


WORLDS: dict[str, World] = {
    "points of a round Gaussian": gaussian,
    "independent errors, items of unlike spread": independent,
    "a mean and a loudness per member and class": by_class,
    "independent errors, temperatures (SD 20%) and class biases (SD 0.3)": tempered,
}
# The rungs, each with the world in which its hypothesis is true (of the first, the nearest).
RUNGS: dict[str, World] = {
    "permuted_distances": independent,
    "isotropic": gaussian,
    "independent_errors": independent,
    "within_class_shuffles": by_class,
    "temperature_and_bias": tempered,
}
CENTRED = "logit_mse_centred"
SIZES = (
    Size("permuted_distances", "any", "66 distances drawn independently", permuted_p),
    *(
        Size(
            test,
            name,
            next(words for words, world in WORLDS.items() if world is RUNGS[test]),
            partial(rung_p, test=test, name=name, world=RUNGS[test]),
        )
        for test, names in {
            "isotropic": ("logit_mse", CENTRED),
            "independent_errors": (CENTRED, "hellinger"),
            "within_class_shuffles": (CENTRED, "hellinger"),
            "temperature_and_bias": ("logit_mse", CENTRED, "hellinger"),
        }.items()
        for name in names
    ),
    *(
        Size(
            f"mantel, {method}",
            "hellinger",
            "two unrelated studies, each with a plane of 30%",
            partial(mantel_p, method=method),
        )
        for method in ("pearson", "spearman")
    ),
    *(
        Size(
            f"permanova, groups of {', '.join(map(str, sizes))}",
            "hellinger",
            "a plane of 30%, groups that say nothing",
            partial(permanova_p, sizes=sizes),
        )
        for sizes in ((6, 6), (2, 4, 6))
    ),
)


# With a planted plane: how often does each test see it, and is the map right?


@dataclass(frozen=True)
class Power:
    """A test on a planted plane that holds a given share of the variance between members."""

    test: str
    distance: str
    p_value: Callable[[Rng, float], float]


def halves_agree(rng: Rng, share: float, name: str) -> float:
    """Mantel between the distances over two halves of the probe: one plane, other noise."""
    logits, _ = planted(rng, share)
    halves = (g.distance_matrix(logits[:, half::2], name) for half in (0, 1))
    return g.mantel(*halves, permutations=DRAWS, seed=seed(rng)).p_value


def groups_differ(rng: Rng, share: float, name: str) -> float:
    """PERMANOVA between two groups of six that differ along one planted direction."""
    groups = np.repeat([0.0, 1.0], S // 2)
    logits, _ = planted(rng, share, places=groups[:, None])
    squared = g.distance_matrix(logits, name)
    return g.permanova(squared, groups, permutations=DRAWS, seed=seed(rng)).p_value


SIGNALS = (0.02, 0.05, 0.1, 0.2, 0.5)
POWERS = (
    *(
        Power(test, CENTRED, partial(rung_p, test=test, name=CENTRED, world=world))
        for test, world in RUNGS.items()
    ),
    Power("mantel, between halves of the probe", CENTRED, partial(halves_agree, name=CENTRED)),
    Power("permanova, groups of 6, 6", CENTRED, partial(groups_differ, name=CENTRED)),
)


def recovery(rng: Rng, share: float, name: str) -> float:
    """The Procrustes correlation of the map with the places that were planted."""
    logits, places = planted(rng, share)
    return g.procrustes(
        places, g.classical_mds(g.distance_matrix(logits, name)).coordinates
    ).correlation


# Running them, and writing down what came out.


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


def measure(studies: int, power_studies: int, pool: ProcessPoolExecutor | None) -> dict[str, Any]:
    sizes, rungs, powers, maps = [], [], [], []
    for case in SIZES:
        p_values = many(case.p_value, f"{case.test} {case.distance}", studies, pool)
        found = rate(p_values <= LEVEL)
        met = SIZE_RANGE[0] <= found["rate"] <= SIZE_RANGE[1]
        sizes.append(
            {"test": case.test, "distance": case.distance, "world": case.world, **found, "met": met}
        )
        print(f"size  {case.test:36} {case.distance:18} {found['rate']:.3f}", flush=True)
    for test in RUNGS:
        for words, world in WORLDS.items():
            simulate = partial(rung_p, test=test, name=CENTRED, world=world)
            p_values = many(simulate, f"{test} {words}", power_studies, pool)
            rungs.append({"test": test, "world": words, **rate(p_values <= LEVEL)})
            print(f"rung  {test:36} {words[:30]:30} {rungs[-1]['rate']:.3f}", flush=True)
    for power in POWERS:
        for share in SIGNALS:
            simulate = partial(power.p_value, share=share)
            p_values = many(simulate, f"{power.test} {share}", power_studies, pool)
            found = rate(p_values <= LEVEL)
            powers.append({"test": power.test, "distance": power.distance, "share": share, **found})
            print(f"power {power.test:36} {share:.0%} {found['rate']:.3f}", flush=True)
    for name in (CENTRED, "hellinger"):
        for share in SIGNALS:
            r = many(partial(recovery, share=share, name=name), f"map {share}", power_studies, pool)
            maps.append(
                {
                    "distance": name,
                    "share": share,
                    "median": float(np.median(r)),
                    "lowest 5%": float(np.quantile(r, 0.05)),
                    **rate(r >= R_TARGET),
                }
            )
            print(f"map   {name:36} {share:.0%} r {np.median(r):.4f}", flush=True)
    return {"size": sizes, "rungs": rungs, "power": powers, "map": maps}


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

Written by `{command}` in {seconds:.0f} s on one core.
Simulated studies of {S} members, {N} probe items and {C} classes; every test with {draws} draws or
permutations, at the 5% level. In brackets: exact 95% intervals of the rates.

## Size

How often each test rejects when its own hypothesis is true, over {studies:,} studies.
{verdict}

{sizes}

## What each rung tells apart

How often each null of the ladder is rejected in each world, none of which has a plane, over
{power_studies:,} studies (`{centred}`). A rung that rejects says that its own hypothesis is false,
not that there are two axes: read up to the last rung that is not rejected.

{rungs}

## Power

How often each test rejects, over {power_studies:,} studies (`{centred}`), when members are also
spread over a plane through function space; each null of the ladder in the world of its own
hypothesis (`permuted_distances`, Mantel and PERMANOVA in that of independent errors). Signal: the
share of the variance between members that lies in the plane (for PERMANOVA: between two groups,
along one direction). Last column: the smallest signal from which on the rate is at least 95%.

{powers}

## Recovery of the map

Procrustes correlation r of the two-dimensional classical MDS with the planted places: its median,
in brackets the value that 95% of the studies reach. Last column: the smallest signal from which on
at least 95% of the studies reach r ≥ 0.99.

{maps}
"""


def page(results: dict[str, Any], command: str, seconds: float) -> str:
    """docs/size_and_power.md"""
    size, power, maps = results["size"], results["power"], results["map"]
    outside = [f"{row['test']} ({row['distance']})" for row in size if not row["met"]]
    verdict = "All lie within [3%, 7%], the range asked for."
    if outside:
        verdict = f"Outside [3%, 7%], the range asked for: {', '.join(outside)}."
    shares = [f"{share:.0%}" for share in SIGNALS]

    def grouped(rows: list[dict[str, Any]], key: str) -> dict[str, list[dict[str, Any]]]:
        return {row[key]: [r for r in rows if r[key] == row[key]] for row in rows}

    def needed(rows: list[dict[str, Any]]) -> str:
        enough = signal_needed(rows)
        return "more" if enough is None else f"{enough:.0%}"

    return PAGE.format(
        command=command,
        seconds=seconds,
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
                for words, rows in grouped(results["rungs"], "world").items()
            ],
        ),
        powers=table(
            ["test", *shares, "found from"],
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
    parser.add_argument("--studies", type=int, default=1000, help="for the sizes")
    parser.add_argument("--power-studies", type=int, default=200, help="per signal")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--table", type=Path, default=root / "docs" / "size_and_power.md")
    parser.add_argument("--json", type=Path, default=root / "benchmarks" / "size_and_power.json")
    arguments = parser.parse_args()

    started = time.perf_counter()
    threadpool_limits(1)  # matrices are small: more threads only wait for each other
    pool = None
    if arguments.processes > 1:
        pool = ProcessPoolExecutor(
            arguments.processes, initializer=threadpool_limits, initargs=(1,)
        )
    results = measure(arguments.studies, arguments.power_studies, pool)
    seconds = time.perf_counter() - started
    command = (
        f"python benchmarks/size_and_power.py --studies {arguments.studies} "
        f"--power-studies {arguments.power_studies}"
    )
    arguments.table.write_text(page(results, command, seconds), encoding="utf-8")
    record = {"command": command, "seconds": seconds, "numpy": np.__version__, **results}
    arguments.json.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    if not all(row["met"] for row in results["size"]):
        sys.exit("a size lies outside [3%, 7%]")


if __name__ == "__main__":
    main()
