"""How uncertain an ensemble is about each item, and whether its members agree."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from chromatic_descent.ensemble.log_probabilities import log_mean_exp, log_softmax_blocks
from chromatic_descent.errors import UserError
from chromatic_descent.geometry.checks import Array, check_logits


@dataclass(frozen=True, eq=False)
class Uncertainty:
    """The entropy of the members' mean probability, split in two; in nats, per item.

    Attributes:
        total: [N], entropy of the mean probability; in [0, log C].
        expected: [N], mean entropy of the members: the uncertainty of each member alone.
        mutual_information: [N], total − expected: their disagreement; in [0, log S].
    """

    total: Array
    expected: Array
    mutual_information: Array

    @property
    def means(self) -> dict[str, float]:
        """The mean of each part over items, in nats."""
        return {name: float(values.mean()) for name, values in vars(self).items()}

    @property
    def standard_errors(self) -> dict[str, float]:
        """The standard error of each mean over items, for these members; NaN for one item."""
        n = len(self.total)
        root = np.sqrt(n)
        return {k: float(v.std(ddof=1) / root) if n > 1 else np.nan for k, v in vars(self).items()}


def uncertainty(logits: ArrayLike) -> Uncertainty:
    """Split each item's predictive uncertainty into the members' own and their disagreement.

        H(p̄_n) = (1/S) Σ_i H(p_in) + I_n,   p̄ = (1/S) Σ_i p_i,   H(p) = −Σ_c p_c log p_c
        total  =  expected          + mutual information,   I_n = (1/S) Σ_i KL(p_in ‖ p̄_n)

    The two parts are often read as aleatoric and epistemic uncertainty. That reading needs many
    members: the mutual information of S members is at most log S, and grows with S.

    Args:
        logits: [S, N, C].

    Raises:
        UserError: logits of another shape, or not finite.

    Source: Houlsby et al. 2011, arXiv:1112.5745; Depeweg et al. 2018, arXiv:1710.07283.

    >>> both_unsure = [[0.0, 0.0], [0.0, 0.0]]  # [items, classes] of a member
    >>> sure_of_opposites = [[[99.0, 0.0]], [[0.0, 99.0]]]  # [members, items, classes]
    >>> split = uncertainty([both_unsure] * 2)
    >>> split.expected.round(6), split.mutual_information
    (array([0.693147, 0.693147]), array([0., 0.]))
    >>> split = uncertainty(sure_of_opposites)
    >>> split.expected.round(6), split.mutual_information.round(6)
    (array([0.]), array([0.693147]))
    """
    stack = check_logits(logits, members=1)
    total, expected, mutual = np.empty((3, stack.shape[1]))
    for block, log_p in log_softmax_blocks(stack):  # [S, n, C]
        p = np.exp(log_p)
        log_mean = log_mean_exp(log_p)  # [n, C]
        total[block] = _sum(-np.exp(log_mean) * log_mean)
        expected[block] = _sum(-p * log_p).mean(axis=0)
        # By its own definition: as a difference of entropies a small value would be round-off.
        mutual[block] = np.maximum(_sum(p * (log_p - log_mean)).mean(axis=0), 0)
    return Uncertainty(total, expected, mutual)


def auroc(inside: ArrayLike, outside: ArrayLike) -> float:
    """Return how well a score separates two kinds of images: the area under the ROC curve.

        P(score of an outside image > score of an inside image) + ½ P(equal)

    1/2 is chance, 1 is perfect, and 0 is perfectly the wrong way round.

    Args:
        inside: [N], scores of images that should be low.
        outside: [M], scores of images that should be high.

    Raises:
        UserError: an empty list, or a score that is NaN.

    Source: Hanley & McNeil 1982, Radiology 143, for its identity with Mann and Whitney's statistic.

    >>> auroc([0.1, 0.4], [0.4, 0.9])
    0.875
    """
    low, high = np.asarray(inside, dtype=np.float64), np.asarray(outside, dtype=np.float64)
    scores = np.concatenate([low.ravel(), high.ravel()])
    if min(low.size, high.size) == 0 or np.isnan(scores).any():
        raise UserError(f"AUROC needs scores of both kinds; found {low.size} and {high.size}")
    from scipy.stats import rankdata  # slow to import

    ranks = rankdata(scores)[low.size :]
    wins = ranks.sum() - high.size * (high.size + 1) / 2
    return float(wins / (low.size * high.size))


def _sum(values: Array) -> Array:
    """Return the sum over classes, with no negative zeros."""
    return np.asarray(values.sum(axis=-1) + 0.0)
