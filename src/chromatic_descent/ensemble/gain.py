"""Do members that lie far apart make a better ensemble?"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chromatic_descent.ensemble.log_probabilities import check_members, log_softmax
from chromatic_descent.ensemble.metrics import accuracy, nll
from chromatic_descent.ensemble.paired import jackknife_reach
from chromatic_descent.ensemble.subsets import draw_subsets, membership, score_subsets
from chromatic_descent.errors import UserError
from chromatic_descent.geometry.checks import Array, check_count, check_squared

if TYPE_CHECKING:
    import pandas as pd

_FEWEST = 5  # members: four have only 24 relabellings, hardly enough for a test at 5%
_BATCH = 2**21  # float64 values (16 MiB) of relabelled distances that are gathered at once


@dataclass(frozen=True, eq=False)
class DistanceGain:
    """How well the spread of a subset predicts its gain.

    Attributes:
        table: one row per target: target, correlation, low, high, p_value, size, subsets.
        subsets: one row per subset: its spread, and its value of each target.
    """

    table: "pd.DataFrame"
    subsets: "pd.DataFrame"


def distance_predicts_gain(
    squared: ArrayLike,
    logits: ArrayLike,
    labels: ArrayLike,
    *,
    size: int = 4,
    subsets: int = 200,
    permutations: int = 999,
    seed: int = 0,
) -> DistanceGain:
    """Correlate the distance between an ensemble's members with the gain of combining them.

        spread_A = mean_{i<j∈A} D_ij over subsets A of k members

    against four targets, all better when larger, with mean probability as the combiner:

        accuracy_gain   accuracy of the ensemble − mean accuracy of its members
        nll_gain        mean NLL of its members − NLL of the ensemble
        accuracy, nll_reduction   the ensemble's own accuracy, and minus its NLL

    The gains show whether distance predicts what combining *adds*, the other two whether to prefer
    spread-out members: weak members are often far from the rest and gain much in a poor ensemble.

    Subsets share members, so they are not independent observations, and shuffling them as if they
    were would reject far too often. The null relabels members instead: rows and columns of D are
    permuted together, while subsets and their gains stay. p = (1 + #{|r*| ≥ |r|})/(1 + P),
    two-sided; a small p rejects the hypothesis that a member's position on the map is unrelated to
    its contribution. low and high are a 95% jackknife interval over members: Fisher's z = artanh r,
    each time without the subsets of one member, ± Student's t with S − 1 degrees of freedom. The
    interval is conservative if there are few subsets. Both take these probe items as given.

    Args:
        squared: [S, S] squared distances between the members.
        logits: [S, N, C], at least 5 members.
        labels: [N], whole numbers from 0 to C − 1.
        size: k, from 2 to S − 2.
        subsets: largest number of subsets, at least 3; beyond it, subsets are drawn at random.
        permutations: P. The cost is P · subsets · k²/2 look-ups.
        seed: of the subsets and the permutations.

    Returns:
        A `DistanceGain` of Pearson's correlations, NaN where a target is the same for all subsets.

    Raises:
        UserError: shapes that do not match; values out of range; all subsets of the same spread.

    Source: Mantel 1967 for the joint permutation; Phipson & Smyth 2010 for the p-value.

    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> labels = rng.integers(3, size=300)
    >>> two = rng.normal(size=(2, 300, 3)) + np.eye(3)[labels]  # two kinds of member
    >>> logits = np.repeat(two, 4, axis=0) + 0.3 * rng.normal(size=(8, 300, 3))
    >>> squared = ((logits[:, None] - logits) ** 2).mean(axis=(2, 3))
    >>> table = distance_predicts_gain(squared, logits, labels, size=2).table
    >>> row = table.set_index("target").loc["nll_gain"]
    >>> round(float(row.correlation), 2), bool(row.p_value < 0.05)
    (1.0, True)
    """
    import pandas as pd

    stack, y = check_members(logits, labels)
    members = len(stack)
    d = check_squared(squared)
    if len(d) != members:
        raise UserError(f"squared is for {len(d)} members, logits for {members}")
    if members < _FEWEST:
        raise UserError(
            f"whether distance predicts gain needs at least {_FEWEST} members; found {members}"
        )
    if not 2 <= size <= members - 2:
        raise UserError(
            f"size must be from 2 to {members - 2}, two below the {members} members; found {size}"
        )
    check_count("subsets", subsets, 3)
    check_count("permutations", permutations)

    chosen = draw_subsets(members, size, subsets, seed)
    inside = membership(chosen, members)  # [M, S]
    index = np.array(chosen)  # [M, k]
    spread = _spreads(d, index[None])[0]
    if np.ptp(spread) <= 1e-9 * np.abs(d).max():
        raise UserError("all subsets have the same spread: there is nothing to correlate")
    scores = score_subsets(stack, y, [chosen])["raw"].metrics
    alone = np.array([[metric(log_softmax(f), y) for metric in (accuracy, nll)] for f in stack])
    member_accuracy, member_nll = (inside @ alone / size).T  # [M] each
    targets = {
        "accuracy_gain": scores["accuracy"] - member_accuracy,
        "nll_gain": member_nll - scores["nll"],
        "accuracy": scores["accuracy"],
        "nll_reduction": -scores["nll"],
    }
    values = np.stack(list(targets.values()))  # [T, M]

    everything = np.ones((1, len(chosen)))
    observed = _correlations(everything, spread[None], values)[0]  # [T]
    without = _correlations(1 - inside.T, spread[None], values)  # [S, T]
    reach = jackknife_reach(_fisher_z(without))
    low, high = (np.tanh(_fisher_z(observed) + side * reach) for side in (-1, 1))

    rng = np.random.default_rng(seed)
    reached = np.zeros(len(values), dtype=np.intp)
    batch = max(1, _BATCH // (len(chosen) * size**2))
    for start in range(0, permutations, batch):
        names = np.tile(np.arange(members), (min(batch, permutations - start), 1))
        relabelled = rng.permuted(names, axis=1)[:, index]  # [P, M, k]
        null = _correlations(everything, _spreads(d, relabelled), values)  # [P, T]
        # A relabelling that changes nothing ties with the data up to round-off: it must count.
        reached += np.count_nonzero(np.abs(null) >= np.abs(observed) * (1 - 1e-9), axis=0)
    p_value = np.where(np.isnan(observed), np.nan, (1 + reached) / (1 + permutations))

    columns = {"correlation": observed, "low": low, "high": high, "p_value": p_value}
    table = pd.DataFrame({"target": list(targets), **columns, "size": size, "subsets": len(chosen)})
    return DistanceGain(table, pd.DataFrame({"spread": spread, **targets}))


def _spreads(squared: Array, index: NDArray[np.intp]) -> Array:
    """Return the mean distance over the pairs of each subset: [P, M, k] -> [P, M]."""
    i, j = np.triu_indices(index.shape[-1], k=1)
    return np.asarray(squared[index[..., i], index[..., j]].mean(axis=-1))


def _correlations(weights: Array, x: Array, y: Array) -> Array:
    """Return weighted correlations [B, T], NaN if x or y is constant; x or weights are [1, M]."""
    total = weights.sum(axis=1, keepdims=True)  # [B, 1]
    x = x - (weights * x).sum(axis=1, keepdims=True) / total  # [B, M]
    y = y - y.mean(axis=1, keepdims=True)  # [T, M]; so that little cancels below
    weighted = weights * x
    variance_x = (weighted * x).sum(axis=1, keepdims=True)
    mean_y = weights @ y.T / total
    variance_y = weights @ np.square(y).T - total * mean_y**2
    covariance = weighted @ y.T  # x is centred: y need not be
    scale = np.sqrt(np.maximum(variance_x * variance_y, 0))
    # Scores that differ by less than this are equal up to round-off.
    known = np.broadcast_to(variance_y > 1e-24 * total, scale.shape) & (scale > 0)
    r: Array = np.divide(covariance, scale, out=np.full(scale.shape, np.nan), where=known)
    return np.clip(r, -1, 1, out=r)


def _fisher_z(r: Array) -> Array:
    return np.arctanh(np.clip(r, -1 + 1e-15, 1 - 1e-15))
