"""Claims: a thousand members are analysed in 90 s within 4 GiB, four thousand within 4 GiB.

Counted for 1,000 members x 10,000 items x 10 classes: all nine distances that are matrix products,
classical MDS, 200 bootstrap layouts of one distance, the nulls of permuted distances and of an
isotropic Gaussian, and the ensemble's size curve. Bhattacharyya and Jensen-Shannon, a logarithm for
every pair and item, take at most 5 minutes together. Each distance alone is at least ten times as
fast as SciPy's `pdist` on the same features, or, where SciPy has none, as NumPy pair by pair; what
it takes to make the features counts on both sides.

How: logits are drawn once, float32 in one `.npy` file: an item's own mean, larger on its class and
smaller on hard items; a member's temperature and class bias; noise that hard items have more of.
Every measurement is a process of its own that maps the file, times its steps and reports the
highest resident memory it ever had, mapped pages of the file included. The other way is timed on
few members in the same process, and scaled by the numbers of members and pairs.
"""

import json
import math
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial.distance import pdist
from scipy.special import log_softmax, softmax

from chromatic_descent import ensemble, geometry

CLASSES = 10
GRAMS = tuple(name for name in geometry.DISTANCES if geometry.distance(name).gram is not None)
SIZES = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)


def draw(folder: Path, members: int, items: int) -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(CLASSES, size=items)
    hardness = rng.gamma(2.0, 0.5, size=(items, 1))
    mean = rng.normal(size=(items, CLASSES))
    mean[np.arange(items), labels] += 5 / (1 + hardness[:, 0])
    temperature = rng.uniform(0.8, 1.25, size=members)
    logits = np.lib.format.open_memmap(
        folder / "logits.npy", mode="w+", dtype=np.float32, shape=(members, items, CLASSES)
    )
    for member, t in zip(logits, temperature, strict=True):
        bias = 0.2 * rng.normal(size=CLASSES)
        noise = rng.standard_normal((items, CLASSES), dtype=np.float32)
        member[:] = t * (mean + bias + (0.3 + 0.5 * hardness) * noise)
    logits.flush()
    np.savez(folder / "known.npz", labels=labels, temperature=temperature)


class Stack:
    """The first members of what was drawn, with what the distances need beside the logits."""

    def __init__(self, folder: Path, members: int):
        self.logits = np.load(folder / "logits.npy", mmap_mode="r")[:members]
        with np.load(folder / "known.npz") as known:
            self.labels = known["labels"]
            self.temperature = known["temperature"][:members]

    def distance(self, name: str) -> geometry.Distance:
        return geometry.distance(name, labels=self.labels, temperature=self.temperature)

    def gram_distances(self) -> dict[str, Any]:
        """All that are matrix products, in one pass."""
        return geometry.distance_matrices(self.logits, [self.distance(name) for name in GRAMS])


