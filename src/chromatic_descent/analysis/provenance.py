"""Where members come from: what they were trained on, and with what."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from chromatic_descent.analysis.configurations import is_repelled
from chromatic_descent.probe_logits import Population


@dataclass(frozen=True)
class Provenance:
    """What members were trained with; None for what no member here was."""

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


def provenance(population: Population) -> Provenance:
    """Merge the records of all members."""
    records = population.records
    trained = [r for r in records if r.get("versions")]  # here: not plain arrays, not imported
    of_training: dict[str, Any] = {}
    if trained:
        of_training = {
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
        **of_training,
    )
