"""Squared distances between members in function space: logits [S, N, C] -> [S, S].

Logits are read in blocks of items, so a memory-mapped stack may be larger than memory; sums are
float64.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike

from chromatic_descent.errors import UserError
from chromatic_descent.geometry.checks import Array, Logits, check_logits, check_weights
from chromatic_descent.geometry.distances.by_name import distance as bind
from chromatic_descent.geometry.distances.definition import Distance
from chromatic_descent.geometry.distances.grams import gram_distances
from chromatic_descent.geometry.distances.items import reweighted_distances


def distance_matrix(
    logits: Logits, distance: str | Distance, weights: ArrayLike | None = None
) -> Array:
    """Return the squared distance between every two members.

        D_ij = Σ_n w_n d_nij / Σ_n w_n, with d_nij from the table of distances on the methods page
        and w_n = 1 by default; for `error_disagreement` n runs over the items that both get wrong;
        cka: D = 1 − debiased linear CKA, not a mean over items

    Every entry is accurate to about 1e-8 of itself, or to float64's resolution of probabilities
    near 1 (`cka`: to 1e-14 absolute), however close two members are and whatever offset all of them
    share. The matrix is symmetric and non-negative, and exactly 0 between identical members. The
    coefficient in `bhattacharyya` counts as at least 1e-30: an item adds at most 69.1 nats.

    Args:
        logits: [S, N, C], any real type, or the path of a .npy or .npz file.
        distance: a name or `Distance`; bound (see `distance`) if it needs labels or temperatures.
        weights: [N], non-negative; how much each item counts. Not for `cka`.

    Returns:
        [S, S] float64. Unit: squared logits for `logit_mse` and `logit_mse_centred`; nats for
        `bhattacharyya`, `kl_symmetric` and `jensen_shannon` (at most log 2); a share of items in
        [0, 1] for the disagreements; otherwise without unit: `hellinger` in [0, 1], `logit_cosine`,
        `prob_l2` and `cka` in [0, 2].

    Raises:
        UserError: as `features`; labels missing or out of range; weights of another shape,
            negative, not finite, or all zero; two members without an error in common
            (`error_disagreement`); fewer than 4 items, or a member that does not vary (`cka`).

    Source: Deza & Deza, Encyclopedia of Distances, chapter 14, for distances of distributions;
    Lin 1991 for Jensen-Shannon; Kornblith et al. 2019, arXiv:1905.00414, for CKA.

    >>> distance_matrix(np.array([[[0.0, 2.0]], [[1.0, 5.0]]]), "logit_mse")
    array([[0., 5.],
           [5., 0.]])
    """
    (squared,) = _distances(logits, [distance], weights, None).values()
    return squared


def distance_matrices(
    logits: Logits,
    distances: Sequence[str | Distance],
    *,
    on_progress: Callable[[float], None] | None = None,
) -> dict[str, Array]:
    """Return several distances by name, in order, as by `distance_matrix` but sharing the work.

    All distances that are matrix products come from one pass over the items; `bhattacharyya`,
    `jensen_shannon` and `cka` take a pass each.

    Args:
        logits: [S, N, C], or the path of a .npy or .npz file.
        distances: each as for `distance_matrix`, which also lists the errors.
        on_progress: called from time to time with the fraction of the work done, from 0 to 1.

    >>> logits = np.array([[[0.0, 2.0], [1.0, 0.0]], [[1.0, 5.0], [0.0, 3.0]]])
    >>> both = distance_matrices(logits, ["logit_mse", "disagreement"])
    >>> both["disagreement"][0, 1]
    np.float64(0.5)
    """
    return _distances(logits, distances, None, on_progress)


def _distances(
    logits: Logits,
    distances: Sequence[str | Distance],
    weights: ArrayLike | None,
    on_progress: Callable[[float], None] | None,
) -> dict[str, Array]:
    unchecked = [bind(each) for each in distances]
    array = check_logits(logits)
    items = array.shape[1]
    bound = {each.name: each.on(array) for each in unchecked}
    w = None if weights is None else check_weights(weights, (items,))
    for each in bound.values():
        if w is not None and not each.over_items:
            raise UserError(f"{each.name} is not a mean over items: `weights` mean nothing for it")

    shared = [each for each in bound.values() if each.gram is not None]
    passes = ([shared] if shared else []) + [[d] for d in bound.values() if d.gram is None]
    efforts = [sum(each.effort for each in batch) for batch in passes]
    computed: dict[str, Array] = {}
    for k, batch in enumerate(passes):

        def report(fraction: float, k: int = k) -> None:
            if on_progress is not None:
                on_progress((sum(efforts[:k]) + efforts[k] * fraction) / sum(efforts))

        first = batch[0]
        if first.gram is not None:
            computed |= gram_distances(array, batch, w, report)
        elif first.alone is not None:
            computed[first.name] = first.alone(array, first, w, report)
        else:
            weight = np.ones(items) if w is None else w
            computed[first.name] = reweighted_distances(array, first, weight[None])[0]
            report(1.0)
    return {name: computed[name] for name in bound}
