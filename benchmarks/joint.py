"""Claim: members trained together, one by one, reach 0.95 of the images/s of members in sequence.

Twelve members of `experiment=standard` on part of CIFAR-10, without repulsion: `population=joint`
with the engine `loop`, against the same members one after another, both as the framework trains
them: Lightning, hooks, logs and the checkpoint of each epoch. That each member ends with the same
weights in both, bit for bit, is checked and reported: they did the same work.

How: two processes, of which only one is ever awake. A turn is a step of all twelve together, or
twelve steps in sequence, so that both see the same machine at the same moment. Making batches,
hooks and what happens between epochs counts; starting and ending a run does not. A ratio is taken
over each 5 turns in a row; the first 5 are not counted.

On a GPU the engine is `vmap`, as `auto` has it there; the target is for the loop on a CPU.
"""

import multiprocessing
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import lightning
import torch
from omegaconf import DictConfig

from chromatic_descent.config import instantiate
from chromatic_descent.files.hashing import content_hash
from chromatic_descent.study import Member, Study
from chromatic_descent.training import alone, build
from chromatic_descent.training.joint import train
from chromatic_descent.training.joint.module import JointClassifier
from measure import claim, member_config, spread


class Turns(lightning.Callback):
    """Takes `steps` steps when it is its turn, then gives the turn away; times each turn."""

    def __init__(self, steps: int, mine: Any, others: Any):
        self.steps, self.mine, self.others = steps, mine, others
        self.seconds: list[float] = []
        self._taken, self._spent = 0, 0.0

    def wait(self) -> None:
        if not self.mine.acquire(timeout=600):
            raise RuntimeError("the other process did not take its turn")

    def on_train_start(self, *arguments: Any) -> None:
        self._since = self._now()

    def on_train_batch_end(self, *arguments: Any) -> None:
        self._taken += 1
        if self._taken % self.steps == 0:
            self.seconds.append(self._spent + self._now() - self._since)
            self._spent = 0.0
            self.others.release()
            self.wait()
            self._since = self._now()

    def on_train_end(self, *arguments: Any) -> None:
        self._spent += self._now() - self._since  # of a turn that the next run goes on with

    def _now(self) -> float:
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        return time.perf_counter()


def measure(quick: bool) -> dict[str, Any]:
    members, images, epochs, block = (3, 1000, 2, 1) if quick else (12, 5000, 5, 5)
    overrides = [
        "experiment=standard",
        f"data.train_size={images}",
        f"trainer.max_epochs={epochs}",
        "trainer.enable_progress_bar=false",
        "population=joint",
        f"population.members={members}",
    ]
    context = multiprocessing.get_context("spawn")
    turn = [context.Semaphore(1), context.Semaphore(0)]
    pipes = [context.Pipe(duplex=False) for _ in turn]
    processes = [
        context.Process(target=_run, args=(run, overrides, turn[i], turn[1 - i], pipes[i][1]))
        for i, run in enumerate((_together, _in_sequence))
    ]
    for process in processes:
        process.start()
    for _, end in pipes:
        end.close()  # the children's, so that one that fails ends the wait
    try:
        (together, ours), (sequence, theirs) = (begin.recv() for begin, _ in pipes)
    finally:
        for process in processes:
            process.join(60)
            process.kill()
    blocks = [
        [sum(seconds[i : i + block]) for i in range(block, len(seconds) - block + 1, block)]
        for seconds in (together, sequence)
    ]
    seen = block * members * member_config(*overrides).data.batch_size
    ratios = [alone / joined for joined, alone in zip(*blocks, strict=True)]
    return {
        "claims": [
            claim(
                f"images/s of members together (engine {_engine()}) / one after another",
                ratios,
                ">= 0.95",
                n=f"{len(ratios)} x {block} turns of {members} members",
            )
        ],
        "absolute": {
            "together, images/s": spread([seen / seconds for seconds in blocks[0]]),
            "one after another, images/s": spread([seen / seconds for seconds in blocks[1]]),
            "members end with the same weights, bit for bit": ours == theirs,
        },
    }


Run = Callable[[DictConfig, Path, Turns], Iterator[torch.nn.Module]]


def _run(run: Run, overrides: list[str], mine: Any, others: Any, end: Any) -> None:
    """Train in a process of its own; send the seconds of each turn, and a hash of each network."""
    cfg = member_config(*overrides)
    build.prepare_process(cfg)
    turns = Turns(1 if run is _together else cfg.population.members, mine, others)
    with tempfile.TemporaryDirectory() as folder:
        turns.wait()
        hashes = [
            content_hash(*(value.cpu().numpy() for value in network.state_dict().values()))
            for network in run(cfg, Path(folder), turns)
        ]
        others.release()  # the other one may still wait to end
    end.send((turns.seconds, hashes))


def _together(cfg: DictConfig, folder: Path, turns: Turns) -> Iterator[torch.nn.Module]:
    seeds = list(range(cfg.population.members))
    data = instantiate(cfg.data, _target_="chromatic_descent.data.JointData", seeds=seeds)
    members = [Member(Study(folder), f"SEED_{seed:04d}") for seed in seeds]
    module = JointClassifier(
        [build.build_module(cfg, data, seed) for seed in seeds],
        [member.name for member in members],
        engine=_engine(),
        chunk=len(members),
    )
    trainer = train.build_trainer(cfg, members)
    trainer.callbacks.insert(0, turns)
    trainer.fit(module, data)
    yield from (member.network for member in module.classifiers)


def _in_sequence(cfg: DictConfig, folder: Path, turns: Turns) -> Iterator[torch.nn.Module]:
    for seed in range(cfg.population.members):
        data = instantiate(cfg.data, seed=seed)
        module = build.build_module(cfg, data, seed)
        trainer = alone.build_trainer(cfg, Member(Study(folder), f"SEED_{seed:04d}"))
        trainer.callbacks.insert(0, turns)
        trainer.fit(module, data)
        yield module.network


def _engine() -> Any:
    return "vmap" if torch.cuda.is_available() else "loop"
