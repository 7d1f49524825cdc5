"""Scores of one group of members: of each member alone, and of their ensemble.

Every score of an ensemble is computed for many weightings of the images at once, so that two groups
can be compared on the same resampled images.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from chromatic_descent import ensemble, geometry
from chromatic_descent.analysis.results import Array
from chromatic_descent.ensemble.log_probabilities import at_label, log_mean_exp
from chromatic_descent.ensemble.metrics import BINS, bin_index
from chromatic_descent.probe_logits import FOREIGN, SHIFTED, Population, ProbeSliceLogits

SPREADS = ("logit_mse_centred", "logit_mse_matched", "hellinger")  # blind to shifts of logits


@dataclass(frozen=True)
class Images:
    """How often each image counts: of the probe [W, N], and of its shifted images [W, M]."""

    probe: NDArray[np.float32]
    shifted: NDArray[np.float32]


def once_each(population: Population) -> Images:
    """Every image counts once: W is 1."""
    return Images(
        np.ones((1, len(population.labels)), dtype=np.float32),
        np.ones((1, _shifted_images(population)), dtype=np.float32),
    )


def resampled(population: Population, resamples: int, seed: int) -> Images:
    """Every image counts once, then `resamples` draws of them: W is 1 + resamples."""
    whole = once_each(population)
    drawn = [
        np.concatenate([one, geometry.resampled_counts(one.shape[1], resamples, seed)])
        if one.size
        else np.empty((1 + resamples, 0), dtype=np.float32)
        for one in (whole.probe, whole.shifted)
    ]
    return Images(*drawn)


def slices_of(population: Population, kind: str) -> dict[str, ProbeSliceLogits]:
    """Slices whose name begins with `kind`, by the rest of the name, if they are of one size."""
    slices = {
        name.removeprefix(kind): part
        for name, part in population.slices.items()
        if name.startswith(kind)
    }
    sizes = {len(part.labels) for part in slices.values()}
    return slices if len(sizes) == 1 else {}


def members_alone(population: Population, members: pd.DataFrame, seed: int) -> pd.DataFrame:
    """One row per member: its scores on the probe and on the shifted images, and its seconds.

    Args:
        population: S members.
        members: the table of the section `members`.
        seed: of the probe's halves, for calibration.
    """
    logits, labels = population.logits, population.labels
    shifts = slices_of(population, SHIFTED)
    rows = []
    for member, record in enumerate(population.records):
        calibrated = ensemble.cross_calibrated(logits[member], labels, seed=seed).log_probs
        row = {
            "member_calibrated_nll": float(ensemble.nll(calibrated, labels)),
            "seconds": record.get("wall_time", {}).get("train", np.nan),
        }
        if shifts:
            log_p = [ensemble.log_softmax(part.logits[member]) for part in shifts.values()]
            for name, score in [("accuracy", ensemble.accuracy), ("nll", ensemble.nll)]:
                scores = [score(p, s.labels) for p, s in zip(log_p, shifts.values(), strict=True)]
                row[f"member_shifted_{name}"] = float(np.mean(scores))
        rows.append(row)
    table = pd.DataFrame(
        {
            "member_accuracy": members["accuracy"],
            "member_nll": members["nll"],
            "member_ece": members["ece"],
            "temperature": members["temperature"],
        }
    )
    return pd.concat([table, pd.DataFrame(rows, dtype=float)], axis=1)


def together(
    population: Population,
    who: Sequence[int],
    temperature: Array,
    images: Images,
    seed: int,
) -> dict[str, Array]:
    """Scores of the ensemble of some members, and how far apart they are: [W] each.

    Args:
        population: S members.
        who: the indices of at least 2 of them.
        temperature: [S] fitted.
        images: how often each image counts, W times.
        seed: of the probe's halves; the temperatures are fitted on every image once.
    """
    logits, labels = population.logits[list(who)], population.labels
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
    fitted = temperature[list(who)]
    per_image |= {name: _spread(logits, name, fitted) for name in SPREADS}
    means = weights @ np.stack(list(per_image.values()), axis=1) / total[:, None]  # [W, K]
    scores = dict(zip(per_image, means.T, strict=True))
    scores["ensemble_ece"] = _ece(combined, right, weights) / total
    scores |= _disagreement(logits, wrong_alone, weights)
    if shifts := slices_of(population, SHIFTED):
        mixed = [
            (ensemble.mean_probability(s.logits[list(who)]), s.labels) for s in shifts.values()
        ]
        at = images.shifted / images.shifted.sum(axis=1, keepdims=True)
        hit = np.mean([p.argmax(-1) == y for p, y in mixed], axis=0)  # [M], a mean over shifts
        scores["ensemble_shifted_accuracy"] = at @ hit
        scores["ensemble_shifted_nll"] = at @ np.mean([-at_label(p, y) for p, y in mixed], axis=0)
    return scores


def unweighted(population: Population, who: Sequence[int]) -> dict[str, float]:
    """Scores of an ensemble that are not means over images: its temperature, and AUROCs."""
    logits = population.logits[list(who)]
    combined = ensemble.mean_probability(logits)
    scores = {"ensemble_temperature": float(ensemble.fit_temperature(combined, population.labels))}
    if foreign := slices_of(population, FOREIGN):
        inside = _unsureness(logits)
        for kind, part in foreign.items():
            outside = _unsureness(part.logits[list(who)])
            for score, values in inside.items():
                scores[f"auroc_{score}_{kind}"] = ensemble.auroc(values, outside[score])
    return scores


def on_shifts(population: Population, who: Sequence[int]) -> pd.DataFrame:
    """Under each corruption at each severity: members' mean accuracy and NLL, the ensemble's."""
    rows = []
    for name, part in slices_of(population, SHIFTED).items():
        logits = part.logits[list(who)]
        alone = np.stack([ensemble.log_softmax(member) for member in logits])
        shift, _, severity = name.rpartition("-")
        row = {"shift": shift, "severity": int(severity)}
        for score in (ensemble.accuracy, ensemble.nll):
            row[f"member_{score.__name__}"] = score(alone, part.labels).mean()
        for score in (ensemble.accuracy, ensemble.nll):
            together = score(log_mean_exp(alone), part.labels) if len(who) > 1 else np.nan
            row[f"ensemble_{score.__name__}"] = float(together)
        rows.append(row)
    return pd.DataFrame(rows)


def on_foreign(
    population: Population, who: Sequence[int], scores: dict[str, float]
) -> pd.DataFrame:
    """On each kind of other data: the ensemble's entropy and mutual information, and AUROCs."""
    rows = []
    for kind, part in slices_of(population, FOREIGN).items():
        means = ensemble.uncertainty(part.logits[list(who)]).means
        rows.append(
            {
                "data": kind,
                "entropy": means["total"],
                "mutual_information": means["mutual_information"],
                **{
                    f"auroc_{score}": scores[f"auroc_{score}_{kind}"]
                    for score in ("entropy", "max_probability", "mutual_information")
                },
            }
        )
    return pd.DataFrame(rows)


