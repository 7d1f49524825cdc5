"""Per-item kernels of many members, in tiles, for bootstraps and logarithms of sums.

A kernel k_nij gives the distance of members i and j on item n as k_nii + k_njj − 2 k_nij, and so do
its weighted means over items. For features it is a scalar product, one small matrix product per
item. Tiles of members stay in the cache and are shared between one thread per core; each total
belongs to one tile, so the number of threads does not change the result.
"""

from collections.abc import Iterator
from typing import TypeAlias

import numpy as np

from chromatic_descent.geometry.checks import Array, Floats
from chromatic_descent.geometry.cores import batches, length, one_thread_a_core, processors
from chromatic_descent.geometry.distances.definition import Distance, Kernel, Report, as_they_are

_TILE = 64  # members
_CACHE = 2**18  # bytes of one array of a tile's kernels: three of them stay in a level 2 cache
_DEPTH = 512  # items in one product of weightings with kernels
_FORMS = 2**20  # values of vectors held at once: 8 MiB, a fair share of a level 3 cache ...
_MOST_FORMS = 2**24  # ... or up to this many, for as many items as that product needs
_TOTALS = 2**30  # bytes of totals held at once; further weightings take another pass

_COMMON_ERRORS = Kernel(sides=as_they_are)  # counts the items that both get wrong: not a distance

_Tile: TypeAlias = tuple[slice, slice, Array]  # rows, columns, totals [B, r·c]


def weighted_kernels(
    logits: Floats,
    distance: Distance,
    weights: Floats,
    *,
    precise: bool = False,
    report: Report = lambda fraction: None,
) -> Iterator[Array]:
    """Yield a kernel [S, S] for each item weighting [B, N]: D_ij = K_ii + K_jj − 2 K_ij.

    `distance` must be a mean over items, checked for these logits. For distances between features K
    is their Gram matrix; for others it is −½ D up to terms of one member. Items are float32, summed
    in float64 every few hundred, which is accurate to about 1e-6 of the largest distance: enough
    for a bootstrap, but not for near twins, which need `reweighted_distances`. If `precise`, all is
    float64, accurate to 1e-14.
    """
    members = len(logits)
    tiles = -(-members // _TILE)
    held = tiles * (tiles + 1) // 2 * _TILE**2 * 8  # bytes for each weighting
    held *= 2 if distance.errors_only else 1
    dtype = np.float64 if precise else np.float32

    def part_done(rows: slice) -> Report:
        return lambda done: report((rows.start + length(rows) * done) / len(weights))

    for rows in batches(len(weights), _TOTALS // held):
        some = weights[rows]
        totals = _tile_totals(logits, distance, distance.kernel, some, dtype, part_done(rows))
        shared = None
        if distance.errors_only:
            shared = _tile_totals(logits, distance, _COMMON_ERRORS, some, dtype, lambda done: None)
        for b, weight in enumerate(some.sum(axis=1, dtype=np.float64)):
            kernel = _assembled(totals, b, members)
            if shared is None:
                yield kernel * (distance.kernel.scale / weight)
                continue
            common = _assembled(shared, b, members)
            np.fill_diagonal(common, 1.0)
            for i, j in np.argwhere(common == 0)[:1].tolist():
                raise distance.no_common_errors(i, j, f" under weighting {rows.start + b}")
            kernel /= 2 * common  # ½ (1 − D)
            np.fill_diagonal(kernel, 0.5)
            yield kernel


def _tile_totals(
    logits: Floats,
    distance: Distance,
    kernel: Kernel,
    weights: Floats,
    dtype: type[np.floating],
    report: Report,
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
    # A product with many weightings needs many items to be efficient. With few weightings it costs
    # little, and is best done while the kernel is still in the cache.
    size = members * classes
    depth = max(chunk, min(_DEPTH, _MOST_FORMS // size) if len(weights) >= 16 else 1)
    block = max(1, _FORMS // (size * depth)) * depth
    workers = min(len(tiles), processors())
    spare = [np.empty((depth + 2 * chunk) * area, dtype) for _ in range(workers)]

    with one_thread_a_core(workers) as pool:
        for part in batches(items, block):
            left, right = _sides(logits, distance, kernel, part, dtype)
            w = weights[:, part].astype(dtype)

            def work(
                worker: int, w: Floats = w, left: Floats = left, right: Floats = right
            ) -> None:
                for rows, columns, total in tiles[worker::workers]:
                    sides = left[:, :, rows], right[:, :, columns]
                    _add(total, w, *sides, kernel, depth, chunk, spare[worker])

            list(pool.map(work, range(workers)))  # list: an error in a thread is raised here
            report(part.stop / items)
    return tiles


def _sides(
    logits: Floats, distance: Distance, kernel: Kernel, part: slice, dtype: type[np.floating]
) -> tuple[Floats, Floats]:
    """Return the two factors of a kernel, [n, K, S] each: items first, members side by side."""
    x = distance.vectors(logits, part)  # [S, n, K]
    if kernel is _COMMON_ERRORS:
        x = x.sum(axis=-1, keepdims=True)
    left, right = kernel.sides(x, distance.scale(logits.shape[-1]), dtype)
    turned = np.ascontiguousarray(left.transpose(1, 2, 0), dtype)
    if right is left:
        return turned, turned
    return turned, np.ascontiguousarray(right.transpose(1, 2, 0), dtype)


def _add(
    total: Array,
    weights: Floats,
    left: Floats,
    right: Floats,
    kernel: Kernel,
    depth: int,
    chunk: int,
    spare: Floats,
) -> None:
    """Add a block of items to one tile's totals: weights [B, n], sides [n, K, r] and [n, K, c]."""
    area = left.shape[-1] * right.shape[-1]
    shape = (-1, left.shape[-1], right.shape[-1])
    kernels = spare[: depth * area].reshape(shape)
    room = spare[depth * area : (depth + 2 * chunk) * area].reshape(2, *(chunk, *shape[1:]))
    for deep in batches(len(left), depth):
        for some in batches(length(deep), chunk):
            items = slice(deep.start + some.start, deep.start + some.stop)
            kernel.combine(left[items], right[items], kernels[some], room)
        total += weights[:, deep] @ kernels[: length(deep)].reshape(length(deep), area)


def _assembled(tiles: list[_Tile], b: int, members: int) -> Array:
    """Return the totals of weighting b as a symmetric matrix."""
    matrix = np.empty((members, members))
    for rows, columns, totals in tiles:
        tile = totals[b].reshape(length(rows), -1)
        matrix[rows, columns] = tile
        matrix[columns, rows] = tile.T
    return matrix
