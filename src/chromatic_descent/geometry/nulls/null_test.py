"""What every null test returns, and the statistic it uses: the explained share of the first axes.

A p-value here is (1 + #{null ≥ observed}) / (1 + P) over P draws from the null: never zero, and
valid at any P (Phipson & Smyth 2010).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from chromatic_descent.errors import UserError
from chromatic_descent.geometry.checks import Array, check_apart, check_count
from chromatic_descent.geometry.layouts.mds import double_centred


@dataclass(frozen=True, eq=False)
class NullTest:
    """An observed statistic and its distribution under a null hypothesis.

    Attributes:
        observed: the statistic of the data.
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

        By how many of its own standard deviations the null is exceeded. It grows with the number of
        probe items, as the null narrows: `observed` compared with the null's mean says how much
        structure there is, and this how certain it is.
        """
        if len(self.null) < 2 or not np.isfinite(self.null).all() or not np.isfinite(self.observed):
            return np.nan
        mean, spread = float(self.null.mean()), float(self.null.std(ddof=1))
        if spread <= 1e-9 * np.abs(self.null).max():  # round-off
            return np.nan
        return (self.observed - mean) / spread


def null_test(observed: float, null: Array, hypothesis: str, tolerance: float) -> NullTest:
    """Return the test of `observed` against draws from a null.

    Draws that tie with the data up to round-off, `tolerance` in the statistic's unit, count as
    reaching it: a shuffle that only renames members reproduces the data.
    """
    reached = int(np.count_nonzero(null >= observed - tolerance))
    return NullTest(observed, null, (1 + reached) / (1 + len(null)), hypothesis)


def top_share(squared: Array, dimensions: int) -> float:
    """Return Σ_{i≤k} λ_i / Σ λ₊ of the classical MDS, or raise UserError if members coincide."""
    check_apart(squared, "so there is nothing to test")
    return float(gram_shares(double_centred(squared), dimensions))


def gram_shares(gram: Array, dimensions: int) -> Array:
    """Return Σ_{i≤k} λ_i / Σ λ₊ of one centred Gram matrix [S, S] or of each in [P, S, S].

    1 when a shuffle has made all members equal, which works against a small p.
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
    """Yield Wishart matrices W_{S−1}(degrees), as tridiagonal matrices with the same eigenvalues.

    Each is LLᵀ, as its diagonal and its off-diagonal, with L lower bidiagonal: independent
    χ_n, χ_{n−1}, … on its diagonal and χ_{S−2}, …, χ_1 below it, n = degrees. A draw costs O(S).

    Source: Bartlett 1933; Dumitriu & Edelman 2002, "Matrix models for beta ensembles".
    """
    rng = np.random.default_rng(seed)
    # A matrix and its transpose have the same eigenvalues but for zeros: the shorter side first.
    short, long = sorted((members - 1, degrees))
    diagonal = rng.chisquare(np.arange(long, long - short, -1), size=(draws, short))  # χ²
    below = rng.chisquare(np.arange(short - 1, 0, -1), size=(draws, short - 1))
    main = diagonal.copy()
    main[:, 1:] += below
    yield from zip(main, np.sqrt(diagonal[:, :-1] * below), strict=True)
