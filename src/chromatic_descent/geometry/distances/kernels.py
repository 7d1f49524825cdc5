"""Per-item kernels of many members, in tiles: what bootstraps and logarithms of sums need.

A kernel k_nij gives the distance of members i and j on item n as k_nii + k_njj − 2 k_nij, and so do
its weighted means over items. For features it is a scalar product, one small matrix product an
item. Tiles of members stay in the cache, and are shared out to as many threads as there are cores;
each total belongs to one tile, so that the threads do not change the result.
"""

import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from chromatic_descent.geometry.batches import batches, length
from chromatic_descent.geometry.cores import one_thread_a_core, processors
from chromatic_descent.geometry.distances.definitions import (
    COEFFICIENT_FLOOR,
    divisor,
    form,
    no_common_errors,
)

_TILE = 64  # members
_CACHE = 2**18  # bytes of one array of a tile's kernels: three of them stay in a level 2 cache
_DEPTH = 512  # items in one product of weightings with kernels
_FORMS = 2**20  # values that kernels are made of, held at once: 8 MiB, a level 3 cache's share ...
_MOST_FORMS = 2**24  # ... or more, for as many items as that product wants
_TOTALS = 2**30  # bytes of totals held at once; more weightings than that are done in turns

_COMMON = "common errors"  # the items that both get wrong: a kernel, but no distance

# What is left out of a kernel, to be made good in the totals: ½ log Σ √(p q), ¼ Σ t log₂ t · log 2.
_SCALE = {"bhattacharyya": 0.5, "jensen_shannon": 0.25 * math.log(2)}

_Tile: TypeAlias = tuple[slice, slice, NDArray[np.float64]]  # rows, columns, totals [B, r·c]


