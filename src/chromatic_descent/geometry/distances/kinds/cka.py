"""Centred kernel alignment (CKA): whether two members see the same items as alike."""

import hashlib
from functools import partial

import numpy as np

from chromatic_descent.errors import UserError
from chromatic_descent.geometry.checks import Array, Floats
from chromatic_descent.geometry.cores import batches, one_thread_a_core
from chromatic_descent.geometry.distances.definition import Distance, Report

# Members are held in tiles of about this many float64 values (32 MiB): one per core, and one
# `_ROWS` times as high, because for each of the latter all the others are computed again.
_TILE, _ROWS = 2**22, 4
_NOTHING = 1e-12  # HSIC of a member with itself below this share of ‖XᵀX‖² is round-off


def cka_distances(
    logits: Floats, distance: Distance, weights: Floats | None, report: Report
) -> Array:
    """Return 1 − debiased linear CKA between the members' outputs, without checks: [S, S].

    With X and Y the [N, C] logits of two members less their means over items, and HSIC the
    unbiased estimator (a U-statistic) under linear kernels:

        D = 1 − HSIC(X, Y) / √(HSIC(X, X) HSIC(Y, Y))
        N(N−3) HSIC(X, Y) = ‖XᵀY‖² − N/(N−2) Σ_n ‖x_n‖²‖y_n‖² + ‖X‖²‖Y‖² / ((N−1)(N−2))

    HSIC is an inner product of centred kernels, so D lies in [0, 2] and is the squared Euclidean
    distance between them, at norm 1/√2: √D is a metric, but D is not a mean over items. It does not
    see an offset, a rotation or a scale of a member's logits. Without the correction for bias,
    members that share nothing would seem close when there are few items per class. D is exactly 0
    between members whose logits are bit for bit the same.

    ‖XᵀY‖² takes the C x C cross products of all pairs: tiles of one matrix product of [S·C, N] with
    its transpose, S²C²N multiplications in all.

    Raises:
        UserError: fewer than 4 items; a member for which CKA is undefined because HSIC(X, X) = 0
            (its logits are the same on all items).

    Source: Kornblith et al. 2019, arXiv:1905.00414, for CKA; Song et al. 2012, JMLR 13, for the
    unbiased HSIC.
    """
    members, items, classes = logits.shape
    if items < 4:
        raise UserError(f"cka needs at least 4 probe items; found {items}")
    width = max(1, min(_TILE // (items * classes), members // (4 * _ROWS)))  # members
    height = _ROWS * width
    squares = np.empty((members, items))  # ‖x_n‖²
    hsic = np.empty((members, members))  # ‖XᵀY‖² at first
    with one_thread_a_core() as pool:
        for rows in batches(members, height):
            x = _centred(logits[rows])  # [r·C, N]
            squares[rows] = np.square(x).reshape(-1, classes, items).sum(axis=1)
            firsts = range(rows.start, members, width)
            blocks = pool.map(
                partial(_squared_products, x, classes),
                (logits[first : first + width] for first in firsts),
            )
            for first, block in zip(firsts, blocks, strict=True):
                columns = slice(first, first + width)
                hsic[rows, columns], hsic[columns, rows] = block, block.T
            report(1 - (1 - rows.stop / members) ** 2)  # the remaining work is a triangle

    largest = hsic.diagonal().copy()
    sizes = squares.sum(axis=1)
    hsic -= items / (items - 2) * (squares @ squares.T)
    hsic += np.multiply.outer(sizes, sizes / ((items - 1) * (items - 2)))
    own = hsic.diagonal().copy()
    undefined = np.flatnonzero(own <= _NOTHING * largest)
    if len(undefined):
        raise UserError(
            f"cka is not defined for member {undefined[0]}: its logits do not vary from item to "
            f"item (true of {len(undefined)} members in all); leave such members out"
        )
    distances = np.maximum(1 - hsic / np.sqrt(np.multiply.outer(own, own)), 0.0)
    distances = (distances + distances.T) / 2
    digests = [hashlib.blake2b(member.tobytes()).digest() for member in logits]
    same = np.unique(digests, return_inverse=True)[1]
    distances[same[:, None] == same] = 0.0
    return distances


def _squared_products(x: Array, classes: int, others: Floats) -> Array:
    """Return ‖XᵀY‖² of some members, [r·C, N], with others, [c, N, C]: [r, c]."""
    cross = (x @ _centred(others).T).reshape(-1, classes, len(others), classes)
    squared: Array = np.einsum("icjd,icjd->ij", cross, cross)
    return squared


def _centred(logits: Floats) -> Array:
    """Return logits less their mean over items, items last: [r, N, C] -> [r·C, N]."""
    members, items, classes = logits.shape
    x = np.empty((members, classes, items))
    x[:] = logits.swapaxes(1, 2)
    same = (logits == logits[:, :1]).all(axis=1)  # [r, C]
    x -= x.mean(axis=-1, keepdims=True)
    x[same] = 0.0  # without the round-off of the mean
    return x.reshape(-1, items)


def _no_vectors(logits: Floats) -> Array:
    raise NotImplementedError("CKA does not compare items one by one")


CKA = Distance(
    name="cka",
    title="CKA",
    formula="not a mean over images: 1 − debiased linear CKA of the [N, C] logits",
    blind_to="offset, size, rotation",
    unit="0 to 2",
    over_items=False,
    vector=_no_vectors,
    alone=cka_distances,
    effort=15,
)
