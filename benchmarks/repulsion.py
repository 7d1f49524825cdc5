"""Claim: repelling a member from 8 references costs at most 25% of plain training.

Measured for `repulsion=rbf` as configured (64 points a step out of a pool of 2,000), on top of
`experiment=standard`: what a step costs more, logging every 10th included, and what the references
say at every point of the pool, computed once when training starts, which is counted in full. How
good the references are does not matter to the clock: they are trained on a few images.

How: one member, repelled for 10 steps, then plain for 10, and so on, so that both see the same
machine at the same moment. A ratio is taken over each 5 pairs of such tens; the first tens are not
counted. The claim is (repelled steps of a member + the start) / (plain steps of a member).
"""

import functools
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import lightning
import torch

from chromatic_descent.config import identity, instantiate
from chromatic_descent.probe_logits.identity import Identity
from chromatic_descent.study import Member, Study
from chromatic_descent.training import alone, build
from chromatic_descent.training.repulsion import sequential
from measure import claim, member_config, spread

REFERENCES, TEN = 8, 10


class Alternate(lightning.Callback):
    """Lets a `Repel` act in every other ten of steps, and times each step and the start."""

    def __init__(self, repel: Any):
        self.repel = repel
        self.start = 0.0
        self.seconds: dict[bool, list[float]] = {True: [], False: []}  # repelled or not, by step

    def on_train_start(self, trainer: Any, module: Any) -> None:
        began = self._now()
        self.repel.on_train_start(trainer, module)
        self._since = self._now()
        self.start = self._since - began

    def penalty(self, module: Any, batch: Any, logits: Any) -> Any:
        if self._repelled(module.trainer.global_step):
            return self.repel.penalty(module, batch, logits)
        return logits.new_zeros(())

    def on_before_optimizer_step(self, *arguments: Any) -> None:
        self.repel.on_before_optimizer_step(*arguments)

    def on_train_batch_end(self, trainer: Any, *arguments: Any) -> None:
        now = self._now()
        self.seconds[self._repelled(trainer.global_step - 1)].append(now - self._since)
        self._since = now

    def _repelled(self, step: int) -> bool:
        return step // TEN % 2 == 1

    def _now(self) -> float:
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        return time.perf_counter()


def measure(quick: bool) -> dict[str, Any]:
    images, epochs, together = (2000, 10, 1) if quick else (50000, 8, 5)
    quiet = ("trainer.enable_progress_bar=false", "study=references")
    short = ("data.train_size=1000", "trainer.max_epochs=1", "logger=none")
    try:
        with tempfile.TemporaryDirectory() as folder:
            study = Study(Path(folder))
            for seed in range(REFERENCES):
                cfg = member_config(*quiet, *short, f"seed={seed}")
                member = [Member(study, f"SEED_{seed:04d}")]
                alone.solo(cfg)(member, member, identity(cfg))
            cfg = member_config(
                *(*quiet, "repulsion=rbf", "repulsion.schedule=constant", f"seed={REFERENCES}"),
                f"repulsion.references.from={folder}",
                *(f"data.train_size={images}", f"trainer.max_epochs={epochs}"),
            )
            member = Member(study, f"SEED_{REFERENCES:04d}")
            data = instantiate(cfg.data, seed=cfg.seed)
            network = functools.partial(build.build_network, cfg, data)
            own = Identity(member.name, cfg.seed, identity(cfg))
            (repel,), references = sequential.plan(cfg, member, own, data, network)
            alternate = Alternate(repel)
            module = build.build_module(cfg, data)
            trainer = alone.build_trainer(cfg, member, [alternate])
            trainer.fit(module, data)
    finally:
        torch.use_deterministic_algorithms(False)
    standard = member_config()
    steps = standard.trainer.max_epochs * (50000 // standard.data.batch_size)
    block = TEN * together
    repelled, plain = (
        [sum(each[i : i + block]) for i in range(TEN, len(each) - block + 1, block)]
        for each in (alternate.seconds[True], alternate.seconds[False])
    )
    pairs = list(zip(repelled, plain, strict=False))
    start = alternate.start * block / steps  # the share of it that falls on as many steps
    n = f"{len(pairs)} x {together} pairs of {TEN} steps"
    return {
        "claims": [
            claim(
                f"training time, repelled from {REFERENCES} references / plain",
                [(r + start) / p for r, p in pairs],
                "<= 1.25",
                n=n,
            ),
            claim("a step, repelled / plain", [r / p for r, p in pairs], n=n),
        ],
        "absolute": {
            "plain step, s": spread([p / block for _, p in pairs]),
            "repelled step, s": spread([r / block for r, _ in pairs]),
            "the references' answers at the start, s": alternate.start,
            "a standard member's plain steps, s": steps
            * statistics.median(p / block for _, p in pairs),
            "references": len(references or []),
        },
    }
