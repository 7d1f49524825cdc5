"""The result of a null test, its statistic (the share that the first axes explain), and its draws.

The p-values are never zero, and valid for any number of draws (Phipson & Smyth 2010).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chromatic_descent.errors import UserError
from chromatic_descent.geometry.checks import Array, Floats, Logits, check_apart, check_count
from chromatic_descent.geometry.cores import batches
from chromatic_descent.geometry.distances.by_name import resolve
from chromatic_descent.geometry.distances.definition import Distance
from chromatic_descent.geometry.distances.matrices import distance_matrix
from chromatic_descent.geometry.layouts.mds import double_centred

SHUFFLED = 2**17  # float32 values in a block of features: 512 KiB, which stay in the cache
TIE = 1e-5  # shares from float32 features that differ by less than this, relatively, tie


@dataclass(frozen=True, eq=False)
class NullTest:
    """An observed statistic and its distribution under a null hypothesis.

    Attributes:
        observed: the statistic of the data; for layouts the share of their k axes, in (0, 1].
        null: [P], the statistic of P draws from the null.
        p_value: (1 + #{null ≥ observed}) / (1 + P), one-sided.
        hypothesis: what a small p-value rejects.
    """

    observed: float
    null: Array
    p_value: float
    hypothesis: str = ""

    @property
    def effect(self) -> float:
        """(observed − mean of the null) / SD of the null; NaN when the null does not vary.

        It grows with the number of probe items, as the null narrows. It measures how certain the
        structure is; `observed` compared with the null's mean measures how much there is.
        """
        if len(self.null) < 2 or not np.isfinite(self.null).all() or not np.isfinite(self.observed):
            return np.nan
        mean, spread = float(self.null.mean()), float(self.null.std(ddof=1))
        if spread <= 1e-9 * np.abs(self.null).max():  # round-off
            return np.nan
        return (self.observed - mean) / spread


def null_test(observed: float, null: Array, hypothesis: str, tolerance: float) -> NullTest:
    """Return the test of `observed` against draws from a null.

    Draws within `tolerance` of the data count as reaching it: a shuffle may only rename members.
    """
    reached = int(np.count_nonzero(null >= observed - tolerance))
    return NullTest(observed, null, (1 + reached) / (1 + len(null)), hypothesis)


def top_share(squared: Array, dimensions: int) -> float:
    """Return Σ_{i≤k} λ_i / Σ λ₊ of the classical MDS, or raise UserError if members coincide."""
    check_apart(squared, "so there is nothing to test")
    return float(gram_shares(double_centred(squared), dimensions))


def gram_shares(gram: Array, dimensions: int) -> Array:
    """Return Σ_{i≤k} λ_i / Σ λ₊ of one centred Gram matrix [S, S] or of each in [P, S, S].

    It is 1 when a shuffle has made all members equal, which is conservative.
    """
    positive = np.maximum(np.linalg.eigvalsh(gram), 0.0)  # ascending
    total = positive.sum(axis=-1)
    top = positive[..., -dimensions:].sum(axis=-1)
    share: Array = np.divide(top, total, out=np.ones_like(total), where=total > 0)
    return share


def check_null(members: int, dimensions: int, draws: int, name: str = "draws") -> None:
    """Raise UserError unless there are enough members, few enough dimensions, and a draw."""
    if members < 4:
        raise UserError(
            f"a test of how much a few axes explain needs at least 4 members; found {members}: "
            "train more"
        )
    if not 1 <= dimensions <= members - 2:
        raise UserError(
            f"dimensions must be from 1 to {members - 2}, two below the {members} members; "
            f"found {dimensions}"
        )
    check_count(name, draws)


def wishart_tridiagonal(
    members: int, degrees: int, draws: int, seed: int
) -> Iterator[tuple[Array, Array]]:
    """Yield the diagonal and off-diagonal of the matrices LLᵀ in `isotropic`, W_{S−1}(degrees)."""
    rng = np.random.default_rng(seed)
    # XXᵀ and XᵀX have the same eigenvalues but for zeros: the shorter side first.
    short, long = sorted((members - 1, degrees))
    diagonal = rng.chisquare(np.arange(long, long - short, -1), size=(draws, short))  # χ²
    below = rng.chisquare(np.arange(short - 1, 0, -1), size=(draws, short - 1))
    main = diagonal.copy()
    main[:, 1:] += below
    yield from zip(main, np.sqrt(diagonal[:, :-1] * below), strict=True)


def observed_share(
    logits: Logits, distance: str | Distance, dimensions: int, draws: int
) -> tuple[Floats, Distance, float, float]:
    """Return checked logits and distance, the share of the first k axes, and a unit for features.

    In that unit, the typical distance √mean D, no feature is too small or too large for float32.
    """
    logits, distance = resolve(logits, distance, "features")
    check_null(len(logits), dimensions, draws)
    squared = distance_matrix(logits, distance)
    share = top_share(squared, dimensions)
    largest = squared.max()  # the mean of squares may underflow to zero
    return logits, distance, share, float(np.sqrt(largest) * np.sqrt(np.mean(squared / largest)))


def by_item(phi: Array) -> NDArray[np.float32]:
    """Return features [S, n, C] as contiguous float32 [n, S, C], for `deal_out`."""
    return phi.transpose(1, 0, 2).astype(np.float32, order="C")


def deal_out(predictions: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Deal the predictions on every item [n, S, C] out among the members: [S, n, C]."""
    items, members, classes = predictions.shape
    rows = np.arange(items * members).reshape(items, members)
    return predictions.reshape(-1, classes).take(rng.permuted(rows, axis=1).T, axis=0)


def shuffle_blocks(members: int, items: int, classes: int) -> list[slice]:
    """Return blocks of items whose features fit the cache but outnumber a Gram matrix's entries."""
    return list(batches(items, max(SHUFFLED, members**2) // (members * classes)))


def gram_of(phi: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the Gram matrix [S, S] of features [S, n, C]."""
    flat = phi.reshape(len(phi), -1)
    gram: NDArray[np.float32] = flat @ flat.T
    return gram


def uncentred_shares(grams: Array, dimensions: int) -> Array:
    """Return the explained shares of Gram matrices [B, S, S], centred or not."""
    norms = np.diagonal(grams, axis1=-2, axis2=-1)
    return gram_shares(double_centred(norms[:, :, None] + norms[:, None] - 2 * grams), dimensions)
