"""Dealing each item's predictions out among the members, as several nulls do."""

import numpy as np
from numpy.typing import NDArray

from chromatic_descent.geometry.batches import batches
from chromatic_descent.geometry.checks import Array, Floats, Logits
from chromatic_descent.geometry.distances.by_name import resolve
from chromatic_descent.geometry.distances.definition import Distance
from chromatic_descent.geometry.distances.matrices import distance_matrix
from chromatic_descent.geometry.layouts.mds import double_centred
from chromatic_descent.geometry.nulls.null_test import check_null, gram_shares, top_share

# Features are gathered in blocks of about this many float32 values: 512 KiB, which stay in cache.
SHUFFLED = 2**17

# Shares from float32 features that differ by less than this, relatively, tie.
TIE = 1e-5


def observed_share(
    logits: Logits, distance: str | Distance, dimensions: int, draws: int
) -> tuple[Floats, Distance, float, float]:
    """Return checked logits and distance, the share of the first k axes, and a unit for features.

    In that unit, the typical distance √mean D, no feature is too small or too large for float32.
    """
    checked, known = resolve(logits, distance, "features")
    check_null(len(checked), dimensions, draws)
    squared = distance_matrix(checked, known)
    share = top_share(squared, dimensions)
    largest = squared.max()  # the mean of squares may underflow to zero
    return checked, known, share, float(np.sqrt(largest) * np.sqrt(np.mean(squared / largest)))


def by_item(phi: Array) -> NDArray[np.float32]:
    """Return features [S, n, C] as float32 [n, S, C], so that what is dealt out lies together."""
    return phi.transpose(1, 0, 2).astype(np.float32, order="C")


def deal_out(predictions: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Deal the predictions on every item [n, S, C] out among the members: [S, n, C]."""
    items, members, classes = predictions.shape
    rows = np.arange(items * members).reshape(items, members)
    return predictions.reshape(-1, classes).take(rng.permuted(rows, axis=1).T, axis=0)


def shuffle_blocks(members: int, items: int, classes: int) -> list[slice]:
    """Slices over items whose features fit the cache and outnumber the entries of a Gram matrix."""
    step = max(1, max(SHUFFLED, members**2) // (members * classes))
    return list(batches(items, step))


def gram_of(phi: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the Gram matrix [S, S] of features [S, n, C]."""
    flat = phi.reshape(len(phi), -1)
    gram: NDArray[np.float32] = flat @ flat.T
    return gram


def uncentred_shares(grams: Array, dimensions: int) -> Array:
    """Return the explained shares of Gram matrices [B, S, S], centred or not."""
    norms = np.diagonal(grams, axis1=-2, axis2=-1)
    return gram_shares(double_centred(norms[:, :, None] + norms[:, None] - 2 * grams), dimensions)
