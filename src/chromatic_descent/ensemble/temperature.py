"""Temperature scaling: the one number that makes a member as confident as it should be."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chromatic_descent.ensemble.log_probabilities import check_any_logits
from chromatic_descent.errors import UserError
from chromatic_descent.geometry.checks import Array, Floats, check_labels

# No positive finite temperature is best for a member that is right on every item (T -> 0), nor for
# one that is no better than chance (T -> ∞). Any other member should lie well within these bounds.
COLDEST, HOTTEST = 1e-2, 1e2


def fit_temperature(logits: ArrayLike, labels: ArrayLike) -> Array:
    """Return the temperature T > 0 that minimises the NLL of softmax(f / T), member by member.

    With β = 1/T, the NLL is convex; with f its logits, E and Var under softmax(βf):

        NLL(β) = mean_n [log Σ_c exp(β f_nc) − β f_{n,y_n}]
        NLL'(β) = mean_n [E f − f_{n,y_n}],   NLL''(β) = mean_n Var f

    solved by Newton's method within a bracket, to 1e-10 relative. T is held within [0.01, 100]: a
    member that is right on every item gets 0.01, one that is no better than chance 100, and one
    whose logits are all equal, for which T makes no difference, 1.

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
    array, y = check_items(logits, labels)
    # Member by member rather than all at once: each stops at its own last step, in the cache.
    rows = array.reshape(-1, *array.shape[-2:])
    fitted = [1 / best_beta(relative(row.T), y) for row in rows]
    temperatures: Array = np.array(fitted).reshape(array.shape[:-2])[()]
    return temperatures


def best_beta(
    z: Array, labels: NDArray[np.intp], start: float = 1.0, tolerance: float = 1e-10
) -> float:
    """Return the β = 1/T that minimises the NLL of softmax(βz), to `tolerance` relative.

    z is [C, N], with a largest entry of 0 for each item. Newton's error after a step is about the
    square of the step, so the result is much closer than a loose `tolerance`.
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
            # Halve the bracket instead (on a log scale, as T has one).
            following = float(np.sqrt(low * high))
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

    z has a largest entry of 0 for each item, and becomes log-probabilities. Returns the β of each
    half, found from `starts`.
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


def check_items(logits: ArrayLike, labels: ArrayLike) -> tuple[Floats, NDArray[np.intp]]:
    """Return both as arrays, or raise UserError unless they are [..., N, C] and [N]."""
    array = check_any_logits(logits)
    if array.ndim < 2:
        raise UserError(f"logits must have shape [..., N, C]; found {list(array.shape)}")
    return array, check_labels(labels, "a temperature", *array.shape[-2:])


def relative(logits: Floats) -> Array:
    """Return logits [C, N] minus each item's largest, as a new array."""
    z = np.array(logits, dtype=np.float64, order="C")
    z -= z.max(axis=0)  # softmax is blind to it, and exp(βz) stays at most 1
    return z
