"""The members: how well each does alone, and what they were trained with."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from chromatic_descent import ensemble
from chromatic_descent.analysis.configurations import is_repelled
from chromatic_descent.analysis.results import Array
from chromatic_descent.probe_logits import Population


@dataclass(frozen=True, eq=False)
class Members:
    """Scores of S members."""

    table: pd.DataFrame  # member, seed, every metric, temperature, confidence, entropy

    @property
    def temperature(self) -> Array:
        """The members' fitted temperatures [S]."""
        return self.table["temperature"].to_numpy(dtype=np.float64)


@dataclass(frozen=True)
class Provenance:
    """The data, recipe and machine that members were trained with; None where not recorded."""

    dataset: str
    classes: list[str]
    images: int  # of the probe
    probe_hash: str
    repelled: int  # members that were trained with repulsion
    config_hashes: list[str] | None = None
    precisions: list[str] | None = None
    trained_with: Mapping[str, Any] | None = None  # versions, of the first trained member
    hardware: Mapping[str, Any] | None = None  # of the first trained member
    training_seconds: float | None = None  # of all members together
    imported: Mapping[str, Any] | None = None  # by member: file, sha256, place in it, origin


def score_members(population: Population) -> Members:
    """Score every member by every metric, with its temperature, confidence and entropy (nats)."""
    rows = []
    for logits in population.logits:  # one at a time: a stack may be larger than memory
        log_p = ensemble.log_softmax(logits)  # [N, C]
        p = np.exp(log_p)
        scores = {name: score(log_p, population.labels) for name, score in ensemble.METRICS.items()}
        scores["temperature"] = ensemble.fit_temperature(logits, population.labels)
        scores["confidence"] = p.max(axis=-1).mean()
        scores["entropy"] = -(p * log_p).sum(axis=-1).mean()
        rows.append(scores)
    names = pd.DataFrame({"member": population.names, "seed": population.seeds})
    return Members(pd.concat([names, pd.DataFrame(rows, dtype=float)], axis=1))


def provenance(population: Population) -> Provenance:
    """Merge the records of all members."""
    records = population.records
    training: dict[str, Any] = {}
    if trained := [r for r in records if r.get("versions")]:  # not plain arrays, not imported
        training = {
            "config_hashes": sorted({r["config_hash"] for r in trained}),
            "precisions": sorted({r["precision"] for r in trained}),
            "trained_with": trained[0]["versions"],
            "hardware": trained[0]["hardware"],
            "training_seconds": sum(r["wall_time"].get("train", 0) for r in trained),
        }
    return Provenance(
        dataset=records[0]["dataset"]["name"],
        classes=population.classes,
        images=len(population.labels),
        probe_hash=records[0]["probe_hash"],
        repelled=sum(is_repelled(r["config"]) for r in records),
        imported={r["member"]: r["imported"] for r in records if "imported" in r} or None,
        **training,
    )
