"""What every null test returns, and the share of variance that it looks at.

A p-value here is (1 + #{null ≥ observed}) / (1 + P) over P draws from the null: never zero, and
valid at any P (Phipson & Smyth 2010).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chromatic_descent.errors import UserError
from chromatic_descent.geometry.layouts.mds import double_centred


@dataclass(frozen=True, eq=False)
class NullTest:
    """An observed statistic beside what a null hypothesis gives.

    Attributes:
        observed: the statistic of the data.
        null: [P], the statistic of P draws from the null.
        p_value: (1 + #{null ≥ observed}) / (1 + P), one-sided.
        hypothesis: what a small p-value rejects, in words.
    """

    observed: float
    null: NDArray[np.float64]
    p_value: float
    hypothesis: str = ""

    @property
    def effect(self) -> float:
        """(observed − mean of the null) / SD of the null; NaN when the null does not vary.

        How many of its own standard deviations chance would have to go. It grows with the number
        of probe items as the null narrows; `observed` beside the null's mean says how much
        structure there is, this how sure one can be of it.
        """
        if len(self.null) < 2 or not np.isfinite(self.null).all() or not np.isfinite(self.observed):
            return np.nan
        mean, spread = float(self.null.mean()), float(self.null.std(ddof=1))
        if spread <= 1e-9 * np.abs(self.null).max():  # round-off
            return np.nan
        return (self.observed - mean) / spread


def null_test(
    observed: float, null: NDArray[np.float64], hypothesis: str, tolerance: float
) -> NullTest:
    """Return the test of `observed` against draws from a null.

    Draws that tie with the data up to round-off, `tolerance` in the statistic's unit, must count:
    a shuffle that only renames members gives the data again.
    """
    reached = int(np.count_nonzero(null >= observed - tolerance))
    return NullTest(observed, null, (1 + reached) / (1 + len(null)), hypothesis)


def top_share(squared: NDArray[np.float64], dimensions: int) -> float:
    """Return Σ_{i≤k} λ_i / Σ λ₊ of the classical MDS, or raise UserError if members coincide."""
    if not squared.any():
        raise UserError("all distances are zero: the members are identical, nothing to test")
    return float(gram_shares(double_centred(squared), dimensions))


def gram_shares(gram: NDArray[np.float64], dimensions: int) -> NDArray[np.float64]:
    """Return Σ_{i≤k} λ_i / Σ λ₊ of one centred Gram matrix [S, S] or of each in [P, S, S].

    Members that a shuffle made all alike lie on any axis: 1, which counts against a small p.
    """
    positive = np.maximum(np.linalg.eigvalsh(gram), 0.0)  # upwards
    total = positive.sum(axis=-1)
    top = positive[..., -dimensions:].sum(axis=-1)
    share: NDArray[np.float64] = np.divide(top, total, out=np.ones_like(total), where=total > 0)
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
    if draws < 1:
        raise UserError(f"{name} must be at least 1; found {draws}")
