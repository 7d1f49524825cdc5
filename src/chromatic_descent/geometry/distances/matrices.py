"""Squared distances between members, in function space: [S, N, C] logits -> [S, S].

What each distance is, and what it cannot see, is tabled in `definitions`. All of them read the
logits in blocks of items, so that a memory-mapped stack may be larger than memory, and add up in
float64.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chromatic_descent.errors import UserError
from chromatic_descent.geometry.checks import (
    Logits,
    check_labels,
    check_logits,
    check_squared,
    check_temperature,
    check_weights,
)
from chromatic_descent.geometry.distances.cka import cka_distances
from chromatic_descent.geometry.distances.definitions import check_name
from chromatic_descent.geometry.distances.divergences import divergence
from chromatic_descent.geometry.distances.grams import GRAMS, gram_distances
from chromatic_descent.geometry.distances.items import reweighted_distances
from chromatic_descent.geometry.distances.own import has_features, own_matrix
from chromatic_descent.own_code import is_own

# About how long each takes beside one matrix product of all logits with themselves.
_EFFORT = {"bhattacharyya": 10, "jensen_shannon": 50, "cka": 15}


def distance_matrix(
    logits: Logits,
    name: str,
    *,
    labels: ArrayLike | None = None,
    temperature: ArrayLike | None = None,
    weights: ArrayLike | None = None,
) -> NDArray[np.float64]:
    """Return the squared distance between every two members.

        D_ij = Σ_n w_n d_nij / Σ_n w_n, d_nij the item's part of the table in `definitions`, w_n = 1
        unless given; for `error_disagreement` n runs over the items that both get wrong;
        cka: D = 1 − debiased linear CKA, no mean over items

    Exact to about 1e-8 relative in every entry, or what float64 makes of probabilities near 1
    (`cka`: to 1e-14 absolute), however close two members are and whatever offset all of them share;
    symmetric, non-negative, with a diagonal of zeros; identical members are at exactly 0. The
    coefficient in `bhattacharyya` counts as no less than 1e-30: an item adds at most 69.1 nats.

    Args:
        logits: [S, N, C], any real type, or the path of a .npy or .npz file; memory-mapped logits
            are read block by block.
        name: one of `DISTANCES`, or `module.function` of your own, see `own_distances`.
        labels: [N], whole numbers; needed by `error_disagreement`.
        temperature: [S]; needed by `logit_mse_matched`, see `features`.
        weights: [N], non-negative; how often each item counts. Not for `cka`.

    Returns:
        [S, S] float64. Unit: squared logits for `logit_mse` and `logit_mse_centred`; nats for
        `bhattacharyya`, `kl_symmetric` and `jensen_shannon` (at most log 2); a share of items in
        [0, 1] for the disagreements; else without unit: `hellinger` in [0, 1], `logit_cosine`,
        `prob_l2` and `cka` in [0, 2].

    Raises:
        UserError: as `features`; labels missing or out of range; weights of another shape,
            negative, not finite, or all zero; two members without an error in common
            (`error_disagreement`); fewer than 4 items, or a member that does not vary (`cka`).

    Source: Deza & Deza, Encyclopedia of Distances, chapter 14, for those between distributions;
    Lin 1991 for Jensen-Shannon; Kornblith et al. 2019, arXiv:1905.00414, for CKA.

    >>> import numpy as np
    >>> distance_matrix(np.array([[[0.0, 2.0]], [[1.0, 5.0]]]), "logit_mse")
    array([[0., 5.],
           [5., 0.]])
    """
    return _distances(logits, [name], labels, temperature, weights, None)[name]


def distance_matrices(
    logits: Logits,
    names: Sequence[str],
    *,
    labels: ArrayLike | None = None,
    temperature: ArrayLike | None = None,
    progress: Callable[[float], None] | None = None,
) -> dict[str, NDArray[np.float64]]:
    """Return several distances at once: as `distance_matrix` one by one, but sharing the work.

    All that are matrix products come from one pass over the items (see `grams`), whatever their
    number. `bhattacharyya`, `jensen_shannon` and `cka` take a pass each.

    Args:
        logits: [S, N, C], or the path of a .npy or .npz file.
        names: of `DISTANCES`, or of your own functions.
        labels: [N], whole numbers; needed by `error_disagreement`.
        temperature: [S]; needed by `logit_mse_matched`.
        progress: called now and then with the fraction of the work done, from 0 to 1.

    Returns:
        [S, S] float64 by name, in the order of `names`.

    Raises:
        UserError: as `distance_matrix`.

    >>> import numpy as np
    >>> logits = np.array([[[0.0, 2.0], [1.0, 0.0]], [[1.0, 5.0], [0.0, 3.0]]])
    >>> both = distance_matrices(logits, ["logit_mse", "disagreement"])
    >>> both["disagreement"][0, 1]
    np.float64(0.5)
    """
    return _distances(logits, names, labels, temperature, None, progress)


def _distances(
    logits: Logits,
    names: Sequence[str],
    labels: ArrayLike | None,
    temperature: ArrayLike | None,
    weights: ArrayLike | None,
    progress: Callable[[float], None] | None,
) -> dict[str, NDArray[np.float64]]:
    names = list(dict.fromkeys(names))
    for name in names:
        check_name(name)
    array = check_logits(logits)
    members, items, classes = array.shape
    y = t = w = None
    if "error_disagreement" in names:
        y = check_labels(labels, "error_disagreement", items, classes)
    if "logit_mse_matched" in names:
        t = check_temperature(temperature, members)
    if weights is not None:
        w = check_weights(weights, (items,))
        if "cka" in names:
            raise UserError("cka is no mean over items: `weights` have no meaning for it")

    grams = [name for name in names if name in GRAMS]
    parts = ([tuple(grams)] if grams else []) + [(n,) for n in names if n not in GRAMS]
    efforts = [sum(_EFFORT.get(name, 1) for name in part) for part in parts]
    found: dict[str, NDArray[np.float64]] = {}
    for k, part in enumerate(parts):

        def report(fraction: float, k: int = k) -> None:
            if progress is not None:
                progress((sum(efforts[:k]) + efforts[k] * fraction) / sum(efforts))

        if part[0] in GRAMS:
            found |= gram_distances(array, part, labels=y, temperature=t, weights=w, report=report)
        elif part[0] == "cka":
            found["cka"] = cka_distances(array, report)
        elif is_own(part[0]):
            found[part[0]] = _own(array, part[0], w)
            report(1.0)
        else:
            found[part[0]] = divergence(array, part[0], w, report)
    return {name: found[name] for name in names}


def _own(
    logits: NDArray[np.floating], name: str, weights: NDArray[np.floating] | None
) -> NDArray[np.float64]:
    """Return the distances of a user's function, [S, S]."""
    if has_features(logits, name):
        weight = np.ones(logits.shape[1]) if weights is None else weights
        found: NDArray[np.float64] = reweighted_distances(logits, name, weight[None])[0]
        return found
    if weights is not None:
        raise UserError(f"{name} is no mean over items: `weights` have no meaning for it")
    squared = own_matrix(logits, name)
    try:
        return check_squared(squared)
    except UserError as error:
        raise UserError(f"{name}: {error}") from error
