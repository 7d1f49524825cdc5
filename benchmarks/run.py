"""Run the benchmarks and write `results.json` and `RESULTS.md` beside this file.

    python benchmarks/run.py                       all of them, about an hour on two cores
    python benchmarks/run.py startup throughput    only these; other results are kept
    python benchmarks/run.py --quick               a smoke run of everything; nothing is kept

CIFAR-10 is read from `data/`, or from the folder that CHROMATIC_DATA_DIR names. Let nothing else
run on the machine. A missed target is reported and is not an error.
"""

import argparse
import json
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import Any

import geometry
import joint
import launchers
import report_page
import repulsion
import repulsion_terms
import startup
import sweep
import throughput
import time_to_accuracy
from chromatic_descent.files.atomic import write_text
from measure import environment, others_cpu_seconds

BENCHMARKS = {
    "startup": startup,
    "throughput": throughput,
    "sweep": sweep,
    "launchers": launchers,
    "joint": joint,
    "time_to_accuracy": time_to_accuracy,
    "geometry": geometry,
    "repulsion": repulsion,
    "repulsion_terms": repulsion_terms,
    "report_page": report_page,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="name", help=f"of {', '.join(BENCHMARKS)}")
    parser.add_argument("--quick", action="store_true", help="do they run at all? in a minute")
    options = parser.parse_args()
    unknown = sorted(set(options.names) - set(BENCHMARKS))
    if unknown:
        parser.error(f"unknown: {', '.join(unknown)}; expected any of {', '.join(BENCHMARKS)}")
    folder = Path(tempfile.mkdtemp()) if options.quick else Path(__file__).parent
    path = folder / "results.json"
    results = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}

    failed = []
    for name in options.names or BENCHMARKS:
        print(f"{name} …", flush=True)
        where, started, before = environment(), time.perf_counter(), others_cpu_seconds()
        try:
            measured = BENCHMARKS[name].measure(options.quick)
        except Exception:  # the others still count
            traceback.print_exc()
            failed.append(name)
            continue
        seconds, after = time.perf_counter() - started, others_cpu_seconds()
        where["minutes"] = round(seconds / 60, 1)
        if before is not None and after is not None:
            where["others"] = round(max(0.0, after - before) / seconds, 2)  # cores kept busy
        results[name] = {**measured, "environment": where}
        ordered = {n: results[n] for n in BENCHMARKS if n in results}
        write_text(path, json.dumps(ordered, indent=1) + "\n")
        write_text(folder / "RESULTS.md", markdown(ordered))
        print("\n".join(row(name, c) for c in measured["claims"]), flush=True)
    print(f"{folder / 'RESULTS.md'}")
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


def markdown(results: dict[str, Any]) -> str:
    lines = [
        "# Results of the benchmarks",
        "",
        "Written by `python benchmarks/run.py`; the head of each file states its claim and method.",
        "Medians; intervals contain the median with a probability of at least 95% (below six",
        "values they are the extremes).",
        "",
        "| benchmark | claim | measured | interval | n | target | met |",
        "|---|---|---|---|---|---|---|",
        *(row(name, c) for name, result in results.items() for c in result["claims"]),
    ]
    for name, result in results.items():
        where = result["environment"]
        threads = f"{where['cores']} cores, {where['threads']} threads"
        device = where["gpu"] or f"{where['processor']}, {threads}"
        versions = ", ".join(f"{k} {v}" for k, v in where["versions"].items())
        lines += [
            "",
            f"## {name}",
            "",
            f"{where['date']}, {where['minutes']} minutes, during which other processes kept",
            f"{where.get('others', 'unknown')} cores busy. {device}, {where['precision']},",
            f"{where['system']}. {versions}.",
            "",
            *(f"- {key}: {show(value)}" for key, value in result["absolute"].items()),
        ]
    return "\n".join(lines) + "\n"


def row(name: str, c: dict[str, Any]) -> str:
    unit = " s" if c["unit"] == "s" else ""
    measured = "not reached" if c["value"] is None else show(c["value"]) + unit
    between = "–" if c["interval"] is None else show(c["interval"])
    met = {True: "yes", False: "no", None: "–"}[c["met"]]
    target = "–" if c["target"] is None else c["target"] + unit
    cells = (name, c["claim"], measured, between, c["n"], target, met)
    return f"| {' | '.join(cells)} |"


def show(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{k} {show(v)}" for k, v in value.items())
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(show(v) for v in value) + "]"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"
    return str(value)


if __name__ == "__main__":
    main()
