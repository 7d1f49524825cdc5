"""Scores of one group of members: of each member alone, and of their ensemble.

Every score of an ensemble is computed for many weightings of the images at once, so that two groups
can be compared on the same resampled images.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from chromatic_descent import ensemble, geometry
from chromatic_descent.analysis.results import Array
from chromatic_descent.ensemble.log_probabilities import at_label, log_mean_exp
from chromatic_descent.ensemble.metrics import BINS, bin_index
from chromatic_descent.probe_logits import FOREIGN, SHIFTED, Population, ProbeSliceLogits

SPREADS = ("logit_mse_centred", "logit_mse_matched", "hellinger")  # blind to shifts of logits
_SCORES = {"accuracy": ensemble.accuracy, "nll": ensemble.nll}  # on shifted images
_UNCERTAINTIES = ("entropy", "max_probability", "mutual_information")

Row = dict[str, Any]
Rows = list[Row]


@dataclass(frozen=True)
class Weights:
    """How often each image counts: of the probe [W, N], and of its shifted images [W, M]."""

    probe: NDArray[np.float32]
    shifted: NDArray[np.float32]


def weights(population: Population, resamples: int, seed: int) -> Weights:
    """Every image counts once, then `resamples` draws of them: W is 1 + resamples."""
    shifted = (len(part.labels) for part in slices_of(population, SHIFTED).values())

    def drawn(images: int) -> NDArray[np.float32]:
        once = np.ones((1, images), dtype=np.float32)
        if not resamples or not images:
            return np.tile(once, (1 + resamples, 1))
        return np.concatenate([once, geometry.resampled_counts(images, resamples, seed)])

    return Weights(drawn(len(population.labels)), drawn(next(shifted, 0)))


def slices_of(population: Population, kind: str) -> dict[str, ProbeSliceLogits]:
    """Slices whose name begins with `kind`, by the rest of the name, if they are of one size."""
    slices = {
        name.removeprefix(kind): part
        for name, part in population.slices.items()
        if name.startswith(kind)
    }
    return slices if len({len(part.labels) for part in slices.values()}) == 1 else {}


def members_alone(population: Population, members: pd.DataFrame, seed: int) -> pd.DataFrame:
    """One row per member, from the table of the section `members` and the shifted images."""
    labels, shifts = population.labels, slices_of(population, SHIFTED).values()
    rows = []
    for member, record in enumerate(population.records):
        logits = population.logits[member]
        calibrated = ensemble.cross_calibrated(logits, labels, seed=seed).log_probs
        row = {"member_calibrated_nll": float(ensemble.nll(calibrated, labels))}
        row["seconds"] = record.get("wall_time", {}).get("train", np.nan)
        if shifts:
            log_p = [(ensemble.log_softmax(part.logits[member]), part.labels) for part in shifts]
            for name, score in _SCORES.items():
                row[f"member_shifted_{name}"] = float(np.mean([score(p, y) for p, y in log_p]))
        rows.append(row)
    table = members[["accuracy", "nll", "ece"]].add_prefix("member_")
    return pd.concat([table, members["temperature"], pd.DataFrame(rows, dtype=float)], axis=1)


def together(
    population: Population, members: Sequence[int], temperature: Array, images: Weights, seed: int
) -> dict[str, Array]:
    """Scores of the ensemble of some members, and how far apart they are: [W] each.

    There must be at least 2 members. Temperatures are fitted with every image counted once.
    """
    chosen = list(members)
    logits, labels = population.logits[chosen], population.labels
    weights, total = images.probe, images.probe.sum(axis=1, dtype=np.float64)

    log_p = np.stack([ensemble.log_softmax(member) for member in logits])  # [S, N, C]
    combined = log_mean_exp(log_p)  # [N, C]
    calibrated = ensemble.cross_calibrated(combined, labels, seed=seed).log_probs
    right = (combined.argmax(-1) == labels).astype(np.float64)
    wrong_alone = (log_p.argmax(-1) != labels).astype(np.float64)  # [S, N]
    loss, losses = -at_label(combined, labels), -at_label(log_p, labels)  # [N], [S, N]
    per_image = {  # [N] each
        "ensemble_accuracy": right,
        "ensemble_nll": loss,
        "ensemble_calibrated_nll": -at_label(calibrated, labels),
        "accuracy_gain": right - (1 - wrong_alone).mean(axis=0),
        "nll_gain": losses.mean(axis=0) - loss,
    }
    per_image |= {name: _spread(logits, name, temperature[chosen]) for name in SPREADS}
    means = weights @ np.stack(list(per_image.values()), axis=1) / total[:, None]  # [W, K]
    scores = dict(zip(per_image, means.T, strict=True))
    scores["ensemble_ece"] = _ece(combined, right, weights) / total
    scores |= _disagreement(logits, wrong_alone, weights)
    if shifts := slices_of(population, SHIFTED).values():
        mixed = [(ensemble.mean_probability(s.logits[chosen]), s.labels) for s in shifts]
        at = images.shifted / images.shifted.sum(axis=1, keepdims=True)
        hit = np.mean([p.argmax(-1) == y for p, y in mixed], axis=0)  # [M], a mean over shifts
        scores["ensemble_shifted_accuracy"] = at @ hit
        scores["ensemble_shifted_nll"] = at @ np.mean([-at_label(p, y) for p, y in mixed], axis=0)
    return scores


def unweighted(population: Population, members: Sequence[int]) -> dict[str, float]:
    """Scores of an ensemble that are not means over images: its temperature, and AUROCs."""
    logits = population.logits[list(members)]
    combined = ensemble.mean_probability(logits)
    scores = {"ensemble_temperature": float(ensemble.fit_temperature(combined, population.labels))}
    if foreign := slices_of(population, FOREIGN):
        inside = _uncertainty(logits)
        for kind, part in foreign.items():
            outside = _uncertainty(part.logits[list(members)])
            for score, values in inside.items():
                scores[f"auroc_{score}_{kind}"] = ensemble.auroc(values, outside[score])
    return scores


def on_shifts(population: Population, members: Sequence[int]) -> Rows:
    """Under each corruption at each severity: members' mean accuracy and NLL, the ensemble's."""
    rows = []
    for name, part in slices_of(population, SHIFTED).items():
        alone = np.stack([ensemble.log_softmax(logits) for logits in part.logits[list(members)]])
        shift, _, severity = name.rpartition("-")
        row = {"shift": shift, "severity": int(severity)}
        for of, log_p in {"member": alone, "ensemble": log_mean_exp(alone)}.items():
            known = of == "member" or len(members) > 1
            for score, function in _SCORES.items():
                mean = np.mean(function(log_p, part.labels)) if known else np.nan
                row[f"{of}_{score}"] = float(mean)
        rows.append(row)
    return rows


def on_foreign(population: Population, members: Sequence[int], scores: dict[str, float]) -> Rows:
    """On each kind of other data: the ensemble's entropy and mutual information, and AUROCs."""
    rows = []
    for kind, part in slices_of(population, FOREIGN).items():
        means = ensemble.uncertainty(part.logits[list(members)]).means
        aurocs = {f"auroc_{score}": scores[f"auroc_{score}_{kind}"] for score in _UNCERTAINTIES}
        means = {"entropy": means["total"], "mutual_information": means["mutual_information"]}
        rows.append({"data": kind, **means, **aurocs})
    return rows


