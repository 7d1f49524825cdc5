"""Predictions after temperature scaling, each at a temperature that was fitted without them.

A temperature fitted and scored on the same items flatters itself: fit on one half of the probe
(`probe_halves`), score on the other (`cross_calibrated`, `calibrated_scores`).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chromatic_descent.ensemble.metrics import METRICS
from chromatic_descent.ensemble.temperature import check_items, relative, temper_halves
from chromatic_descent.errors import UserError
from chromatic_descent.geometry.checks import Array


@dataclass(frozen=True, eq=False)
class CrossCalibrated:
    """Predictions at a temperature that was fitted without them.

    Attributes:
        log_probs: [..., N, C] log-probabilities in nats, each item at the temperature fitted on
            the other half.
        temperatures: [..., 2], fitted on the first half and on the second.
        first_half: [N], which items are in the first half.
    """

    log_probs: Array
    temperatures: Array
    first_half: NDArray[np.bool_]


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
    result is comparable with the same metric of the untempered predictions at equal N, on which
    the bias of calibration errors depends.

    Args:
        logits: [..., N, C]; an ensemble's log-probabilities work as well: combine first, then
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
    array, y = check_items(logits, labels)
    first = probe_halves(len(y), seed)
    rows = array.reshape(-1, *array.shape[-2:])
    log_probs = np.empty(rows.shape)
    betas = np.empty((len(rows), 2))
    for row, into, beta in zip(rows, log_probs, betas, strict=True):
        z = relative(row.T)  # [C, N]
        beta[:] = temper_halves(z, y, (first, ~first))
        into[:] = z.T
    temperatures = (1 / betas).reshape(*array.shape[:-2], 2)
    return CrossCalibrated(log_probs.reshape(array.shape), temperatures, first)


def calibrated_scores(logits: ArrayLike, labels: ArrayLike, *, seed: int = 0) -> dict[str, Array]:
    """Score predictions after temperature scaling, fitted on one half and scored on the other.

    Both ways round, as in `cross_calibrated`, and over all N items together; for accuracy, NLL and
    Brier score that is the mean of the two halves' scores, weighted by items. Accuracy is that of
    the untempered predictions.

    Args:
        logits: [..., N, C]; an ensemble's log-probabilities work as well.
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
