"""Does a rule that picks members pick better than chance?

A rule picks on one half of the probe and its pick is scored on the other, both ways round, beside
ensembles picked at random. Some rules see labels, others only distances between members.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chromatic_descent.ensemble import subsets
from chromatic_descent.ensemble.calibration import probe_halves
from chromatic_descent.ensemble.curves import default_sizes
from chromatic_descent.ensemble.log_probabilities import at_label, check_members, log_softmax_blocks
from chromatic_descent.ensemble.metrics import METRICS
from chromatic_descent.errors import UserError
from chromatic_descent.geometry.checks import Floats, check_count, check_squared

if TYPE_CHECKING:
    import pandas as pd

_LARGEST = 64  # pick, unless sizes are given: beyond it, all rules pick much the same

# Label probabilities are floored at exp(−690) of the best member's: there double precision ends.
_FLOOR = 1e-300


def greedy_forward(logits: ArrayLike, labels: ArrayLike, size: int) -> list[int]:
    """Pick members one by one, each time the one that lowers the ensemble's NLL most.

        i_k = argmin_i −mean_n log (1/k) (p_{i,n,y_n} + Σ_{j<k} p_{i_j,n,y_n})

    The first is the member of lowest NLL; the ensemble is the mean probability. Each member is
    picked at most once (Caruana et al. also pick members repeatedly, which is a weighting). The
    picks for a smaller size are the first ones of a larger size.

    Args:
        logits: [S, N, C].
        labels: [N], whole numbers from 0 to C − 1.
        size: how many to pick, from 1 to S.

    Returns:
        The members' indices, in the order of picking; of equally good members the first.

    Raises:
        UserError: logits, labels or size out of range.

    Source: Caruana et al. 2004, "Ensemble selection from libraries of models", ICML.

    >>> logits = [[[2.0, 0], [2.0, 0]], [[1.9, 0], [1.9, 0]], [[-1.0, 0], [0, 4.0]]]
    >>> greedy_forward(logits, [0, 1], 2)  # the last two complement each other
    [2, 1]
    """
    stack, y = check_members(logits, labels)
    members, items, _ = stack.shape
    _check_size(size, members)
    label_p = np.empty((members, items))
    for block, log_p in log_softmax_blocks(stack):
        label_p[:, block] = at_label(log_p, y[block])
    label_p -= label_p.max(axis=0)  # over the best member's: no pick depends on it
    np.exp(label_p, out=label_p)

    picked: list[int] = []
    total = np.zeros(items)
    free = np.ones(members, dtype=np.bool_)
    for _ in range(size):
        gain = np.full(members, -np.inf)
        for i in np.flatnonzero(free):  # row by row, as [S, N] sums would not fit the cache
            gain[i] = np.log(np.maximum(total + label_p[i], _FLOOR)).sum()
        best = int(gain.argmax())
        picked.append(best)
        free[best] = False
        total += label_p[best]
    return picked


def k_medoids(squared: ArrayLike, size: int) -> list[int]:
    """Pick the members to which all others are closest: partitioning around medoids.

        minimise Σ_i min_{m∈M} D_im over sets M of k members

    with D the squared distances: the sum of squares about the medoids. Medoids are first added
    greedily (BUILD); then a medoid is swapped for another member, best swap first, as long as a
    swap helps (SWAP). The result is a local optimum, the same one every time.

    Args:
        squared: [S, S] squared distances between members.
        size: k, from 1 to S.

    Returns:
        The medoids' indices, ascending.

    Raises:
        UserError: `squared` is not a matrix of squared distances; size out of range.

    Source: Kaufman & Rousseeuw 1987; the shared sums of a swap Schubert & Rousseeuw 2021,
    arXiv:2008.05171.

    >>> import numpy as np
    >>> x = np.array([0.0, 1.0, 2.0, 10.0, 11.0, 12.0])
    >>> k_medoids((x[:, None] - x) ** 2, 2)
    [1, 4]
    """
    d = check_squared(squared)
    members = len(d)
    _check_size(size, members)
    medoids = [int(d.sum(axis=0).argmin())]
    nearest = d[medoids[0]].copy()
    while len(medoids) < size:
        saved = np.maximum(nearest[:, None] - d, 0).sum(axis=0)
        saved[medoids] = -1
        medoids.append(int(saved.argmax()))
        nearest = np.minimum(nearest, d[medoids[-1]])

    tiny = 1e-12 * d.sum()  # swaps that help by round-off alone could go on for ever
    while size < members:
        to_medoids = d[medoids]  # [k, S]
        closest = to_medoids.argmin(axis=0)
        first = to_medoids.min(axis=0)
        others = np.vstack([to_medoids, np.full(members, np.inf)])  # for a single medoid
        second = np.partition(others, 1, axis=0)[1]
        # Adding x changes point i by min(D_ix − first_i, 0) if its medoid stays, and by
        # min(D_ix, second_i) − first_i if its medoid is the one removed.
        stays = np.minimum(d - first[:, None], 0)  # [i, x]
        leaves = np.minimum(d, second[:, None]) - first[:, None] - stays
        owner = (closest == np.arange(size)[:, None]).astype(np.float64)  # [k, i]
        change = stays.sum(axis=0) + owner @ leaves  # [k, x]
        change[:, medoids] = np.inf
        out, into = divmod(int(change.argmin()), members)
        if change[out, into] >= -tiny:
            break
        medoids[out] = into
    return sorted(medoids)


def farthest_point(squared: ArrayLike, size: int) -> list[int]:
    """Pick members one by one, each time the one farthest from all picked before.

        i_1 = argmin_i Σ_j D_ij,   i_k = argmax_i min_{j<k} D_{i, i_j}

    Outliers come early. The picks for a smaller size are the first ones of a larger size.

    Arguments and errors: see `k_medoids`. Returns the members' indices in the order of picking; of
    equally far members the first.

    Source: Gonzalez 1985, Theoretical Computer Science 38.

    >>> import numpy as np
    >>> x = np.array([0.0, 4.0, 5.0, 6.0, 11.0])
    >>> farthest_point((x[:, None] - x) ** 2, 3)
    [2, 4, 0]
    """
    d = check_squared(squared)
    _check_size(size, len(d))
    picked = [int(d.sum(axis=0).argmin())]
    nearest = d[picked[0]].copy()
    while len(picked) < size:
        nearest[picked] = -1
        picked.append(int(nearest.argmax()))
        nearest = np.minimum(nearest, d[picked[-1]])
    return picked


def _check_size(size: int, members: int) -> None:
    if not 1 <= size <= members:
        raise UserError(f"size must be from 1 to the {members} members; found {size}")


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

    under the hypothesis that the method picks no better than chance. p is one-sided, holds for
    these members and items, and is not corrected for the number of sizes, methods and metrics.

    Args:
        logits: [S, N, C], at least 2 members and 2 items.
        labels: [N], whole numbers from 0 to C − 1.
        distance: the members' logits on one half of the items, [S, n, C] -> their squared
            distances [S, S]. Not a matrix: distances over all items would leak the other half.
        sizes: 1 to S − 1 each. By default all of them up to 16 members; beyond, 1, 2, 4, … to 64.
        draws: random picks per size.
        seed: of the halves, the draws and the resamples.
        resamples: of the items, for the intervals; 0 leaves them NaN.

    Returns:
        One row per size, method and metric: size, method, metric (as in `METRICS`), mean, item_low,
        item_high (95% bootstrap interval over items, the picks held fixed; NaN for calibration
        errors), low, high (the 2.5% and 97.5% quantiles over draws, for `random` only), p_value
        (for the others only), draws. NLL in nats, Brier summed over classes.

    Raises:
        UserError: logits or labels of another shape; fewer than 2 members or items; values out of
            range; `distance` does not return a matrix of squared distances.

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
    check_count("draws", draws)
    check_count("resamples", resamples, 0)

    first_half = probe_halves(items, seed)
    random = [subsets.draw_subsets(members, size, draws, seed) for size in sizes]
    scored: list[tuple[NDArray[np.bool_], subsets.SubsetScores]] = []
    for half in (first_half, ~first_half):
        picks = _picks(stack[:, half], y[half], distance, sizes)
        groups = [group for size in zip(*picks.values(), random, strict=True) for group in size]
        scored.append((~half, subsets.score_subsets(stack[:, ~half], y[~half], groups)["raw"]))

    weights = subsets.item_weights(items, resamples, seed)
    values, bands = {}, {}  # by metric: the halves' mean [M]; intervals [G, 2]
    for metric in METRICS:
        values[metric] = sum(half.mean() * scores.metrics[metric] for half, scores in scored)
        if metric in scored[0][1].items:
            of_items = np.empty((len(groups), items))
            for half, scores in scored:
                of_items[:, half] = scores.items[metric]
            bands[metric] = subsets.item_intervals(of_items, weights)

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
            spread = (*band, low, high, p_value)
            rows.append((size, method, metric, picked.mean(), *spread, len(drawn)))
    columns = ["size", "method", "metric", "mean", "item_low", "item_high", "low", "high"]
    return pd.DataFrame(rows, columns=[*columns, "p_value", "draws"])


def _picks(
    logits: Floats,
    labels: NDArray[np.intp],
    distance: Callable[[Floats], ArrayLike],
    sizes: Sequence[int],
) -> dict[str, list[list[subsets.Subset]]]:
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
