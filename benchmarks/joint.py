"""Claim: members trained together, one by one, reach 0.95 of the images/s of members in sequence.

Twelve members of `experiment=standard` on part of CIFAR-10, without repulsion: `population=joint`
with the engine `loop`, against the same members one after another, both as the framework trains
them: Lightning, hooks, logs and the checkpoint of each epoch. That each member ends with the same
weights in both, bit for bit, is checked and reported: they did the same work.

How: the two run in two threads, of which only one is ever awake. A turn is a step of all twelve
together, or twelve steps in sequence, so that both see the same machine at the same moment. Making
batches, hooks and what happens between epochs counts; starting and ending a run does not. A ratio
is taken over each 5 turns in a row; the first 5 are not counted.

On a GPU the engine is `vmap`, as `auto` has it there; the target is for the loop on a CPU.
"""

import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import lightning
import torch

from chromatic_descent.config import instantiate
from chromatic_descent.data import JointData
from chromatic_descent.study import Member, Study
from chromatic_descent.training import joint, population
from chromatic_descent.training.joint_module import Engine, JointClassifier
from measure import claim, member_config, spread


class Turns(lightning.Callback):
    """Lets a run take `steps` steps and then the other run its own, and times each turn."""

    def __init__(self, steps: int, turns: int, starts: bool):
        self.steps, self.turns, self.starts = steps, turns, starts
        self.other: Turns = self
        self.mine = threading.Semaphore(1 if starts else 0)
        self.seconds: list[float] = []
        self._taken, self._spent, self._waited = 0, 0.0, False

    def on_train_start(self, *arguments: Any) -> None:
        if not self._waited:
            self._wait()
        self._since = self._now()

    def on_train_batch_end(self, *arguments: Any) -> None:
        self._taken += 1
        if self._taken % self.steps:
            return
        self.seconds.append(self._spent + self._now() - self._since)
        self._spent = 0.0
        self.other.mine.release()
        if len(self.seconds) < self.turns or self.starts:
            self._wait()
        self._since = self._now()

    def on_train_end(self, *arguments: Any) -> None:
        self._spent += self._now() - self._since

    def _wait(self) -> None:
        self._waited = True
        if not self.mine.acquire(timeout=600):
            raise RuntimeError("the other run did not take its turn")

    def _now(self) -> float:
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        return time.perf_counter()


def measure(quick: bool) -> dict[str, Any]:
    members, images, epochs, block = (3, 1000, 2, 1) if quick else (12, 5000, 5, 5)
    engine: Engine = "vmap" if torch.cuda.is_available() else "loop"
    cfg = member_config(
        "experiment=standard",
        f"data.train_size={images}",
        f"trainer.max_epochs={epochs}",
        "trainer.enable_progress_bar=false",
        "population=joint",
        f"population.members={members}",
    )
    turns = epochs * (images // cfg.data.batch_size)
    together, sequence = Turns(1, turns, starts=True), Turns(members, turns, starts=False)
    together.other, sequence.other = sequence, together
    population.quieten_lightning()
    trained: list[Any] = []
    try:
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            other = threading.Thread(
                target=_in_sequence, args=(cfg, root / "sequence", sequence, trained), daemon=True
            )
            other.start()
            own = _together(cfg, root / "together", together, engine)
            other.join(600)
    finally:
        torch.use_deterministic_algorithms(False)
    same = len(trained) == members and all(
        torch.equal(ours, theirs)
        for a, b in zip(own, trained, strict=True)
        for ours, theirs in zip(a.state_dict().values(), b.state_dict().values(), strict=True)
    )
    blocks = [
        [sum(run.seconds[i : i + block]) for i in range(block, turns - block + 1, block)]
        for run in (together, sequence)
    ]
    seen = block * members * cfg.data.batch_size
    ratios = [sequential / joined for joined, sequential in zip(*blocks, strict=True)]
    return {
        "claims": [
            claim(
                f"images/s of members together (engine {engine}) / one after another",
                ratios,
                ">= 0.95",
                n=f"{len(ratios)} x {block} turns of {members} members",
            )
        ],
        "absolute": {
            "together, images/s": spread([seen / seconds for seconds in blocks[0]]),
            "one after another, images/s": spread([seen / seconds for seconds in blocks[1]]),
            "members end with the same weights, bit for bit": same,
        },
    }


def _together(cfg: Any, folder: Path, turns: Turns, engine: Engine) -> list[torch.nn.Module]:
    seeds = range(cfg.population.members)
    data: JointData = instantiate(
        cfg.data, _target_="chromatic_descent.data.JointData", seeds=list(seeds)
    )
    members = [Member(Study(folder), f"SEED_{seed:04d}") for seed in seeds]
    module = JointClassifier(
        [population.build_module(cfg, data, seed) for seed in seeds],
        [member.name for member in members],
        engine=engine,
        chunk=len(members),
    )
    trainer = joint.build_trainer(cfg, members)
    trainer.callbacks.insert(0, turns)
    trainer.fit(module, data)
    return [member.network for member in module.classifiers]


def _in_sequence(cfg: Any, folder: Path, turns: Turns, trained: list[Any]) -> None:
    for seed in range(cfg.population.members):
        data = instantiate(cfg.data, seed=seed)
        module = population.build_module(cfg, data, seed)
        trainer = population.build_trainer(cfg, Member(Study(folder), f"SEED_{seed:04d}"))
        trainer.callbacks.insert(0, turns)
        trainer.fit(module, data)
        trained.append(module.network)
