"""Claim: training through the framework costs at most 3% of a bare PyTorch loop's images/s.

The framework is `Trainer.fit` on what `population.build_module` and `build_trainer` make of
`experiment=standard`: Lightning, its hooks, the running metrics, the CSV log and the checkpoint of
each epoch, all counted. The bare loop is `bare_epoch` below: nothing but forward, loss, backward
and steps. Both train the same network from the same weights with the same optimiser, schedule,
autocast and deterministic kernels on the same augmented batches; that they end with the same
weights, bit for bit, is checked and reported: they did the same work.

How: whole epochs of 50,000 images, the bare loop's run between the framework's own (in a callback),
in the order A BB AA BB … A. The first epoch of each is not counted. A framework epoch lasts from
its start to the next one's start. The ratio is taken pair by pair.
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
from chromatic_descent.training import population
from chromatic_descent.training.optim import scale
from measure import claim, member_config, spread


class Contest(lightning.Callback):
    """Runs bare epochs between the framework's, and times both."""

    def __init__(self, cfg: Any, data: Any):
        self.cfg, self.data = cfg, data
        self.framework: list[float] = []  # seconds, by epoch
        self.bare: list[float] = []
        self.between: list[float] = []  # of the framework's: after an epoch's last step
        self._started: float | None = None

    def on_train_start(self, trainer: Any, module: Any) -> None:
        self.device, self.half = module.device, trainer.precision == "bf16-mixed"
        self.network = copy.deepcopy(module.network)
        self.optimizer = instantiate(self.cfg.optim.optimizer)(self.network, self.data.batch_size)
        steps, optim = trainer.estimated_stepping_batches, self.cfg.optim
        self.schedule = LambdaLR(
            self.optimizer, lambda step: scale(optim.schedule, optim.warmup, min(step / steps, 1.0))
        )

    def on_train_epoch_start(self, trainer: Any, module: Any) -> None:
        self._stop()
        if trainer.current_epoch == 0:
            self.bare.append(self.bare_epoch(0))
        elif trainer.current_epoch % 2 == 0:
            self.bare.append(self.bare_epoch(trainer.current_epoch - 1))
            self.bare.append(self.bare_epoch(trainer.current_epoch))
        self._started = self._now()

    def on_train_batch_end(self, *arguments: Any) -> None:
        self._stepped = time.perf_counter()

    def on_train_end(self, trainer: Any, module: Any) -> None:
        self._stop()

    def bare_epoch(self, epoch: int) -> float:
        started = self._now()
        for images, labels in self.data.batches(epoch):
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.half):
                logits = self.network(images)
                loss = F.cross_entropy(logits, labels, label_smoothing=self.cfg.label_smoothing)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            self.schedule.step()
        return self._now() - started

    def _stop(self) -> None:
        if self._started is not None:
            now = self._now()
            self.framework.append(now - self._started)
            self.between.append(now - self._stepped)

    def _now(self) -> float:
        if self.device.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter()


def measure(quick: bool) -> dict[str, Any]:
    images, pairs = (2000, 2) if quick else (50000, 8)  # pairs: even, for the order to balance
    cfg = member_config(
        "experiment=standard",
        f"data.train_size={images}",
        f"trainer.max_epochs={pairs + 1}",
        "trainer.enable_progress_bar=false",
    )
    data = instantiate(cfg.data, seed=cfg.seed)
    module = population.build_module(cfg, data)
    contest = Contest(cfg, data)
    population._quieten_lightning()  # as `population.solo` does first
    try:
        with tempfile.TemporaryDirectory() as folder:
            trainer = population.build_trainer(cfg, Member(Study(Path(folder)), "SEED_0000"))
            trainer.callbacks.insert(0, contest)
            trainer.fit(module, data)
    finally:
        torch.use_deterministic_algorithms(False)
    framework, bare = contest.framework[1:], contest.bare[1:]
    same = all(
        torch.equal(ours, theirs)
        for ours, theirs in zip(
            module.network.state_dict().values(),
            contest.network.to(module.device).state_dict().values(),
            strict=True,
        )
    )
    seen = data.batches_per_epoch * data.batch_size
    ratios = [b / f for f, b in zip(framework, bare, strict=True)]
    return {
        "claims": [
            claim(
                "images/s of the framework / of a bare PyTorch loop",
                ratios,
                ">= 0.97",
                n=f"{pairs} pairs of epochs of {seen} images",
            )
        ],
        "absolute": {
            "framework, images/s": spread([seen / s for s in framework]),
            "bare loop, images/s": spread([seen / s for s in bare]),
            "framework, s from the last step to the next epoch": spread(contest.between[1:]),
            "both end with the same weights, bit for bit": same,
        },
    }
