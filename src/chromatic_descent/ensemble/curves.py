"""What another member is worth: ensemble quality by ensemble size."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chromatic_descent.ensemble.calibration import probe_halves
from chromatic_descent.ensemble.combine import COMBINERS, check_stack, geometric_mean, mean_logit
from chromatic_descent.ensemble.metrics import METRICS, check_labels
from chromatic_descent.ensemble.subsets import (
    Combiner,
    draw_subsets,
    membership,
    score_subsets,
)
from chromatic_descent.errors import UserError
from chromatic_descent.own_code import is_own, locate

if TYPE_CHECKING:
    import pandas as pd

_ALL_SIZES = 16  # up to so many members every size is scored, beyond it powers of two


def size_curves(
    logits: ArrayLike,
    labels: ArrayLike,
    *,
    combiners: Sequence[str] | Mapping[str, Combiner] = tuple(COMBINERS),
    subsets: int = 50,
    seed: int = 0,
    sizes: Sequence[int] | None = None,
    calibrate: bool = True,
    resamples: int = 200,
) -> "pd.DataFrame":
    """Score ensembles of every size, over subsets of the members, as a tidy table.

    For each size all subsets are taken when there are at most `subsets` of them, else `subsets`
    different ones at random. Each is scored by all of `METRICS`, as it is (stage `raw`) and after
    temperature scaling (stage `calibrated`): combined first, then tempered, each half of the items
    with the temperature that fits the other half best, as in `cross_calibrated`.

    Two intervals answer two questions; neither speaks of members that were not trained.

    - low, high: the 2.5% and 97.5% quantiles *over subsets of these members*: how much it matters
      which members are picked. Subsets overlap, so the band narrows towards the full ensemble,
      where it is one point.
    - item_low, item_high: the 95% bootstrap interval *over probe items* of the mean over subsets:
      how much it matters which images the probe holds. Temperatures are held fixed. Not given
      (NaN) for the calibration errors: resampled items carry their noise into every bin a second
      time, so a bootstrap of them is biased upwards.

    The rows of combiner `oracle` (metric accuracy) are the share of items that any member of the
    subset gets right: what choosing the right member for each item would reach.

    Args:
        logits: [S, N, C].
        labels: [N], whole numbers from 0 to C − 1.
        combiners: names from `COMBINERS` or `module.function` of your own, or combiners by name:
            each takes logits [s, n, C] and returns log-probabilities [n, C], item by item. For
            those of `COMBINERS` all subsets are one matrix product.
        subsets: most subsets per size.
        seed: of the choice of subsets (a size's do not depend on the other sizes), the halves and
            the resamples.
        sizes: ensemble sizes, 1 to S each. Unless given, all of them up to 16 members; beyond,
            1, 2, 4, 8, … and S.
        calibrate: whether to score the calibrated stage; it needs 2 items.
        resamples: of the items; 0 leaves item_low and item_high NaN.

    Returns:
        One row per combiner, stage, size and metric: combiner, stage (raw, calibrated), size,
        metric (as `METRICS`), mean, low, high, item_low, item_high, subsets (how many were
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

    logits = check_stack(logits)
    members, items, classes = logits.shape
    y = check_labels(labels, items, classes)
    chosen = check_combiners(combiners)
    sizes = default_sizes(members) if sizes is None else sizes
    if subsets < 1 or resamples < 0:
        raise UserError(
            f"subsets must be at least 1 and resamples at least 0; found {subsets} and {resamples}"
        )
    if not sizes or not all(1 <= size <= members for size in sizes):
        raise UserError(f"sizes must be from 1 to the {members} members; found {list(sizes)}")

    groups = [draw_subsets(members, size, subsets, seed) for size in sizes]
    ends = np.cumsum([len(group) for group in groups])
    first_half = probe_halves(items, seed) if calibrate else None
    weights = item_weights(items, resamples, seed)
    rows: list[tuple[object, ...]] = []

    def add(
        combiner: str,
        stage: str,
        metric: str,
        values: NDArray[np.float64],
        of_items: NDArray[np.float64] | None,
    ) -> None:
        bands = item_intervals(of_items, weights) if of_items is not None else None
        for g, of_size in enumerate(np.split(values, ends[:-1])):
            band = (np.nan, np.nan) if bands is None else bands[g]
            spread = (sizes[g], metric, of_size.mean(), *_quantiles(of_size))
            rows.append((combiner, stage, *spread, *band, len(of_size)))

    done = {}
    for name, combiner in chosen.items():
        # One combiner under two names: scored once.
        combiner = mean_logit if combiner is geometric_mean else combiner
        if combiner not in done:
            done[combiner] = score_subsets(logits, y, groups, combiner, first_half)
        for stage, scores in done[combiner].items():
            for metric in METRICS:
                add(name, stage, metric, scores.metrics[metric], scores.items.get(metric))
    right = (logits.argmax(axis=-1) == y).astype(np.float32)  # [S, N]
    any_right = [(membership(g, members).astype(np.float32) @ right) > 0 for g in groups]
    add(
        "oracle",
        "raw",
        "accuracy",
        np.concatenate([hits.mean(axis=1) for hits in any_right]),
        np.stack([hits.mean(axis=0) for hits in any_right]),
    )
    columns = ["combiner", "stage", "size", "metric", "mean", "low", "high"]
    return pd.DataFrame(rows, columns=[*columns, "item_low", "item_high", "subsets"])


def default_sizes(members: int) -> list[int]:
    """Return all sizes up to 16 members; beyond, the powers of two below S, and S."""
    if members <= _ALL_SIZES:
        return list(range(1, members + 1))
    return [*(2**k for k in range((members - 1).bit_length())), members]


def item_weights(items: int, resamples: int, seed: int) -> NDArray[np.float64]:
    """Return how often each item is drawn in each resample of the items, over N: [B, N]."""
    rng = np.random.default_rng(seed)
    weights = np.empty((resamples, items))
    for row in weights:
        row[:] = np.bincount(rng.integers(items, size=items), minlength=items)
    return weights / items


def item_intervals(
    of_items: NDArray[np.float64], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return 95% bootstrap intervals of means over items: [G, N], [B, N] -> [G, 2]."""
    bands = np.full((len(of_items), 2), np.nan)
    known = np.isfinite(of_items).all(axis=1)  # an infinite NLL has no interval
    if len(weights) and known.any():
        means = weights @ of_items[known].T  # [B, G]
        bands[known] = np.quantile(means, [0.025, 0.975], axis=0).T
    return bands


def _quantiles(values: NDArray[np.float64]) -> tuple[float, float]:
    """Return the 2.5% and 97.5% quantiles; between a finite and an infinite value, the latter."""
    if not np.isfinite(values).all():
        low, high = np.quantile(values, [0.025, 0.975], method="higher")
    else:
        low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)


def check_combiners(combiners: Sequence[str] | Mapping[str, Combiner]) -> dict[str, Combiner]:
    """Return combiners by name, or raise UserError if a name is unknown."""
    if isinstance(combiners, Mapping):
        return dict(combiners)
    if unknown := [name for name in combiners if name not in COMBINERS and not is_own(name)]:
        raise UserError(
            f"combiners={unknown}: expected names from {list(COMBINERS)}, or module.function of "
            "your own"
        )
    return {name: _own(name) if is_own(name) else COMBINERS[name] for name in combiners}


def _own(name: str) -> Combiner:
    """Return a user's combiner, whose answers are checked."""
    combine = locate(name)

    def checked(logits: NDArray[np.floating]) -> NDArray[np.float64]:
        log_p = np.asarray(combine(logits), dtype=np.float64)
        if log_p.shape != logits.shape[1:]:
            raise UserError(
                f"{name} returns {list(log_p.shape)} for logits {list(logits.shape)}: expected "
                f"log-probabilities {list(logits.shape[1:])}"
            )
        if not np.abs(np.exp(log_p).sum(axis=-1) - 1).max() < 1e-6:
            raise UserError(f"{name} returns log-probabilities whose exponentials do not add to 1")
        return log_p

    return checked
