"""InPCA: a layout for divergences between probability distributions, with imaginary axes.

A divergence D, for example Bhattacharyya's, is not a squared Euclidean distance, and for confident
networks it is far from one. InPCA uses D in place of the squared distance, keeps the resulting
negative eigenvalues, and gives them axes along which squared distances count as negative.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from chromatic_descent.errors import UserError
from chromatic_descent.geometry.checks import Array, check_dimensions, check_squared
from chromatic_descent.geometry.layouts import mds


@dataclass(frozen=True, eq=False)
class InPCA:
    """An InPCA layout, its spectrum, and the means from which `project` places further members.

    Attributes:
        coordinates: [S, k], centred, in the unit of √divergence; axes in order of decreasing |λ|.
        eigenvalues: [S], in the same order, in the unit of the divergence.
        signs: [k], +1 for a real axis, −1 for an imaginary one, 0 for an axis without extent.
        explained_stress: [k], of the first 1, 2, … k axes; see `geometry.explained_stress`.
        negative_mass: Σ|λ₋| / Σ|λ|, 0 when all members coincide.
        mean_divergence: [S], of each member to all S.
    """

    coordinates: Array
    eigenvalues: Array
    signs: Array
    explained_stress: Array
    negative_mass: float
    mean_divergence: Array

    def project(self, divergences: ArrayLike) -> Array:
        """Place further members in this layout without changing it.

            b = −½ (d_q − mean(d_q) − D̄ + mean(D̄)),  x_q = (b·u_k) sign(λ_k) / √|λ_k|

        with d_q the divergences of a new member from the S members, D̄ = `mean_divergence` and u
        the unit eigenvectors. The result is [Q, k], 0 along an axis without extent; a member of the
        layout receives its own coordinates.

        Args:
            divergences: [Q, S], of Q new members from the members of the layout, in their order.

        Raises:
            UserError: the divergences are not finite, non-negative and of shape [Q, S].

        Source: Gower 1968, "Adding a point to vector diagrams", here with signs.

        >>> divergence = np.array([[0.0, 4.0], [4.0, 0.0]])
        >>> inpca(divergence, 1).project([[1.0, 1.0], [0.0, 4.0]])
        array([[0.],
               [1.]])
        """
        d = np.asarray(divergences, dtype=np.float64)
        members = len(self.mean_divergence)
        if d.ndim != 2 or d.shape[1] != members:
            raise UserError(
                f"divergences must have shape [Q, {members}], one column per member of the layout; "
                f"found {list(d.shape)}"
            )
        if not np.isfinite(d).all() or d.min(initial=0) < 0:
            raise UserError("divergences must be finite and non-negative")
        centred = d - d.mean(axis=1, keepdims=True) - self.mean_divergence
        gram = -0.5 * (centred + self.mean_divergence.mean())  # [Q, S]
        # x = u√|λ|, so u sign(λ)/√|λ| = x/λ.
        values = self.eigenvalues[: len(self.signs)]
        inverse = np.divide(1.0, values, out=np.zeros_like(values), where=self.signs != 0)
        placed: Array = gram @ (self.coordinates * inverse)
        return placed


def inpca(divergence: ArrayLike, dimensions: int = 2) -> InPCA:
    """Lay members out so that k real or imaginary axes keep a divergence as well as possible.

        W = −½ J D J = UΛUᵀ, coordinates U√|Λ| ordered by |λ|

    D takes the place of the squared distance: over all axes Σ_k sign(λ_k) (x_ik − x_jk)² is exactly
    D_ij. Axes with λ < 0 are imaginary: squared distances along them are subtracted, and a plot
    that does not say so misleads. If all λ ≥ 0, this is classical MDS, which has the same signs.

    Args:
        divergence: [S, S], symmetric, S >= 2; for InPCA proper that of Bhattacharyya, in nats.
        dimensions: k, from 1 to S.

    Raises:
        UserError: as `classical_mds`.

    Source: Quinn et al. 2019, PNAS, "Visualizing probabilistic models and data with Intensive
    Principal Component Analysis"; Mao et al. 2024, see `trajectories`.

    >>> broken = [[0.0, 1.0, 9.0], [1.0, 0.0, 1.0], [9.0, 1.0, 0.0]]  # 1 + 1 < √9: not Euclidean
    >>> inpca(broken).signs
    array([ 1., -1.])
    """
    squared = check_squared(divergence)
    check_dimensions(dimensions, len(squared))
    values, vectors = np.linalg.eigh(mds.double_centred(squared))
    order = np.argsort(-np.abs(values), kind="stable")
    values, vectors = mds.without_roundoff(values[order]), vectors[:, order]
    size = np.abs(values)
    total = size.sum()
    return InPCA(
        coordinates=mds.with_fixed_signs(vectors[:, :dimensions] * np.sqrt(size[:dimensions])),
        eigenvalues=values,
        signs=np.sign(values[:dimensions]),
        explained_stress=mds.explained_stress(values)[:dimensions],
        negative_mass=float(-np.minimum(values, 0).sum() / total) if total > 0 else 0.0,
        mean_divergence=squared.mean(axis=1),
    )