def _shifted_images(population: Population) -> int:
    shifts = slices_of(population, SHIFTED)
    return len(next(iter(shifts.values())).labels) if shifts else 0


def _unsureness(logits: NDArray[np.floating]) -> dict[str, Array]:
    """Scores [N] of an ensemble that should be high for images unlike those it was trained on."""
    split = ensemble.uncertainty(logits)
    return {
        "entropy": split.total,
        "max_probability": -ensemble.mean_probability(logits).max(axis=-1),
        "mutual_information": split.mutual_information,
    }


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
    apart = geometry.reweighted_distances(logits, "disagreement", weights)[:, *upper]  # [W, pairs]
    error = weights @ wrong.T / weights.sum(axis=1, keepdims=True, dtype=np.float64)  # [W, S]
    both = (error[:, upper[0]] + error[:, upper[1]]) / 2
    known = both > 1e-12
    ratio = np.divide(apart, both, out=np.zeros_like(apart), where=known)
    count = known.sum(axis=1)
    normalised = np.full(len(ratio), np.nan)
    np.divide(ratio.sum(axis=1), count, out=normalised, where=count > 0)
    return {"disagreement": apart.mean(axis=1), "normalised_disagreement": normalised}


def _spread(logits: NDArray[np.floating], name: str, temperature: Array) -> Array:
    """Each image's contribution to the mean squared distance between two members [N].

    mean_{i<j} ‖φ_i − φ_j‖² = 2/(S − 1) Σ_i ‖φ_i − φ̄‖².
    """
    phi = geometry.features(logits, geometry.distance(name, temperature=temperature))
    phi -= phi.mean(axis=0)
    total: Array = np.einsum("snc,snc->n", phi, phi)
    return 2 / (len(phi) - 1) * total