def _uncertainty(logits: NDArray[np.floating]) -> dict[str, Array]:
    """Scores [N] of an ensemble that should be high for images unlike those it was trained on."""
    split, largest = ensemble.uncertainty(logits), ensemble.mean_probability(logits).max(axis=-1)
    scores = (split.total, -largest, split.mutual_information)
    return dict(zip(_UNCERTAINTIES, scores, strict=True))


def _ece(log_p: Array, right: Array, weights: NDArray[np.float32]) -> Array:
    """N times the expected calibration error under each weighting [W, N]: [W]."""
    confidence = np.exp(log_p.max(axis=-1))
    gaps = np.zeros((len(right), BINS))
    gaps[np.arange(len(right)), bin_index(confidence, BINS)] = confidence - right
    total: Array = np.abs(weights @ gaps).sum(axis=1)
    return total


def _disagreement(
    logits: NDArray[np.floating], wrong: Array, weights: NDArray[np.float32]
) -> dict[str, Array]:
    """Mean over pairs of disagreement and its normalised form [W], as in `ensemble.diversity`."""
    upper = np.triu_indices(len(logits), k=1)
    differing = geometry.reweighted_distances(logits, "disagreement", weights)[
        :, *upper
    ]  # [W, pairs]
    error = weights @ wrong.T / weights.sum(axis=1, keepdims=True, dtype=np.float64)  # [W, S]
    both = (error[:, upper[0]] + error[:, upper[1]]) / 2
    known = both > 1e-12
    ratio = np.divide(differing, both, out=np.zeros_like(differing), where=known).sum(axis=1)
    count = known.sum(axis=1)
    normalised = np.divide(ratio, count, out=np.full(len(ratio), np.nan), where=count > 0)
    return {"disagreement": differing.mean(axis=1), "normalised_disagreement": normalised}


def _spread(logits: NDArray[np.floating], name: str, temperature: Array) -> Array:
    """Each image's part [N] of mean_{i<j} ‖φ_i − φ_j‖² = 2/(S − 1) Σ_i ‖φ_i − φ̄‖²."""
    phi = geometry.features(logits, geometry.distance(name, temperature=temperature))
    phi -= phi.mean(axis=0)
    total: Array = np.einsum("snc,snc->n", phi, phi)
    return 2 / (len(phi) - 1) * total
