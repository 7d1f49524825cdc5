"""Bhattacharyya and Jensen-Shannon: a logarithm for every pair and item, so no matrix product."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from chromatic_descent.geometry.batches import batches, item_blocks
from chromatic_descent.geometry.cores import one_thread_a_core, processors
from chromatic_descent.geometry.distances.definitions import form, item_distances
from chromatic_descent.geometry.distances.kernels import weighted_kernels

DIVERGENCES = ("bhattacharyya", "jensen_shannon")

# Sums of logarithms are good to about 1e-15; pairs closer than this, where fewer than seven good
# digits would be left, are computed from differences.
_CLOSE = 1e-8

# Mixtures are made of one member with so many others, on so many values each: two such arrays
# stay in a level 2 cache.
_MEMBERS, _VALUES = 32, 1024


def divergence(
    logits: NDArray[np.floating],
    name: str,
    weights: NDArray[np.floating] | None,
    report: Callable[[float], None],
) -> NDArray[np.float64]:
    """Return one of `DIVERGENCES`, without checks: [S, S].

    Args:
        logits: [S, N, C].
        name: of the distance.
        weights: [N], or None for equal weights.
        report: told the fraction done.
    """
    weight = np.ones(logits.shape[1])
    if weights is not None:
        weight = weights / weights.mean(dtype=np.float64)
    if name == "bhattacharyya":
        (kernel,) = weighted_kernels(logits, name, weight[None], precise=True, report=report)
    else:
        kernel = _mixtures(logits, weight, report) / (4 * len(weight))
    own = kernel.diagonal().copy()
    squared = kernel
    squared *= -2
    squared += own[:, None]
    squared += own
    close = np.triu(squared <= _CLOSE, k=1)
    if close.any():
        exact = np.zeros_like(squared)
        for block in item_blocks(*logits.shape):
            x = form(logits[:, block], name)
            for i in np.flatnonzero(close.any(axis=1)).tolist():
                exact[i, close[i]] += item_distances(x, name, i, close[i]) @ weight[block]
        squared[close] = exact[close] / len(weight)
    upper: NDArray[np.float64] = np.triu(squared, k=1)
    return upper + upper.T


def _mixtures(
    logits: NDArray[np.floating], weights: NDArray[np.float64], report: Callable[[float], None]
) -> NDArray[np.float64]:
    """Return U_ij = Σ t log t over items and classes, t = w (p_i + p_j): [S, S], j >= i.

    ¼ U is a kernel of Jensen-Shannon: ½ H-terms of p_i and p_j and all that w and the ½ of the
    mixture add are terms of one member, which drop out of U_ii + U_jj − 2 U_ij.
    """
    members, items, classes = logits.shape
    chunks = list(batches(members, _MEMBERS))
    workers = min(len(chunks), processors())
    sums = np.zeros((members, members))

    def work(worker: int, p: NDArray[np.float64], t: NDArray[np.float64]) -> None:
        for rows in chunks[worker::workers]:
            here, logs = t[:, : rows.stop - rows.start]
            for j in range(rows.stop):  # beyond the diagonal the other triangle has it
                np.add(p[rows], p[j], out=here)
                np.log(here, out=logs)
                sums[rows, j] += np.vecdot(here, logs)

    with one_thread_a_core(workers) as pool:
        for block in batches(items, _VALUES // classes):
            p = form(logits[:, block], "jensen_shannon")  # [S, n, C]
            p *= weights[block, None]
            p += np.finfo(float).tiny  # of 0 log 0, 0 is then what comes out
            flat = p.reshape(members, -1)
            spare = [np.empty((2, _MEMBERS, flat.shape[1])) for _ in range(workers)]
            list(pool.map(work, range(workers), [flat] * workers, spare))  # raises what they raised
            report(block.stop / items)
    upper = np.tril(sums, -1).T
    upper[np.diag_indices(members)] = sums.diagonal()
    return upper
