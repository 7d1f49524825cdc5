"""Temperature scaling: how much surer or less sure a member should be of the same answers."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chromatic_descent.ensemble.combine import check_logits
from chromatic_descent.ensemble.metrics import at_label, check_labels
from chromatic_descent.errors import UserError

# No positive finite temperature is best for a member that is right on every item (T -> 0), nor for
# one that is no better than chance (T -> ∞). Any other member should lie well within these bounds.
COLDEST, HOTTEST = 1e-2, 1e2


def fit_temperature(logits: ArrayLike, labels: ArrayLike) -> NDArray[np.float64]:
    """Return the temperature T > 0 that minimises the NLL of softmax(f / T), member by member.

    With β = 1/T, the NLL is convex; with f its logits, E and Var under softmax(βf):

        NLL(β) = mean_n [log Σ_c exp(β f_nc) − β f_{n,y_n}]
        NLL'(β) = mean_n [E f − f_{n,y_n}],   NLL''(β) = mean_n Var f

    solved by Newton's method within a bracket, to 1e-10 relative. T is held within [0.01, 100]:
    a member that is right on every item gets 0.01, one that is no better than chance 100,
    and one whose logits are all equal, for which every T is the same, 1.

    Args:
        logits: [..., N, C].
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
    array = check_logits(logits)
    if array.ndim < 2:
        raise UserError(f"logits must have shape [..., N, C]; found {list(array.shape)}")
    items, classes = array.shape[-2:]
    y = check_labels(labels, items, classes)
    # Member by member, not all at once: each stops at its own last step, and works in the cache.
    fitted = [_fit(member, y) for member in array.reshape(-1, items, classes)]
    temperatures: NDArray[np.float64] = np.array(fitted).reshape(array.shape[:-2])[()]
    return temperatures


def _fit(logits: NDArray[np.floating], labels: NDArray[np.intp]) -> float:
    """Return the temperature of one member: [N, C] -> T."""
    z = logits.astype(np.float64)
    z -= z.max(axis=-1, keepdims=True)  # softmax does not see it, and exp(βz) stays below 1
    z_label = at_label(z, labels)
    if not z_label.any():  # right everywhere: NLL' <= 0, or lost in round-off, at every β
        return COLDEST if z.any() else 1.0

    def derivatives(beta: float) -> tuple[float, float]:
        p = np.exp(beta * z)
        p /= p.sum(axis=-1, keepdims=True)
        first = np.einsum("nc,nc->n", p, z)  # E z
        second = np.einsum("nc,nc,nc->n", p, z, z)  # E z²
        return float((first - z_label).mean()), float((second - first**2).mean())

    low, high = 1 / HOTTEST, 1 / COLDEST
    if derivatives(low)[0] >= 0:
        return HOTTEST
    if derivatives(high)[0] <= 0:
        return COLDEST
    beta = 1.0
    for _ in range(200):  # 10 as a rule; bisection alone would need about 50
        slope, curvature = derivatives(beta)
        low, high = (beta, high) if slope < 0 else (low, beta)
        newton = beta - slope / curvature if curvature > 0 else np.inf
        # Where Newton's step leaves the bracket, halve it instead (on a log scale, as T has one).
        following = newton if low <= newton <= high else float(np.sqrt(low * high))
        if abs(following - beta) <= 1e-10 * beta:
            return 1 / following
        beta = following
    return 1 / beta
