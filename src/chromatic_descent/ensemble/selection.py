"""Does a rule that picks members pick better than chance?

A rule picks on one half of the probe and its pick is scored on the other, both ways round, beside
ensembles picked at random. Some rules see labels, others only distances between members.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chromatic_descent.ensemble.calibration import probe_halves
from chromatic_descent.ensemble.curves import default_sizes
from chromatic_descent.ensemble.log_probabilities import check_members
from chromatic_descent.ensemble.metrics import METRICS
from chromatic_descent.ensemble.pooling import Subset
from chromatic_descent.ensemble.selection_rules import farthest_point, greedy_forward, k_medoids
from chromatic_descent.ensemble.subsets import (
    SubsetScores,
    draw_subsets,
    item_intervals,
    item_weights,
    score_subsets,
)
from chromatic_descent.errors import UserError
from chromatic_descent.geometry.checks import Floats, check_squared

if TYPE_CHECKING:
    import pandas as pd

_LARGEST = 64  # pick, unless sizes are given: beyond it, all rules pick much the same


def selection_curves(
    logits: ArrayLike,
    labels: ArrayLike,
    distance: Callable[[Floats], ArrayLike],
    *,
    sizes: Sequence[int] | None = None,
    draws: int = 100,
    seed: int = 0,
    resamples: int = 200,
) -> "pd.DataFrame":
    """Pick members on one half of the probe, score them on the other, beside random picks.

    Methods: `greedy_forward` (by NLL), `k_medoids` and `farthest_point` (by distances, without
    labels), and `random`. Each picks on half A and is scored on half B, and the other way round;
    the score is the mean of the two, weighted by items. The ensemble is the mean probability.

    `random` is every subset if there are at most `draws`, otherwise `draws` different ones; a draw
    is scored on both halves. The p-value of a method ranks its score among those of the draws,

        p = (1 + #{draws at least as good}) / (1 + draws)

    under the hypothesis that the method picks no better than chance. It is one-sided, holds for
    these members and items, and is not corrected for the number of sizes, methods and metrics.

    Args:
        logits: [S, N, C], at least 2 members and 2 items.
        labels: [N], whole numbers from 0 to C − 1.
        distance: the members' logits on one half of the items, [S, n, C] -> their squared
            distances [S, S]. A function rather than a matrix, since distances over all items would
            show a rule the half it is scored on.
        sizes: how many to pick, 1 to S − 1 each. By default all sizes up to 16 members; beyond,
            1, 2, 4, … up to 64.
        draws: random picks per size.
        seed: of the halves, the draws and the resamples.
        resamples: of the items, for the intervals; 0 leaves them NaN.

    Returns:
        One row per size, method and metric: size, method, metric (as in `METRICS`), mean, item_low,
        item_high (95% bootstrap interval over items, the picks held fixed; NaN for calibration
        errors), low, high (the 2.5% and 97.5% quantiles over draws, for `random` only), p_value
        (for the others only), draws. NLL in nats, Brier summed over classes.

    Raises:
        UserError: logits or labels of another shape, or out of range; fewer than 2 members or
            items; sizes or draws out of range; `distance` does not return a matrix of
            squared distances.

    Source: Caruana et al. 2004 for the rule and for selecting on held-out data.

    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> labels = rng.integers(3, size=200)
    >>> skill = np.linspace(0, 2, 5)[:, None, None]  # members from useless to good
    >>> logits = rng.normal(size=(5, 200, 3)) + skill * np.eye(3)[labels]
    >>> def mean_squared(half):
    ...     return ((half[:, None] - half) ** 2).mean(axis=(2, 3))
    >>> table = selection_curves(logits, labels, mean_squared)
    >>> table.query("size == 2 and metric == 'nll'").set_index("method")["mean"].round(2).to_dict()
    {'greedy_forward': 0.48, 'k_medoids': 0.71, 'farthest_point': 0.71, 'random': 0.73}
    """
    import pandas as pd

    stack, y = check_members(logits, labels)
    members, items, _ = stack.shape
    if members < 2:
        raise UserError("selection needs at least 2 members; found 1")
    if sizes is None:
        sizes = [size for size in default_sizes(members) if size < members and size <= _LARGEST]
    if not sizes or not all(1 <= size < members for size in sizes):
        raise UserError(
            f"sizes must be from 1 to {members - 1}, one below the {members} members; "
            f"found {list(sizes)}"
        )
    if draws < 1 or resamples < 0:
        raise UserError(
            f"draws must be at least 1 and resamples at least 0; found {draws} and {resamples}"
        )

    first_half = probe_halves(items, seed)
    random = [draw_subsets(members, size, draws, seed) for size in sizes]
    scored: list[tuple[NDArray[np.bool_], SubsetScores]] = []
    for half in (first_half, ~first_half):
        picks = _picks(stack[:, half], y[half], distance, sizes)
        groups = [group for size in zip(*picks.values(), random, strict=True) for group in size]
        scored.append((~half, score_subsets(stack[:, ~half], y[~half], groups)["raw"]))

    weights = item_weights(items, resamples, seed)
    values, bands = {}, {}  # by metric: the halves' mean [M]; intervals [G, 2]
    for metric in METRICS:
        values[metric] = sum(half.mean() * scores.metrics[metric] for half, scores in scored)
        if metric in scored[0][1].items:
            of_items = np.empty((len(groups), items))
            for half, scores in scored:
                of_items[:, half] = scores.items[metric]
            bands[metric] = item_intervals(of_items, weights)

    rows: list[tuple[object, ...]] = []
    ends = np.cumsum([0, *map(len, groups)])
    methods = [*picks, "random"]
    for g in range(len(groups)):
        size, method = sizes[g // len(methods)], methods[g % len(methods)]
        control = g - g % len(methods) + len(picks)
        for metric, of_all in values.items():
            picked = np.asarray(of_all)[ends[g] : ends[g + 1]]
            drawn = np.asarray(of_all)[ends[control] : ends[control + 1]]
            low = high = p_value = np.nan
            if method == "random":
                low, high = np.quantile(drawn, [0.025, 0.975])
            else:
                # A draw of the very members that a method picked must tie with it.
                margin = 1e-12 * (1 + np.abs(picked[0]))
                sign = 1 if METRICS[metric].larger_is_better else -1
                as_good = np.count_nonzero(sign * (drawn - picked) >= -margin)
                p_value = (1 + as_good) / (1 + len(drawn))
            band = bands[metric][g] if metric in bands else (np.nan, np.nan)
            rows.append(
                (size, method, metric, picked.mean(), *band, low, high, p_value, len(drawn))
            )
    columns = ["size", "method", "metric", "mean", "item_low", "item_high", "low", "high"]
    return pd.DataFrame(rows, columns=[*columns, "p_value", "draws"])


def _picks(
    logits: Floats,
    labels: NDArray[np.intp],
    distance: Callable[[Floats], ArrayLike],
    sizes: Sequence[int],
) -> dict[str, list[list[Subset]]]:
    """Return each method's pick of each size, as groups of one subset."""
    squared = check_squared(distance(logits))
    if len(squared) != len(logits):
        raise UserError(
            f"distance must return a matrix for the {len(logits)} members; "
            f"found one for {len(squared)}"
        )
    greedy = greedy_forward(logits, labels, max(sizes))
    farthest = farthest_point(squared, max(sizes))
    return {
        "greedy_forward": [[tuple(greedy[:size])] for size in sizes],
        "k_medoids": [[tuple(k_medoids(squared, size))] for size in sizes],
        "farthest_point": [[tuple(farthest[:size])] for size in sizes],
    }
