"""Bhattacharyya and Jensen-Shannon: not matrix products, as each pair and item has a logarithm."""

import math
from collections.abc import Callable
from functools import partial

import numpy as np
from scipy.special import xlog1py

from chromatic_descent.geometry.checks import Array, Floats
from chromatic_descent.geometry.cores import batches, length, one_thread_a_core, processors
from chromatic_descent.geometry.distances import definition
from chromatic_descent.geometry.distances.definition import Distance, Kernel, Report
from chromatic_descent.geometry.distances.ingredients import root_softmax
from chromatic_descent.geometry.distances.kernels import weighted_kernels
from chromatic_descent.geometry.distances.kinds.probability_distances import probabilities

# The Bhattacharyya coefficient of one item counts as no less than this, so one item adds at most
# 69.1 nats: two members with logits 138 apart on two classes, far beyond what training produces.
COEFFICIENT_FLOOR = 1e-30

# Sums of logarithms are accurate to about 1e-15. Pairs closer than this, which would keep fewer
# than seven digits, are computed from differences.
_CLOSE = 1e-8

# One member is mixed with this many others, on this many values each: two arrays of that size stay
# in a level 2 cache.
_MEMBERS, _VALUES = 32, 1024


def divergence(
    exact_kernel: Callable[[Floats, Distance, Array, Report], Array],
    logits: Floats,
    distance: Distance,
    weights: Floats | None,
    report: Report,
) -> Array:
    """Return a divergence from its kernel in float64, without checks: [S, S]."""
    weight = np.ones(logits.shape[1])
    if weights is not None:
        weight = weights / weights.mean(dtype=np.float64)
    squared = definition.squared_from_gram(exact_kernel(logits, distance, weight, report))
    close = np.triu(squared <= _CLOSE, k=1)
    if close.any():
        squared[close] = distance.total_of_pairs(close, logits, weight) / len(weight)
    upper: Array = np.triu(squared, k=1)
    return upper + upper.T


def _coefficients(logits: Floats, distance: Distance, weight: Array, report: Report) -> Array:
    """Return ½ mean_n log Σ_c √(p q), [S, S]."""
    (kernel,) = weighted_kernels(logits, distance, weight[None], precise=True, report=report)
    return kernel


def _mixtures(logits: Floats, distance: Distance, weight: Array, report: Report) -> Array:
    """Return ¼ mean_n Σ_c t log t, t = w (p_i + p_j): [S, S], j >= i.

    A kernel of Jensen-Shannon: the entropies of p_i and p_j, the weight w and the ½ of the mixture
    only add terms of a single member, which cancel in k_ii + k_jj − 2 k_ij.
    """
    members, items, classes = logits.shape
    chunks = list(batches(members, _MEMBERS))
    workers = min(len(chunks), processors())
    sums = np.zeros((members, members))

    def work(worker: int, p: Array, t: Array) -> None:
        for rows in chunks[worker::workers]:
            mixed, logs = t[:, : length(rows)]
            for j in range(rows.stop):  # up to the diagonal
                np.add(p[rows], p[j], out=mixed)
                np.log(mixed, out=logs)
                sums[rows, j] += np.vecdot(mixed, logs)

    with one_thread_a_core(workers) as pool:
        for block in batches(items, _VALUES // classes):
            p = distance.vectors(logits, block)  # [S, n, C]
            p *= weight[block, None]
            p += np.finfo(float).tiny  # so that 0 log 0 gives 0
            flat = p.reshape(members, -1)
            spare = [np.empty((2, _MEMBERS, flat.shape[1])) for _ in range(workers)]
            list(pool.map(work, range(workers), [flat] * workers, spare))  # raises their errors
            report(block.stop / items)
    upper = np.tril(sums, -1).T
    upper[np.diag_indices(members)] = sums.diagonal()
    upper /= 4 * len(weight)
    return upper


def _bhattacharyya_by_item(others: Array, one: Array) -> Array:
    squared = definition.squared_differences(others, one)
    squared *= 0.5  # 1 − Σ √(p q)
    coefficient = np.maximum(np.einsum("jnc,nc->jn", others, one), COEFFICIENT_FLOOR)
    far = squared > 0.5
    np.log1p(-squared, out=squared, where=~far)
    np.log(coefficient, out=squared, where=far)
    np.negative(squared, out=squared)
    return squared


def _logs_of_products(left: Floats, right: Floats, out: Floats, room: Floats) -> None:
    definition.scalar_products(left, right, out, room)
    np.maximum(out, COEFFICIENT_FLOOR, out=out)
    np.log(out, out=out)


def _jensen_shannon_by_item(p: Array, q: Array) -> Array:
    """Return Σ_c ½ (p + q) g(r), r = (p − q)/(p + q), over the last axis, in nats.

    g(r) = ½ [(1+r) log(1+r) + (1−r) log(1−r)], so nothing cancels in the sum; for small r the
    series g(r) = r²/2 + r⁴/12 + r⁶/30 + r⁸/56 + … is exact.
    """
    total = p + q
    r = np.abs(p - q)
    r /= np.maximum(total, np.finfo(float).tiny)  # both may have underflowed to 0
    square = r * r
    series = square * (1 / 2 + square * (1 / 12 + square * (1 / 30 + square / 56)))
    exact = 0.5 * (xlog1py(1 + r, r) + xlog1py(1 - r, -r))
    nats: Array = np.einsum("...c,...c->...", total, np.where(r < 0.01, series, exact))
    return 0.5 * nats


def _not_zero(x: Array, scale: float, dtype: type[np.floating]) -> tuple[Array, Array]:
    x += np.finfo(dtype).tiny  # so that 0 log 0 gives 0
    return x, x


def _mixed(left: Floats, right: Floats, out: Floats, room: Floats) -> None:
    """Write Σ t log₂ t, t = p + q, into `out`: all other terms cancel in D."""
    t, logarithm = room[:, : len(out)]
    out[:] = 0
    for k in range(left.shape[1]):
        np.add(left[:, k, :, None], right[:, k, None, :], out=t)
        np.log2(t, out=logarithm)  # twice as fast as log in float32
        logarithm *= t
        out += logarithm


BHATTACHARYYA = Distance(
    name="bhattacharyya",
    title="Bhattacharyya",
    formula="−log Σ_c √(p_ic p_jc)",
    blind_to="shift",
    unit="nats",
    vector=lambda logits: root_softmax(logits.astype(np.float64)),
    by_item=_bhattacharyya_by_item,
    kernel=Kernel(sides=definition.as_they_are, combine=_logs_of_products, scale=0.5),
    alone=partial(divergence, _coefficients),
    effort=10,
)

JENSEN_SHANNON = Distance(
    name="jensen_shannon",
    title="Jensen–Shannon",
    formula="½ KL(p_i‖m) + ½ KL(p_j‖m), m = ½(p_i + p_j)",
    blind_to="shift",
    unit="nats, to log 2",
    vector=lambda logits: probabilities(logits.astype(np.float64)),
    by_item=_jensen_shannon_by_item,
    kernel=Kernel(sides=_not_zero, combine=_mixed, scale=0.25 * math.log(2)),
    alone=partial(divergence, _mixtures),
    effort=50,
)
