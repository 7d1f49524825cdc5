"""Is a member as sure as it should be? Temperature scaling, and the diagram that shows the need.

A temperature fitted and scored on the same items flatters itself: fit on one half of the probe
(`probe_halves`), score on the other (`cross_calibrated`, `calibrated_scores`).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chromatic_descent.ensemble.combine import check_logits, log_softmax
from chromatic_descent.ensemble.metrics import (
    METRICS,
    bin_index,
    check_labels,
    check_predictions,
)
from chromatic_descent.errors import UserError

# No positive finite temperature is best for a member that is right on every item (T -> 0), nor for
# one that is no better than chance (T -> ∞). Any other member should lie well within these bounds.
COLDEST, HOTTEST = 1e-2, 1e2


@dataclass(frozen=True, eq=False)
class CrossCalibrated:
    """Predictions at a temperature that was fitted without them.

    Attributes:
        log_probs: [..., N, C] log-probabilities in nats, each item at the temperature fitted on
            the half that it is not in.
        temperatures: [..., 2], fitted on the first half and on the second.
        first_half: [N], which items are in the first half.
    """

    log_probs: NDArray[np.float64]
    temperatures: NDArray[np.float64]
    first_half: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Reliability:
    """How often the top class is right, by how sure the prediction is of it.

    Attributes:
        edges: [bins + 1], from 0 to 1; a confidence on an edge belongs to the bin below.
        confidence: [..., bins], mean top probability of the bin's items; NaN in an empty bin.
        accuracy: [..., bins], the share of them that is right; NaN in an empty bin.
        counts: [..., bins], how many items.
    """

    edges: NDArray[np.float64]
    confidence: NDArray[np.float64]
    accuracy: NDArray[np.float64]
    counts: NDArray[np.intp]


def fit_temperature(logits: ArrayLike, labels: ArrayLike) -> NDArray[np.float64]:
    """Return the temperature T > 0 that minimises the NLL of softmax(f / T), member by member.

    With β = 1/T, the NLL is convex; with f its logits, E and Var under softmax(βf):

        NLL(β) = mean_n [log Σ_c exp(β f_nc) − β f_{n,y_n}]
        NLL'(β) = mean_n [E f − f_{n,y_n}],   NLL''(β) = mean_n Var f

    solved by Newton's method within a bracket, to 1e-10 relative. T is held within [0.01, 100]:
    a member that is right on every item gets 0.01, one that is no better than chance 100,
    and one whose logits are all equal, for which every T is the same, 1.

    Args:
        logits: [..., N, C]; log-probabilities do as well.
        labels: [N], whole numbers from 0 to C − 1.

    Returns:
        [...] float64, dimensionless; above 1 the member was too sure, below 1 not sure enough.

    Raises:
        UserError: logits of another shape or not finite; labels of another length or out of range.

    Source: Guo et al. 2017, arXiv:1706.04599.

    >>> logits = [[3.0, 0.0], [3.0, 0.0], [3.0, 0.0], [3.0, 0.0]]
    >>> round(float(fit_temperature(logits, [0, 0, 0, 1])), 6)  # p = 3/4 at 3 / log 3
    2.730718
    """
    array, y = _check(logits, labels)
    # Member by member, not all at once: each stops at its own last step, and works in the cache.
    rows = array.reshape(-1, *array.shape[-2:])
    fitted = [1 / best_beta(_relative(row.T), y) for row in rows]
    temperatures: NDArray[np.float64] = np.array(fitted).reshape(array.shape[:-2])[()]
    return temperatures


def probe_halves(items: int, seed: int = 0) -> NDArray[np.bool_]:
    """Return which of N items are in the first of two random halves; ⌊N/2⌋ of them are.

    The same items and seed give the same halves everywhere in this package.

    Args:
        items: N >= 2.
        seed: of the draw.

    Returns:
        [N] bool.

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

    No item takes part in choosing its own temperature, and all items are scored: a metric of the
    result compares with the same metric of the untempered predictions at equal N. This matters
    for calibration errors, whose bias depends on it.

    Args:
        logits: [..., N, C]; an ensemble's log-probabilities do as well: combine first, then
            calibrate.
        labels: [N], whole numbers from 0 to C − 1.
        seed: of the halves.

    Returns:
        A `CrossCalibrated`.

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
    array, y = _check(logits, labels)
    first = probe_halves(len(y), seed)
    rows = array.reshape(-1, *array.shape[-2:])
    log_probs = np.empty(rows.shape)
    betas = np.empty((len(rows), 2))
    for row, into, beta in zip(rows, log_probs, betas, strict=True):
        z = _relative(row.T)  # [C, N]
        for k, half in enumerate((first, ~first)):
            beta[k] = best_beta(np.ascontiguousarray(z[:, half]), y[half])
            into[~half] = log_softmax(beta[k] * z[:, ~half].T)
    temperatures = (1 / betas).reshape(*array.shape[:-2], 2)
    return CrossCalibrated(log_probs.reshape(array.shape), temperatures, first)


