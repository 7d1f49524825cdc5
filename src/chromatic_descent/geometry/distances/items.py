"""Distances item by item, for many weightings of the items at once."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike

from chromatic_descent.geometry.checks import Array, Floats, Logits, check_weights
from chromatic_descent.geometry.cores import batches
from chromatic_descent.geometry.distances.by_name import resolve
from chromatic_descent.geometry.distances.definition import Distance
from chromatic_descent.geometry.distances.kernels import weighted_kernels

_BLOCK = 2**22  # pairs times items whose distances are held at once (32 MiB)

# From this many members on, distances under weightings are computed in float32: off by 1e-6 of the
# largest, in a tenth of the time.
MANY = 100


def reweighted_distances(logits: Logits, distance: str | Distance, weights: ArrayLike) -> Array:
    """Return `distance_matrix` for many item weightings at once, [B, S, S], as a bootstrap needs.

        D_bij = Σ_n w_bn d_nij / Σ_n w_bn, d_nij the distance of members i and j on item n

    and for `error_disagreement` over the items that both get wrong. The per-item distances of all
    S(S−1)/2 pairs are computed once, from differences; all weightings are then one matrix product,
    [B, N] with [N, pairs], in blocks of items.

    Args:
        logits: [S, N, C], or the path of a .npy or .npz file.
        distance: any mean over items (not `cka`); bound if it needs labels or temperatures.
        weights: [B, N], non-negative; for a resample, how often it drew each item.

    Raises:
        UserError: as `distance_matrix`; `cka`.

    >>> logits = np.array([[[0.0, 2.0], [0.0, 0.0]], [[1.0, 5.0], [0.0, 0.0]]])
    >>> reweighted_distances(logits, "logit_mse", [[1, 1], [0, 2]])[:, 0, 1]
    array([2.5, 0. ])
    """
    array, distance = resolve(logits, distance)
    members, items, classes = array.shape
    weight = check_weights(weights, (None, items))

    rows, columns = np.triu_indices(members, k=1)  # pairs in the order of the loop below
    totals = np.zeros((len(weight), len(rows)))  # [B, pairs]
    shared = np.zeros_like(totals) if distance.errors_only else None
    for block in batches(items, _BLOCK // max(len(rows), members * classes)):
        w = weight[:, block].astype(np.float64)
        x = distance.vectors(array, block)  # [S, n, K]
        by_item = np.concatenate(
            [distance.between(x, i, slice(i + 1, None)) for i in range(members - 1)]
        )  # [pairs, n]
        totals += w @ by_item.T
        if shared is not None:
            wrong = x.sum(axis=-1)  # [S, n]
            shared += w @ (wrong[rows] * wrong[columns]).T
    if shared is None:
        totals /= weight.sum(axis=1, dtype=np.float64)[:, None]
    else:
        for b, pair in np.argwhere(shared == 0)[:1].tolist():
            raise distance.no_common_errors(rows[pair], columns[pair], f" under weighting {b}")
        totals /= shared
    squared = np.zeros((len(weight), members, members))
    squared[:, rows, columns] = totals
    squared[:, columns, rows] = totals
    return squared


def weighted_distances(
    logits: Logits, distance: str | Distance, weights: Floats
) -> Iterator[Array]:
    """Yield the squared distances [S, S] under each item weighting [B, N], as for a bootstrap.

    They are those of `reweighted_distances`, or from float32 kernels with 100 members or more.

    >>> logits = np.array([[[0.0, 2.0], [0.0, 0.0]], [[1.0, 5.0], [0.0, 0.0]]])
    >>> [float(d[0, 1]) for d in weighted_distances(logits, "logit_mse", np.array([[1.0, 1.0]]))]
    [2.5]
    """
    array, distance = resolve(logits, distance)
    if len(array) < MANY:
        yield from reweighted_distances(array, distance, weights)
        return
    for kernel in weighted_kernels(array, distance, weights):
        norms = kernel.diagonal()
        squared = np.maximum(norms[:, None] + norms - 2 * kernel, 0)
        np.fill_diagonal(squared, 0)
        yield squared