class Steps:
    """Wall seconds of each step."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def __call__(self, name: str, step: Callable[[], Any]) -> Any:
        started = time.perf_counter()
        result = step()
        self.seconds[name] = time.perf_counter() - started
        return result


def analyse(stack: Stack, steps: Steps) -> None:
    """What an analysis of many members does."""
    labels = stack.labels
    squared = steps("nine distances", stack.gram_distances)["hellinger"]
    steps("classical MDS", lambda: geometry.classical_mds(squared))
    steps(
        "200 bootstrap layouts",
        lambda: geometry.bootstrap_layouts(stack.logits, "hellinger", resamples=200),
    )
    steps(
        "null of permuted distances, 200",
        lambda: geometry.permuted_distances(squared, permutations=200),
    )
    degrees = stack.logits.shape[1] * (CLASSES - 1)
    steps("isotropic null, 200", lambda: geometry.isotropic(squared, degrees=degrees, draws=200))
    sizes = [size for size in SIZES if size <= len(stack.logits)]
    steps("ensemble curve", lambda: ensemble.size_curves(stack.logits, labels, sizes=sizes))


def distances(stack: Stack, steps: Steps) -> None:
    """All that are matrix products, and nothing else."""
    steps("seconds", stack.gram_distances)


def each(stack: Stack, steps: Steps) -> None:
    """Each distance alone, and the other way to it: seconds a member and a pair."""
    few = Stack.__new__(Stack)
    few.logits = np.array(stack.logits[:16])
    few.labels, few.temperature = stack.labels, stack.temperature[:16]
    for name in geometry.DISTANCES:
        steps(name, lambda name=name: geometry.distance_matrix(stack.logits, stack.distance(name)))
        made = steps(f"{name}: features", lambda name=name: OTHER_WAYS[name][0](few))
        rounds = [Steps() for _ in range(3)]
        for clock in rounds:
            clock("pairs", lambda name=name, made=made: OTHER_WAYS[name][1](made))
        pairs = math.comb(len(few.logits), 2)
        steps.seconds[f"{name}: features"] /= len(few.logits)
        steps.seconds[f"{name}: pairs"] = min(c.seconds["pairs"] for c in rounds) / pairs


def _features(name: str) -> Callable[[Stack], Any]:
    def make(few: Stack) -> Any:
        made = geometry.features(few.logits, few.distance(name))
        return made.reshape(len(made), -1)

    return make


def _probabilities(few: Stack) -> Any:
    return softmax(few.logits.astype(np.float64), axis=-1)


def _probabilities_and_logs(few: Stack) -> Any:
    return np.stack(
        [_probabilities(few), log_softmax(few.logits.astype(np.float64), axis=-1)], axis=1
    )


def _wrong_answers(few: Stack) -> Any:
    answers = few.logits.argmax(-1)
    return [(a, a != few.labels) for a in answers]


def _centred(few: Stack) -> Any:
    x = few.logits.astype(np.float64)
    x -= x.mean(axis=1, keepdims=True)
    return [(m, np.einsum("nc,nc->n", m, m)) for m in x]


def _pdist(metric: str) -> Callable[[Any], Any]:
    return lambda made: pdist(made, metric)


def _loop(of_pair: Callable[[Any, Any], Any]) -> Callable[[Any], Any]:
    return lambda made: [of_pair(a, b) for a, b in combinations(made, 2)]


def _kl(a: Any, b: Any) -> Any:
    return ((a[0] - b[0]) * (a[1] - b[1])).sum() / len(a[0])


def _bhattacharyya(a: Any, b: Any) -> Any:
    return -np.log(np.maximum(np.einsum("nc,nc->n", a, b), 1e-30)).mean()


def _error_disagreement(a: Any, b: Any) -> Any:
    both = a[1] & b[1]
    return (a[0] != b[0])[both].mean()


def _cka(a: Any, b: Any) -> Any:
    (x, xx), (y, yy) = a, b
    n = len(x)
    cross = x.T @ y
    hsic = (cross * cross).sum() - n / (n - 2) * (xx @ yy)
    return hsic + xx.sum() * yy.sum() / ((n - 1) * (n - 2))  # less the norms: once a member


OTHER_WAYS: dict[str, tuple[Callable[[Stack], Any], Callable[[Any], Any]]] = {
    **{
        name: (_features(name), _pdist("sqeuclidean"))
        for name in geometry.EUCLIDEAN
        if name != "disagreement"
    },
    "bhattacharyya": (lambda few: np.sqrt(_probabilities(few)), _loop(_bhattacharyya)),
    "kl_symmetric": (_probabilities_and_logs, _loop(_kl)),
    "jensen_shannon": (
        lambda few: _probabilities(few).reshape(len(few.logits), -1),
        _pdist("jensenshannon"),
    ),
    "disagreement": (lambda few: few.logits.argmax(-1), _pdist("hamming")),
    "error_disagreement": (_wrong_answers, _loop(_error_disagreement)),
    "cka": (_centred, _loop(_cka)),
}

TASKS = {task.__name__: task for task in (analyse, distances, each)}


def run(task: str, folder: Path, members: int) -> dict[str, Any]:
    """Run a task in a process of its own: its seconds, and its peak memory in GiB."""
    from measure import timed  # not above: it imports torch, which a task does not need

    command = [sys.executable, __file__, task, str(folder), str(members)]
    found: dict[str, Any] = json.loads(timed(command)[1])
    return found


def measure(quick: bool) -> dict[str, Any]:
    from measure import claim

    members, most, items = (60, 120, 400) if quick else (1000, 4000, 10000)
    counts = (30, 60, 90, 120) if quick else (100, 300, 1000, 3000)
    size = f"{members:,} x {items:,} x {CLASSES}"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        draw(folder, most, items)
        whole = run("analyse", folder, members)
        alone = run("each", folder, members)["seconds"]
        by_members = {s: run("distances", folder, s)["seconds"]["seconds"] for s in counts}
        largest = run("distances", folder, most)
    pairs = math.comb(members, 2)
    other = {
        name: members * alone[f"{name}: features"] + pairs * alone[f"{name}: pairs"]
        for name in geometry.DISTANCES
    }
    exponent = np.polyfit(np.log(counts), np.log([by_members[s] for s in counts]), 1)[0]
    last = np.log(by_members[counts[-1]] / by_members[counts[-2]]) / np.log(counts[-1] / counts[-2])
    slow = alone["bhattacharyya"] + alone["jensen_shannon"]
    return {
        "claims": [
            claim(
                f"nine distances, MDS, bootstrap, two nulls, ensemble curve of {size}",
                [sum(whole["seconds"].values())],
                "<= 90",
                unit="s",
            ),
            claim("the same, peak memory in GiB", [whole["peak"]], "<= 4"),
            claim(f"Bhattacharyya and Jensen-Shannon of {size}", [slow], "<= 300", unit="s"),
            claim(
                f"nine distances of {most:,} x {items:,} x {CLASSES} on disk, peak memory in GiB",
                [largest["peak"]],
                "<= 4",
            ),
            *(
                claim(
                    f"{name}: time of {'NumPy pair by pair' if _is_loop(name) else 'pdist'} / ours",
                    [other[name] / alone[name]],
                    ">= 10",
                )
                for name in geometry.DISTANCES
            ),
            claim("exponent of S in the time of nine distances, fitted", [float(exponent)]),
        ],
        "absolute": {
            **{f"{name}, s": seconds for name, seconds in whole["seconds"].items()},
            "each distance alone, s": {name: alone[name] for name in geometry.DISTANCES},
            "the other way, scaled up, s": other,
            "nine distances by members, s": {str(s): t for s, t in by_members.items()},
            f"exponent from {counts[-2]:,} to {counts[-1]:,} members": float(last),
            f"nine distances of {most:,} members, s": largest["seconds"]["seconds"],
        },
    }


def _is_loop(name: str) -> bool:
    return name in ("bhattacharyya", "kl_symmetric", "error_disagreement", "cka")


def main() -> None:
    task, folder, members = sys.argv[1:]
    steps = Steps()
    TASKS[task](Stack(Path(folder), int(members)), steps)
    print(json.dumps({"seconds": steps.seconds, "peak": peak_memory()}))


def peak_memory() -> float:
    """The most memory that this process has had resident, in GiB."""
    status = Path("/proc/self/status")
    if status.exists():  # Linux's getrusage includes what the parent had when it started this one
        for line in status.read_text(encoding="utf-8").splitlines():
            if line.startswith("VmHWM"):
                return int(line.split()[1]) / 2**20
    unit = 2**30 if sys.platform == "darwin" else 2**20  # bytes there, KiB elsewhere
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


if __name__ == "__main__":
    main()
