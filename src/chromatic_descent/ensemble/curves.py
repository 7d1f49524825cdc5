"""The value of another member: ensemble quality by ensemble size."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chromatic_descent.ensemble.calibration import probe_halves
from chromatic_descent.ensemble.combination import COMBINERS, Combine, check_combiners
from chromatic_descent.ensemble.log_probabilities import check_members
from chromatic_descent.ensemble.subsets import (
    SubsetScores,
    draw_subsets,
    item_intervals,
    item_weights,
    membership,
    score_subsets,
)
from chromatic_descent.errors import UserError
from chromatic_descent.geometry.checks import Array, check_count

if TYPE_CHECKING:
    import pandas as pd

_ALL_SIZES = 16  # up to this many members every size is scored, beyond it powers of two


def size_curves(
    logits: ArrayLike,
    labels: ArrayLike,
    *,
    combiners: Sequence[str] | Mapping[str, Combine] = tuple(COMBINERS),
    subsets: int = 50,
    seed: int = 0,
    sizes: Sequence[int] | None = None,
    calibrate: bool = True,
    resamples: int = 200,
) -> "pd.DataFrame":
    """Score ensembles of every size, over subsets of the members, as a tidy table.

    For each size, all subsets are scored if there are at most `subsets` of them, otherwise
    `subsets` different ones drawn at random. Each is scored by all `METRICS`, both as it is (stage
    `raw`) and after temperature scaling (stage `calibrated`): combined first, then tempered, each
    half of the items with the temperature that fits the other half best, as in `cross_calibrated`.

    Two intervals answer two questions; neither covers members that were not trained.

    - low, high: the 2.5% and 97.5% quantiles *over subsets of these members*: how much the choice
      of members matters. Subsets overlap: the band narrows to one point at the full ensemble.
    - item_low, item_high: the 95% bootstrap interval *over probe items* of the mean over subsets:
      how much the choice of probe images matters. Temperatures are held fixed. NaN for the
      calibration errors: resampled items add their noise to every bin a second time, so a
      bootstrap of these errors is biased upwards.

    The rows of combiner `oracle` (metric accuracy) are the share of items that at least one member
    of the subset gets right: the accuracy of choosing the right member for each item.

    Args:
        logits: [S, N, C].
        labels: [N], whole numbers from 0 to C − 1.
        combiners: names from `COMBINERS` or `module.function` of your own, or combiners by name:
            each takes logits [s, n, C] and returns log-probabilities [n, C], item by item.
        subsets: largest number of subsets per size.
        seed: of the subsets (each size has its own random stream), the halves and the resamples.
        sizes: 1 to S each. By default all of them up to 16 members; beyond, 1, 2, 4, 8, … and S.
        calibrate: whether to score the calibrated stage; it needs 2 items.
        resamples: of the items; 0 leaves item_low and item_high NaN.

    Returns:
        One row per combiner, stage, size and metric: combiner, stage (raw, calibrated), size,
        metric (as in `METRICS`), mean, low, high, item_low, item_high, subsets (how many were
        scored). NLL in nats, Brier summed over classes.

    Raises:
        UserError: logits or labels of another shape, or out of range; an unknown combiner; sizes,
            subsets or resamples out of range; fewer than 2 items to calibrate on.

    Source: Lakshminarayanan, Pritzel & Blundell 2017, arXiv:1612.01474; calibration of the
    combination Rahaman & Thiery 2021, arXiv:2007.08792.

    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> curves = size_curves(rng.normal(size=(4, 100, 3)), rng.integers(3, size=100))
    >>> nll = curves.query("combiner == 'mean_logit' and stage == 'calibrated' and metric == 'nll'")
    >>> nll.subsets.tolist()  # 4 of 1, 6 of 2, 4 of 3, 1 of 4
    [4, 6, 4, 1]
    """
    import pandas as pd

    stack, y = check_members(logits, labels)
    members, items, _ = stack.shape
    chosen = check_combiners(combiners)
    sizes = default_sizes(members) if sizes is None else sizes
    check_count("subsets", subsets)
    check_count("resamples", resamples, 0)
    if not sizes or not all(1 <= size <= members for size in sizes):
        raise UserError(f"sizes must be from 1 to the {members} members; found {list(sizes)}")

    groups = [draw_subsets(members, size, subsets, seed) for size in sizes]
    ends = np.cumsum([len(group) for group in groups])
    first_half = probe_halves(items, seed) if calibrate else None
    weights = item_weights(items, resamples, seed)
    rows: list[tuple[object, ...]] = []

    def add(combiner: str, stage: str, scores: SubsetScores) -> None:
        for metric, values in scores.metrics.items():
            bands = np.full((len(groups), 2), np.nan)
            if metric in scores.items:
                bands = item_intervals(scores.items[metric], weights)
            for size, band, scored in zip(sizes, bands, np.split(values, ends[:-1]), strict=True):
                spread = (scored.mean(), *_quantiles(scored), *band)
                rows.append((combiner, stage, size, metric, *spread, len(scored)))

    done: dict[object, dict[str, SubsetScores]] = {}
    for name, combiner in chosen.items():
        key = combiner.pooling or combiner  # one combiner under two names is scored once
        if key not in done:
            done[key] = score_subsets(stack, y, groups, combiner, first_half)
        for stage, scores in done[key].items():
            add(name, stage, scores)
    add("oracle", "raw", _oracle(stack.argmax(axis=-1) == y, groups))
    columns = ["combiner", "stage", "size", "metric", "mean", "low", "high"]
    return pd.DataFrame(rows, columns=[*columns, "item_low", "item_high", "subsets"])


def default_sizes(members: int) -> list[int]:
    """Return all sizes up to 16 members; beyond, the powers of two below S, and S."""
    if members <= _ALL_SIZES:
        return list(range(1, members + 1))
    return [*(2**k for k in range((members - 1).bit_length())), members]


def _oracle(right: NDArray[np.bool_], groups: Sequence[Sequence[tuple[int, ...]]]) -> SubsetScores:
    """Return the accuracy of choosing the right member for each item: right [S, N]."""
    any_right = [(membership(g, len(right)) @ right.astype(np.float32)) > 0 for g in groups]
    return SubsetScores(
        {"accuracy": np.concatenate([hits.mean(axis=1) for hits in any_right])},
        {"accuracy": np.stack([hits.mean(axis=0) for hits in any_right])},
    )


def _quantiles(values: Array) -> tuple[float, float]:
    """Return the 2.5% and 97.5% quantiles; between a finite and an infinite value, the latter."""
    finite = np.isfinite(values).all()
    low, high = np.quantile(values, [0.025, 0.975], method="linear" if finite else "higher")
    return float(low), float(high)