def calibrated_scores(
    logits: ArrayLike, labels: ArrayLike, *, seed: int = 0
) -> dict[str, NDArray[np.float64]]:
    """Score predictions after temperature scaling, fitted on one half and scored on the other.

    Both ways, as `cross_calibrated` does, and over all N items together: for accuracy, NLL and
    Brier score the mean of the two halves' scores. Accuracy is that of the untempered predictions.

    Args:
        logits: [..., N, C]; an ensemble's log-probabilities do as well.
        labels: [N], whole numbers from 0 to C − 1.
        seed: of the halves.

    Returns:
        [...] float64 for each name in `METRICS`, in their units.

    Raises:
        UserError: as `cross_calibrated`.

    Source: Guo et al. 2017, arXiv:1706.04599.

    >>> import numpy as np
    >>> logits = np.tile([[8.0, 0.0]], (10, 1))  # 99.97% sure, 80% right
    >>> scores = calibrated_scores(logits, [0, 0, 0, 0, 1] * 2, seed=3)
    >>> round(float(scores["ece"]), 6), round(float(scores["nll"]), 3)  # 0.2 and 1.6 before
    (0.0, 0.5)
    """
    log_probs = cross_calibrated(logits, labels, seed=seed).log_probs
    return {name: metric(log_probs, labels) for name, metric in METRICS.items()}


def reliability(log_probs: ArrayLike, labels: ArrayLike, bins: int = 15) -> Reliability:
    """Return the data of a reliability diagram: accuracy by confidence, over the bins of `ece`.

        Σ_b (counts_b/N) |accuracy_b − confidence_b| = ece, over the bins that are not empty

    Args:
        log_probs: [..., N, C], in nats.
        labels: [N], whole numbers from 0 to C − 1.
        bins: number of bins of equal width.

    Returns:
        A `Reliability`.

    Raises:
        UserError: as `ece`.

    Source: DeGroot & Fienberg 1983, The Statistician 32; Guo et al. 2017, arXiv:1706.04599.

    >>> import numpy as np
    >>> diagram = reliability(np.log([[0.9, 0.1], [0.7, 0.3]]), [0, 1], bins=5)
    >>> diagram.counts, diagram.accuracy[3:], diagram.confidence[3:]
    (array([0, 0, 0, 1, 1]), array([0., 1.]), array([0.7, 0.9]))
    """
    if bins < 1:
        raise UserError(f"bins must be at least 1; found {bins}")
    log_p, y = check_predictions(log_probs, labels)
    lead = log_p.shape[:-2]
    shape = (int(np.prod(lead)), bins)
    top = log_p.argmax(axis=-1)  # [..., N]
    confidence = np.exp(np.take_along_axis(log_p, top[..., None], axis=-1)[..., 0])
    cell = bin_index(confidence, bins).reshape(shape[0], -1) + bins * np.arange(shape[0])[:, None]

    def totals(weights: NDArray[np.float64] | None = None) -> NDArray[np.float64]:
        flat = None if weights is None else weights.ravel()
        sums = np.bincount(cell.ravel(), flat, shape[0] * bins)
        return sums.astype(np.float64).reshape(*lead, bins)

    counts = totals()
    size = np.where(counts > 0, counts, np.nan)
    return Reliability(
        edges=np.linspace(0, 1, bins + 1),
        confidence=totals(confidence) / size,
        accuracy=totals((top == y).astype(np.float64)) / size,
        counts=counts.astype(np.intp),
    )


def best_beta(
    z: NDArray[np.float64],
    labels: NDArray[np.intp],
    start: float = 1.0,
    tolerance: float = 1e-10,
) -> float:
    """Return the β = 1/T that minimises the NLL of softmax(βz), to `tolerance` relative.

    z is [C, N], with a largest entry of 0 for each item: classes first, as sums over classes are
    then sums of long rows. Newton's error after a step is about the square of the step, so the
    result is much closer than `tolerance` where that is loose.
    """
    z_label = z[labels, np.arange(len(labels))]
    if not z_label.any():  # right everywhere: NLL' <= 0, or lost in round-off, at every β
        return 1 / COLDEST if z.any() else 1.0
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

    low, high = bounds = 1 / HOTTEST, 1 / COLDEST
    seen = set()  # bounds at which the slope is known to lead back inside
    beta = start
    for _ in range(200):  # 7 as a rule; bisection alone would need about 50
        slope, curvature = derivatives(beta)
        low, high = (beta, high) if slope < 0 else (low, beta)
        newton = beta - slope / curvature if curvature > 0 else np.inf * -slope
        if low <= newton <= high:
            following = newton
        else:
            bound = high if slope < 0 else low
            if bound in bounds and bound not in seen:  # nothing known between β and the bound
                seen.add(bound)
                if derivatives(bound)[0] * slope >= 0:  # downhill as far as the bound
                    return bound
            # Halve the bracket instead (on a log scale, as T has one).
            following = float(np.sqrt(low * high))
        if abs(following - beta) <= tolerance * beta:
            return following
        beta = following
    return beta


def _check(logits: ArrayLike, labels: ArrayLike) -> tuple[NDArray[np.floating], NDArray[np.intp]]:
    """Return both as arrays, or raise UserError unless they are [..., N, C] and [N]."""
    array = check_logits(logits)
    if array.ndim < 2:
        raise UserError(f"logits must have shape [..., N, C]; found {list(array.shape)}")
    return array, check_labels(labels, *array.shape[-2:])


def _relative(logits: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return logits [C, N] less each item's largest, as a new array."""
    z = np.array(logits, dtype=np.float64, order="C")
    z -= z.max(axis=0)  # softmax does not see it, and exp(βz) stays below 1
    return z
