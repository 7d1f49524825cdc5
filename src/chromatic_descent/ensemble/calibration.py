"""Calibration: temperature scaling and reliability diagrams.

A temperature fitted and scored on the same items flatters itself: fit on one half of the probe
(`probe_halves`), score on the other (`cross_calibrated`, `calibrated_scores`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chromatic_descent.ensemble.log_probabilities import check_any_logits
from chromatic_descent.ensemble.metrics import BINS, METRICS, bin_index, check_predictions
from chromatic_descent.errors import UserError
from chromatic_descent.geometry.checks import Array, Floats, check_count, check_labels

# No positive finite temperature is best for a member that is right on every item (T -> 0), nor for
# one that is no better than chance (T -> ∞). Any other member should lie well within these bounds.
_COLDEST, _HOTTEST = 1e-2, 1e2


@dataclass(frozen=True, eq=False)
class CrossCalibrated:
    """Predictions at a temperature that was fitted without them.

    Attributes:
        log_probs: [..., N, C] in nats, each item at the temperature fitted on the other half.
        temperatures: [..., 2], fitted on the first half and on the second.
        first_half: [N], which items are in the first half.
    """

    log_probs: Array
    temperatures: Array
    first_half: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Reliability:
    """Accuracy of the top class by its probability, the confidence; NaN in an empty bin.

    Attributes:
        edges: [bins + 1], from 0 to 1; a confidence on an edge belongs to the bin below.
        confidence: [..., bins], mean confidence of the bin's items.
        accuracy: [..., bins], the share of the bin's items that are right.
        counts: [..., bins], the number of items in the bin.
    """

    edges: Array
    confidence: Array
    accuracy: Array
    counts: NDArray[np.intp]


def fit_temperature(logits: ArrayLike, labels: ArrayLike) -> Array:
    """Return the temperature T > 0 that minimises the NLL of softmax(f / T), member by member.

    With β = 1/T, the NLL is convex; with f its logits, E and Var under softmax(βf):

        NLL(β) = mean_n [log Σ_c exp(β f_nc) − β f_{n,y_n}]
        NLL'(β) = mean_n [E f − f_{n,y_n}],   NLL''(β) = mean_n Var f

    solved by Newton's method within a bracket, to 1e-10 relative. T is held within [0.01, 100]: a
    member that is right on every item gets 0.01, and a member no better than chance 100. If all
    logits are equal, T makes no difference and is set to 1.

    Args:
        logits: [..., N, C]; log-probabilities work as well.
        labels: [N], whole numbers from 0 to C − 1.

    Returns:
        [...] float64, dimensionless; above 1 the member was overconfident, below 1 underconfident.

    Raises:
        UserError: logits of another shape or not finite; labels of another length or out of range.

    Source: Guo et al. 2017, arXiv:1706.04599.

    >>> logits = [[3.0, 0.0], [3.0, 0.0], [3.0, 0.0], [3.0, 0.0]]
    >>> round(float(fit_temperature(logits, [0, 0, 0, 1])), 6)  # p = 3/4 at 3 / log 3
    2.730718
    """
    array, y = _check_items(logits, labels)
    # Member by member rather than all at once: each stops at its own last step, in the cache.
    rows = array.reshape(-1, *array.shape[-2:])
    fitted = [1 / best_beta(_relative(row.T), y) for row in rows]
    temperatures: Array = np.array(fitted).reshape(array.shape[:-2])[()]
    return temperatures


def probe_halves(items: int, seed: int = 0) -> NDArray[np.bool_]:
    """Return which of N >= 2 items are in the first of two random halves, [N] bool; ⌊N/2⌋ are.

    The same items and seed give the same halves everywhere in this package.

    Raises:
        UserError: fewer than 2 items.

    >>> int(probe_halves(5).sum())
    2
    """
    if items < 2:
        raise UserError(f"two halves of the probe need at least 2 items; found {items}")
    first = np.zeros(items, dtype=np.bool_)
    first[np.random.default_rng(seed).permutation(items)[: items // 2]] = True
    return first


def cross_calibrated(logits: ArrayLike, labels: ArrayLike, *, seed: int = 0) -> CrossCalibrated:
    """Temper each half of the items with the temperature that fits the other half best.

        log softmax(f_n / T_B) for n in half A, log softmax(f_n / T_A) for n in half B

    No item takes part in choosing its own temperature, yet all N items are scored. Metrics before
    and after are therefore comparable: the bias of calibration errors depends on N.

    Args:
        logits: [..., N, C], or an ensemble's log-probabilities: combine first, then calibrate.
        labels: [N], whole numbers from 0 to C − 1.
        seed: of the halves.

    Raises:
        UserError: as `fit_temperature`; fewer than 2 items.

    Source: Guo et al. 2017, arXiv:1706.04599; for ensembles Rahaman & Thiery 2021,
    arXiv:2007.08792.

    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> logits = rng.normal(size=(20_000, 3))
    >>> labels = (logits + rng.gumbel(size=logits.shape)).argmax(-1)  # drawn from softmax(logits)
    >>> cross_calibrated(2 * logits, labels).temperatures.round(1)
    array([2., 2.])
    """
    array, y = _check_items(logits, labels)
    first = probe_halves(len(y), seed)
    rows = array.reshape(-1, *array.shape[-2:])
    log_probs = np.empty(rows.shape)
    betas = np.empty((len(rows), 2))
    for row, into, beta in zip(rows, log_probs, betas, strict=True):
        z = _relative(row.T)  # [C, N]
        beta[:] = temper_halves(z, y, (first, ~first))
        into[:] = z.T
    temperatures = (1 / betas).reshape(*array.shape[:-2], 2)
    return CrossCalibrated(log_probs.reshape(array.shape), temperatures, first)


def calibrated_scores(logits: ArrayLike, labels: ArrayLike, *, seed: int = 0) -> dict[str, Array]:
    """Score predictions after temperature scaling, fitted on one half and scored on the other.

    Both ways round, and over all N items together; for accuracy, NLL and Brier score, this is the
    mean of the two halves' scores, weighted by items. Tempering does not change accuracy.

    Arguments, errors and sources: see `cross_calibrated`.

    Returns:
        [...] float64 for each name in `METRICS`, in its unit.

    >>> import numpy as np
    >>> logits = np.tile([[8.0, 0.0]], (10, 1))  # 99.97% sure, 80% right
    >>> scores = calibrated_scores(logits, [0, 0, 0, 0, 1] * 2, seed=3)
    >>> round(float(scores["ece"]), 6), round(float(scores["nll"]), 3)  # 0.2 and 1.6 before
    (0.0, 0.5)
    """
    log_probs = cross_calibrated(logits, labels, seed=seed).log_probs
    return {name: metric(log_probs, labels) for name, metric in METRICS.items()}


def reliability(log_probs: ArrayLike, labels: ArrayLike, bins: int = BINS) -> Reliability:
    """Return the data of a reliability diagram: accuracy by confidence, over the bins of `ece`.

        Σ_b (counts_b/N) |accuracy_b − confidence_b| = ece, over the bins that are not empty

    Arguments and errors: see `ece`.

    Source: DeGroot & Fienberg 1983, The Statistician 32; Guo et al. 2017, arXiv:1706.04599.

    >>> import numpy as np
    >>> diagram = reliability(np.log([[0.9, 0.1], [0.7, 0.3]]), [0, 1], bins=5)
    >>> diagram.counts, diagram.accuracy[3:], diagram.confidence[3:]
    (array([0, 0, 0, 1, 1]), array([0., 1.]), array([0.7, 0.9]))
    """
    check_count("bins", bins)
    log_p, y = check_predictions(log_probs, labels)
    *lead, items, _ = log_p.shape
    rows = int(np.prod(lead))
    top = log_p.argmax(axis=-1)  # [..., N]
    confidence = np.exp(np.take_along_axis(log_p, top[..., None], axis=-1)[..., 0])
    cell = bin_index(confidence, bins).ravel() + bins * np.repeat(np.arange(rows), items)

    def totals(weights: Array) -> Array:
        sums = np.bincount(cell, weights.ravel(), rows * bins)
        return sums.astype(np.float64).reshape(*lead, bins)

    counts = totals(np.ones_like(confidence))
    size = np.where(counts > 0, counts, np.nan)
    return Reliability(
        edges=np.linspace(0, 1, bins + 1),
        confidence=totals(confidence) / size,
        accuracy=totals((top == y).astype(np.float64)) / size,
        counts=counts.astype(np.intp),
    )


def best_beta(
    z: Array, labels: NDArray[np.intp], start: float = 1.0, tolerance: float = 1e-10
) -> float:
    """Return the β = 1/T that minimises the NLL of softmax(βz), to `tolerance` relative.

    z is [C, N], with a largest entry of 0 for each item. The error after a Newton step is about the
    square of the step, so the result is much closer than a loose `tolerance`.
    """
    z_label = z[labels, np.arange(len(labels))]
    if not z_label.any():  # right everywhere: NLL' <= 0, or lost in round-off, at every β
        return 1 / _COLDEST if z.any() else 1.0
    target = z_label.mean()
    work = np.empty_like(z)

    def derivatives(beta: float) -> tuple[float, float]:
        np.multiply(z, beta, out=work)
        np.exp(work, out=work)
        total = work.sum(axis=0)
        np.multiply(work, z, out=work)
        first = work.sum(axis=0) / total  # E z
        np.multiply(work, z, out=work)
        second = work.sum(axis=0) / total  # E z²
        return float(first.mean() - target), float((second - first**2).mean())

    low, high = bounds = 1 / _HOTTEST, 1 / _COLDEST
    seen = set()  # bounds at which the slope is known to lead back inside
    beta = start
    for _ in range(200):  # usually 7; bisection alone would need about 50
        slope, curvature = derivatives(beta)
        low, high = (beta, high) if slope < 0 else (low, beta)
        newton = beta - slope / curvature if curvature > 0 else np.inf * -slope
        if low <= newton <= high:
            following = newton
        else:
            bound = high if slope < 0 else low
            if bound in bounds and bound not in seen:  # the slope at the bound is unknown
                seen.add(bound)
                if derivatives(bound)[0] * slope >= 0:  # downhill as far as the bound
                    return bound
            following = float(np.sqrt(low * high))  # halves the bracket, on the log scale of T
        if abs(following - beta) <= tolerance * beta:
            return following
        beta = following
    return beta


def temper_halves(
    z: Array,
    labels: NDArray[np.intp],
    halves: Sequence[NDArray[np.bool_] | slice],
    starts: Sequence[float] = (1.0, 1.0),
    tolerance: float = 1e-10,
) -> list[float]:
    """Temper each half of z [C, N], in place, with the β that fits the other half best.

    z has a largest entry of 0 for each item, and becomes log-probabilities. `starts` are guesses of
    the β of each half, which are returned.
    """
    betas = [
        best_beta(np.ascontiguousarray(z[:, half]), labels[half], start, tolerance)
        for half, start in zip(halves, starts, strict=True)
    ]
    for half, beta in zip(halves, reversed(betas), strict=True):
        tempered = beta * z[:, half]
        tempered -= np.log(np.exp(tempered).sum(axis=0))
        z[:, half] = tempered
    return betas


def _check_items(logits: ArrayLike, labels: ArrayLike) -> tuple[Floats, NDArray[np.intp]]:
    """Return both as arrays, or raise UserError unless they are [..., N, C] and [N]."""
    array = check_any_logits(logits)
    if array.ndim < 2:
        raise UserError(f"logits must have shape [..., N, C]; found {list(array.shape)}")
    return array, check_labels(labels, "a temperature", *array.shape[-2:])


def _relative(logits: Floats) -> Array:
    """Return logits [C, N] minus each item's largest, as a new array."""
    z = np.array(logits, dtype=np.float64, order="C")
    z -= z.max(axis=0)  # softmax is blind to it, and exp(βz) stays at most 1
    return z
