"""Claim: `chromatic-train --help` answers within 1.5 s, in less time than `import torch` takes.

The same rounds measure yardsticks for any Python machine-learning program (an empty interpreter,
`import torch`, `import lightning`), the time to import the package and its geometry, which needs no
torch, in a notebook, and the time of a member from the command to the end of its first training
step (`experiment=standard`: imports, reading CIFAR-10, whitening).

Method: each command is a process of its own; every round runs each once; the first round, which
fills the disk cache, is not counted. Ratios are taken round by round.
"""

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import lightning

from measure import claim, spread, timed

HELP = [str(Path(sys.executable).with_name("chromatic-train")), "--help"]
FIRST_STEP = [
    *(sys.executable, "-m", "chromatic_descent.train"),
    "+callbacks.stop._target_=startup.StopAfterOneStep",
    "study=startup",
]


class StopAfterOneStep(lightning.Callback):
    """Ends the process immediately after the first training step."""

    def on_train_batch_end(self, *arguments: Any) -> None:
        os._exit(0)


def measure(quick: bool) -> dict[str, Any]:
    rounds = 1 if quick else 9
    commands = {
        "python -c pass": [sys.executable, "-c", "pass"],
        **{
            f"import {name}": [sys.executable, "-c", f"import {name}"]
            for name in ("torch", "lightning", "chromatic_descent", "chromatic_descent.geometry")
        },
        "chromatic-train --help": HELP,
        "chromatic-train, to the end of the first step": FIRST_STEP,
    }
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    path = [str(Path(__file__).parent), os.environ.get("PYTHONPATH")]
    here = os.pathsep.join(folder for folder in path if folder)
    for number in range(rounds + 1):
        for name, command in commands.items():
            with tempfile.TemporaryDirectory() as folder:
                taken, _ = timed(command, CHROMATIC_MULTIRUN_DIR=folder, PYTHONPATH=here)
            if number > 0:
                seconds[name].append(taken)

    def ratios(name: str, to: str) -> list[float]:
        return [a / b for a, b in zip(seconds[name], seconds[to], strict=True)]

    *yardsticks, package, geometry, shown, first_step = commands
    return {
        "claims": [
            claim(f"{shown}, wall time", seconds[shown], "<= 1.5", unit="s"),
            *(
                claim(f"{shown} / {to}", ratios(shown, to), "<= 1" if "torch" in to else None)
                for to in yardsticks
            ),
            *(claim(f"{name}, wall time", seconds[name], unit="s") for name in (package, geometry)),
            claim(f"{geometry} / import torch", ratios(geometry, "import torch")),
            claim(f"{first_step} / import lightning", ratios(first_step, "import lightning")),
        ],
        "absolute": {f"{name}, s": spread(taken) for name, taken in seconds.items()},
    }
