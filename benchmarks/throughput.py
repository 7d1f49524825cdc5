"""Claim: training through the framework costs at most 3% of a bare PyTorch loop's images/s.

The framework is `Trainer.fit` on what `build.build_module` and `build_trainer` make of
`experiment=standard`: Lightning, its hooks, the running metrics, the CSV log and the checkpoint of
each epoch, all counted. The bare loop is `bare_epoch` below: nothing but forward, loss, backward
and steps. Both train the same network from the same weights with the same optimiser, schedule,
autocast and deterministic kernels on the same augmented batches; that they end with the same
weights, bit for bit, is checked and reported: they did the same work.

How: the bare loop runs inside a callback, its step after each step of the framework's, so that both
see the same machine at the same moment. The framework's step lasts from the end of the bare one to
the next call of the callback: fetching the batch, every hook, and between epochs the log and the
checkpoint, all count. A ratio is taken over each 50 pairs in a row; the first 50 are not counted.
"""

import copy
import tempfile
import time
from pathlib import Path
from typing import Any

import lightning
import torch
import torch.nn.functional as F
from torch.optim.lr_scheduler import LambdaLR

from chromatic_descent.config import instantiate
from chromatic_descent.study import Member, Study
from chromatic_descent.training import alone, build
from chromatic_descent.training.optim import scale
from measure import claim, member_config, spread


class Contest(lightning.Callback):
    """Takes a bare step after each of the framework's, and times both."""

    def __init__(self, cfg: Any, data: Any):
        self.cfg, self.data = cfg, data
        self.framework: list[float] = []  # seconds, by step
        self.bare: list[float] = []

    def on_train_start(self, trainer: Any, module: Any) -> None:
        self.device, self.half = module.device, trainer.precision == "bf16-mixed"
        self.network = copy.deepcopy(module.network)
        self.optimizer = instantiate(self.cfg.optim.optimizer)(self.network, self.data.batch_size)
        steps, optim = trainer.estimated_stepping_batches, self.cfg.optim
        self.schedule = LambdaLR(
            self.optimizer, lambda step: scale(optim.schedule, optim.warmup, min(step / steps, 1.0))
        )
        self.batches = (b for epoch in range(trainer.max_epochs) for b in self.data.batches(epoch))
        self._since = self._now()

    def on_train_batch_end(self, *arguments: Any) -> None:
        ended = self._now()
        self.framework.append(ended - self._since)
        self.bare_step()
        self._since = self._now()
        self.bare.append(self._since - ended)

    def bare_step(self) -> None:
        images, labels = next(self.batches)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.half):
            logits = self.network(images)
            loss = F.cross_entropy(logits, labels, label_smoothing=self.cfg.label_smoothing)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.schedule.step()

    def _now(self) -> float:
        if self.device.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter()


def measure(quick: bool) -> dict[str, Any]:
    images, epochs, block = (2000, 3, 2) if quick else (50000, 5, 50)
    cfg = member_config(
        "experiment=standard",
        f"data.train_size={images}",
        f"trainer.max_epochs={epochs}",
        "trainer.enable_progress_bar=false",
    )
    data = instantiate(cfg.data, seed=cfg.seed)
    module = build.build_module(cfg, data)
    contest = Contest(cfg, data)
    build.prepare_process(cfg)  # as `alone.solo` does first
    try:
        with tempfile.TemporaryDirectory() as folder:
            trainer = alone.build_trainer(cfg, Member(Study(Path(folder)), "SEED_0000"))
            trainer.callbacks.insert(0, contest)
            trainer.fit(module, data)
    finally:
        torch.use_deterministic_algorithms(False)
    framework, bare = (
        [sum(seconds[i : i + block]) for i in range(block, len(seconds) - block + 1, block)]
        for seconds in (contest.framework, contest.bare)
    )
    same = all(
        torch.equal(ours, theirs)
        for ours, theirs in zip(
            module.network.state_dict().values(),
            contest.network.to(module.device).state_dict().values(),
            strict=True,
        )
    )
    seen = block * data.batch_size
    ratios = [b / f for f, b in zip(framework, bare, strict=True)]
    return {
        "claims": [
            claim(
                "images/s of the framework / of a bare PyTorch loop",
                ratios,
                ">= 0.97",
                n=f"{len(ratios)} x {block} pairs of steps",
            )
        ],
        "absolute": {
            "framework, images/s": spread([seen / s for s in framework]),
            "bare loop, images/s": spread([seen / s for s in bare]),
            "both end with the same weights, bit for bit": same,
        },
    }
