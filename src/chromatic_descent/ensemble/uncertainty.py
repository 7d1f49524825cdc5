"""How unsure an ensemble is of each item, and whether its members agree on being unsure."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chromatic_descent.ensemble.combine import check_stack, log_mean_exp, log_softmax_blocks


@dataclass(frozen=True, eq=False)
class Uncertainty:
    """The entropy of the members' mean probability, split in two; in nats, per item.

    Attributes:
        total: [N], entropy of the mean probability; in [0, log C].
        expected: [N], mean entropy of the members: what each alone is unsure of.
        mutual_information: [N], total − expected: what they disagree about; in [0, log S].
    """

    total: NDArray[np.float64]
    expected: NDArray[np.float64]
    mutual_information: NDArray[np.float64]

    @property
    def means(self) -> dict[str, float]:
        """Each part's mean over items, in nats."""
        return {name: float(values.mean()) for name, values in vars(self).items()}

    @property
    def standard_errors(self) -> dict[str, float]:
        """The standard error of each mean over items, these members given; NaN for one item."""
        n = len(self.total)
        if n == 1:
            return dict.fromkeys(vars(self), float("nan"))
        return {name: float(v.std(ddof=1) / np.sqrt(n)) for name, v in vars(self).items()}


def uncertainty(logits: ArrayLike) -> Uncertainty:
    """Split each item's predictive uncertainty into the members' own and their disagreement.

        H(p̄_n) = (1/S) Σ_i H(p_in) + I_n,   p̄ = (1/S) Σ_i p_i,   H(p) = −Σ_c p_c log p_c
        total  =  expected          + mutual information,   I_n = (1/S) Σ_i KL(p_in ‖ p̄_n)

    Often read as aleatoric and epistemic uncertainty. That reading asks much of the members: with
    S of them the mutual information is at most log S, and it grows with S. No labels are needed.

    Args:
        logits: [S, N, C].

    Returns:
        An `Uncertainty`, in nats.

    Raises:
        UserError: logits of another shape, or not finite.

    Source: Houlsby et al. 2011, arXiv:1112.5745; Depeweg et al. 2018, arXiv:1710.07283.

    >>> agree_to_be_unsure = [[0.0, 0.0], [0.0, 0.0]]  # [items, classes] of a member
    >>> sure_of_opposites = [[[99.0, 0.0]], [[0.0, 99.0]]]  # [members, items, classes]
    >>> split = uncertainty([agree_to_be_unsure] * 2)
    >>> split.expected.round(6), split.mutual_information
    (array([0.693147, 0.693147]), array([0., 0.]))
    >>> split = uncertainty(sure_of_opposites)
    >>> split.expected.round(6), split.mutual_information.round(6)
    (array([0.]), array([0.693147]))
    """
    stack = check_stack(logits)
    total, expected, mutual = np.empty((3, stack.shape[1]))
    for block, log_p in log_softmax_blocks(stack):  # [S, n, C]
        p = np.exp(log_p)
        log_mean = log_mean_exp(log_p)  # [n, C]
        total[block] = _sum(-np.exp(log_mean) * log_mean)
        expected[block] = _sum(-p * log_p).mean(axis=0)
        # From its own definition: as a difference of entropies a small one would be round-off.
        mutual[block] = np.maximum(_sum(p * (log_p - log_mean)).mean(axis=0), 0)
    return Uncertainty(total, expected, mutual)


def _sum(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the sum over classes, without the sign of a zero."""
    total: NDArray[np.float64] = values.sum(axis=-1) + 0.0
    return total