def weighted_kernels(
    logits: NDArray[np.floating],
    name: str,
    weights: NDArray[np.floating],
    *,
    labels: NDArray[np.intp] | None = None,
    temperature: NDArray[np.float64] | None = None,
    precise: bool = False,
    report: Callable[[float], None] = lambda fraction: None,
) -> Iterator[NDArray[np.float64]]:
    """Yield a kernel [S, S] for each item weighting, without checks: D_ij = K_ii + K_jj − 2 K_ij.

    For distances between features K is their Gram matrix, for others −½ D up to terms of one
    member. Good to about 1e-6 of the largest distance (`precise`: 1e-14), which is nothing to a
    bootstrap but something to near twins: `reweighted_distances` has all digits of those.

    Args:
        logits: [S, N, C].
        name: one of `DISTANCES` but `cka`.
        weights: [B, N].
        labels: [N], for `error_disagreement`.
        temperature: [S], for `logit_mse_matched`.
        precise: in float64; else items are float32, and added up in float64 every few hundred.
        report: told the fraction done.
    """
    members, ratio = len(logits), name == "error_disagreement"
    tiles = -(-members // _TILE)
    held = tiles * (tiles + 1) // 2 * _TILE**2 * 8 * (2 if ratio else 1)  # bytes a weighting
    share = _TOTALS // held
    dtype = np.float64 if precise else np.float32

    def totals(kernel: str, rows: slice, told: Callable[[float], None]) -> list[_Tile]:
        return _tile_totals(logits, kernel, weights[rows], labels, temperature, dtype, told)

    for rows in batches(len(weights), share):
        told = partial(_report_part, report, rows.start / len(weights), rows.stop / len(weights))
        agreed = totals(name, rows, told)
        shared = totals(_COMMON, rows, lambda fraction: None) if ratio else None
        for b, weight in enumerate(weights[rows].sum(axis=1, dtype=np.float64)):
            kernel = _assembled(agreed, b, members)
            if shared is None:
                yield kernel * (_SCALE.get(name, 1.0) / weight)
                continue
            common = _assembled(shared, b, members)
            np.fill_diagonal(common, 1.0)
            for i, j in np.argwhere(common == 0)[:1].tolist():
                raise no_common_errors(i, j, f" under weighting {rows.start + b}")
            kernel /= 2 * common  # ½ (1 − D)
            np.fill_diagonal(kernel, 0.5)
            yield kernel


def _report_part(report: Callable[[float], None], low: float, high: float, done: float) -> None:
    report(low + (high - low) * done)


def _tile_totals(
    logits: NDArray[np.floating],
    name: str,
    weights: NDArray[np.floating],
    labels: NDArray[np.intp] | None,
    temperature: NDArray[np.float64] | None,
    dtype: type[np.floating],
    report: Callable[[float], None],
) -> list[_Tile]:
    """Return Σ_n w_bn k_nij for the tiles of members on and above the diagonal."""
    members, items, classes = logits.shape
    edges = list(batches(members, _TILE))
    tiles = [
        (rows, columns, np.zeros((len(weights), length(rows) * length(columns))))
        for k, rows in enumerate(edges)
        for columns in edges[k:]
    ]
    area = min(_TILE, members) ** 2
    chunk = max(1, _CACHE // (area * np.dtype(dtype).itemsize))  # items whose kernel fits the cache
    # A product with many weightings wants many items; with a few it is no work: the sooner, the
    # hotter the kernel.
    size = members * classes
    depth = max(chunk, min(_DEPTH, _MOST_FORMS // size) if len(weights) >= 16 else 1)
    block = max(1, _FORMS // (size * depth)) * depth
    workers = min(len(tiles), processors())
    spare = [np.empty((depth + 2 * chunk) * area, dtype) for _ in range(workers)]

    with one_thread_a_core(workers) as pool:
        for part in batches(items, block):
            left, right = _sides(logits, name, part, labels, temperature, dtype)
            w = weights[:, part].astype(dtype)

            def work(
                worker: int,
                w: NDArray[np.floating] = w,
                left: NDArray[np.floating] = left,
                right: NDArray[np.floating] = right,
            ) -> None:
                for rows, columns, total in tiles[worker::workers]:
                    sides = left[:, :, rows], right[:, :, columns]
                    _add(total, w, *sides, name, depth, chunk, spare[worker])

            list(pool.map(work, range(workers)))  # the list raises what a thread raised
            report(part.stop / items)
    return tiles


def _sides(
    logits: NDArray[np.floating],
    name: str,
    part: slice,
    labels: NDArray[np.intp] | None,
    temperature: NDArray[np.float64] | None,
    dtype: type[np.floating],
) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """Return the two factors of a kernel, [n, K, S] each: items first, members side by side."""
    block, y = logits[:, part], None if labels is None else labels[part]
    if name == _COMMON:
        wrong = form(block, "error_disagreement", labels=y).sum(axis=-1, keepdims=True)
        sides = [wrong]
    else:
        x = form(block, name, labels=y, temperature=temperature)  # [S, n, K]
        if name == "jensen_shannon":
            x += np.finfo(dtype).tiny  # of 0 log 0, 0 is then what comes out
        elif name not in ("bhattacharyya", "error_disagreement"):
            x -= x.mean(axis=0)  # no distance sees it, and float32 would
            x /= np.sqrt(divisor(name, logits.shape[-1]))
        sides = [x]
        if name == "kl_symmetric":  # ½ (p_i·f̃_j + f̃_i·p_j)
            sides.append(0.5 * np.roll(x, x.shape[-1] // 2, axis=-1))
    turned = [np.ascontiguousarray(side.transpose(1, 2, 0), dtype) for side in sides]
    return turned[0], turned[-1]


def _add(
    total: NDArray[np.float64],
    weights: NDArray[np.floating],
    left: NDArray[np.floating],
    right: NDArray[np.floating],
    name: str,
    depth: int,
    chunk: int,
    spare: NDArray[np.floating],
) -> None:
    """Add a block of items to one tile's totals: weights [B, n], sides [n, K, r] and [n, K, c]."""
    area = left.shape[-1] * right.shape[-1]
    shape = (-1, left.shape[-1], right.shape[-1])
    kernels = spare[: depth * area].reshape(shape)
    room = spare[depth * area : (depth + 2 * chunk) * area].reshape(2, *(chunk, *shape[1:]))
    for start in range(0, len(left), depth):
        here = min(depth, len(left) - start)
        for first in range(0, here, chunk):
            some = slice(first, min(first + chunk, here))
            items = slice(start + some.start, start + some.stop)
            _kernel(left[items], right[items], name, kernels[some], room)
        total += weights[:, start : start + here] @ kernels[:here].reshape(here, area)


def _kernel(
    left: NDArray[np.floating],
    right: NDArray[np.floating],
    name: str,
    out: NDArray[np.floating],
    room: NDArray[np.floating],
) -> None:
    """Write the kernels of a few items, over `_SCALE`, into `out` [n, r, c]."""
    if name == "jensen_shannon":  # ¼ Σ t log t, t = p + q: what else there is drops out of D
        t, logarithm = room[:, : len(out)]
        out[:] = 0
        for k in range(left.shape[1]):
            np.add(left[:, k, :, None], right[:, k, None, :], out=t)
            np.log2(t, out=logarithm)  # twice as fast as log in float32
            logarithm *= t
            out += logarithm
        return
    np.matmul(left.swapaxes(1, 2), right, out=out)
    if name == "bhattacharyya":
        np.maximum(out, COEFFICIENT_FLOOR, out=out)
        np.log(out, out=out)


def _assembled(tiles: list[_Tile], b: int, members: int) -> NDArray[np.float64]:
    """Return the totals of weighting b as a symmetric matrix."""
    matrix = np.empty((members, members))
    for rows, columns, totals in tiles:
        tile = totals[b].reshape(rows.stop - rows.start, -1)
        matrix[rows, columns] = tile
        matrix[columns, rows] = tile.T
    return matrix
