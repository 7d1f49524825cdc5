"""Measures what each repulsion term costs between members that are trained together.

Four members of `experiment=fast` in one process, as `experiment=repulsion_trial` has them, repelled
by one term for 5 steps, by the next for 5, and so on, with 5 plain ones in each round: all see the
same machine at the same moment. A ratio is taken in each round; the first round is not counted. At
equal samples a repelled population takes this many times the seconds of a plain one.
"""

import tempfile
import time
from pathlib import Path
from typing import Any

import lightning
import torch

from chromatic_descent.config import instantiate
from chromatic_descent.study import Member, Study
from chromatic_descent.training import build
from chromatic_descent.training.joint import train
from chromatic_descent.training.joint.module import JointClassifier
from chromatic_descent.training.repulsion import from_config
from measure import claim, member_config, spread

TERMS = (
    *("logit_mse", "hellinger", "kl", "rbf", "svgd", "ncl"),
    *("weight_rbf", "input_gradient"),
)
STEPS = 5


class Rounds(lightning.Callback):
    """Changes the repulsion of the module every few steps, and times each step."""

    def __init__(self, repulsions: list[Any]):
        self.repulsions = repulsions
        self.seconds: list[float] = []

    def on_train_batch_start(self, trainer: Any, module: Any, *arguments: Any) -> None:
        place = len(self.seconds) // STEPS % len(self.repulsions)
        module.repulsion = self.repulsions[place]
        self._since = self._now()

    def on_train_batch_end(self, *arguments: Any) -> None:
        self.seconds.append(self._now() - self._since)

    def of(self, place: int) -> list[float]:
        """Seconds of the steps of one repulsion, by round, the first left out."""
        count = len(self.repulsions) * STEPS
        starts = range(count, len(self.seconds) - count + 1, count)
        return [sum(self.seconds[s + place * STEPS :][:STEPS]) for s in starts]

    def _now(self) -> float:
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        return time.perf_counter()


def measure(quick: bool) -> dict[str, Any]:
    epochs = 3 if quick else 10
    overrides = (
        "experiment=repulsion_trial",
        "trainer.enable_progress_bar=false",
        "logger=none",
        f"trainer.max_epochs={epochs}",
        *(("data.train_size=8000", "population.members=2") if quick else ()),
        *("probe.shifted=0", "probe.foreign=0"),
    )
    cfg = member_config(*overrides)
    options = [None] + [
        from_config(
            member_config(
                *(*overrides, f"repulsion={term}", "repulsion.points=train"),
                "repulsion.schedule=constant",
            ).repulsion
        )
        for term in TERMS
    ]
    seeds = list(range(cfg.population.members))
    data = instantiate(cfg.data, _target_="chromatic_descent.data.JointData", seeds=seeds)
    rounds = Rounds(options)
    try:
        with tempfile.TemporaryDirectory() as folder:
            members = [Member(Study(Path(folder)), f"SEED_{seed:04d}") for seed in seeds]
            module = JointClassifier(
                [build.build_module(cfg, data, seed) for seed in seeds],
                [member.name for member in members],
                engine="vmap" if torch.cuda.is_available() else "loop",
                chunk=len(members),
                repulsion=options[1],  # whose points are all terms' points
            )
            trainer = train.build_trainer(cfg, members)
            trainer.callbacks.insert(0, rounds)
            trainer.fit(module, data)
    finally:
        torch.use_deterministic_algorithms(False)
    plain = rounds.of(0)
    n = f"{len(plain)} x {STEPS} steps of {len(seeds)} members"
    return {
        "claims": [
            claim(
                f"a step of members together, {term} / plain",
                [mine / theirs for mine, theirs in zip(rounds.of(place), plain, strict=True)],
                n=n,
            )
            for place, term in enumerate(TERMS, start=1)
        ],
        "absolute": {"plain step of all members, s": spread([p / STEPS for p in plain])},
    }
