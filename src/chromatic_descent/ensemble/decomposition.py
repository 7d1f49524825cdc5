"""The value of diversity: the ensemble's loss is the members' mean loss minus a diversity term.

    ensemble = members − diversity, for every item

The diversity term follows from the loss and the combiner. For a loss and its own combiner
(cross-entropy and the geometric mean, squared error and the mean) it is a spread of the members
around the ensemble: non-negative, and independent of the label. For any other pair it depends on
the label, and states only the effect of combining.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from chromatic_descent.ensemble.combination import majority_vote
from chromatic_descent.ensemble.log_probabilities import (
    at_label,
    check_members,
    log_mean_exp,
    log_softmax,
    log_softmax_blocks,
)
from chromatic_descent.geometry.checks import Array

_COMBINERS = {  # by loss
    "cross_entropy_geometric_mean": "geometric_mean",
    "cross_entropy_mean_probability": "mean_probability",
    "brier": "mean_probability",
    "zero_one": "majority_vote",
}


@dataclass(frozen=True, eq=False)
class Decomposition:
    """One loss, item by item: ensemble = members − diversity.

    Attributes:
        combiner: a name from `COMBINERS`.
        ensemble: [N], the ensemble's loss.
        members: [N], the members' mean loss.
        diversity: [N], how much better the ensemble is than its members; negative where worse.
    """

    combiner: str
    ensemble: Array
    members: Array
    diversity: Array

    @property
    def means(self) -> dict[str, float]:
        """Each part's mean over items, in the unit of the loss."""
        return {k: float(getattr(self, k).mean()) for k in ("ensemble", "members", "diversity")}

    @property
    def residual(self) -> float:
        """max_n |ensemble − (members − diversity)|: round-off, if the identity holds."""
        return float(np.abs(self.ensemble - (self.members - self.diversity)).max())


def decompositions(logits: ArrayLike, labels: ArrayLike) -> dict[str, Decomposition]:
    """Decompose cross-entropy, Brier score and 0-1 loss of the ensemble, item by item.

    With y the label's class, [y] its one-hot vector, means over the S members i:

    | key                              | ensemble   | members           | diversity           |
    |----------------------------------|------------|-------------------|---------------------|
    | `cross_entropy_geometric_mean`   | −log q̄_y   | mean −log p_iy    | mean KL(q̄‖p_i)      |
    | `cross_entropy_mean_probability` | −log p̄_y   | mean −log p_iy    | mean log(p̄_y/p_iy)  |
    | `brier`                          | ‖p̄ − [y]‖² | mean ‖p_i − [y]‖² | mean ‖p_i − p̄‖²     |
    | `zero_one`                       | vote ≠ y   | share of i wrong  | members − ensemble  |

    q̄ is the normalised geometric mean, p̄ the mean probability, and `majority_vote` gives the vote.
    The first and third are the exact decompositions of their losses: their diversity needs no label
    and is never negative. The second is Jensen's gap: never negative, but dependent on the label.
    The fourth, the effect of diversity on the vote, may have either sign: where most members are
    wrong, voting makes the loss larger. Everything is computed in log space, so the identities hold
    to round-off at any confidence. Each part of the first three is computed from its own formula,
    so `residual` is a genuine check.

    Args:
        logits: [S, N, C].
        labels: [N], whole numbers from 0 to C − 1.

    Returns:
        By key; cross-entropies in nats, Brier summed over classes, 0-1 loss as a share.

    Raises:
        UserError: logits or labels of another shape, or out of range.

    Source: Wood et al. 2023, arXiv:2301.03962; for squared error Krogh & Vedelsby 1995.

    >>> two = decompositions([[[1.0, 0.0]], [[0.0, 3.0]]], [0])
    >>> {name: round(float(part.diversity[0]), 4) for name, part in two.items()}
    ... # doctest: +NORMALIZE_WHITESPACE
    {'cross_entropy_geometric_mean': 0.3677, 'cross_entropy_mean_probability': 0.7374,
     'brier': 0.2337, 'zero_one': -0.5}
    """
    stack, y = check_members(logits, labels)
    items, classes = stack.shape[1:]
    parts = np.empty((len(_COMBINERS), 3, items))
    for block, log_p in log_softmax_blocks(stack):  # [S, n, C]
        block_y, logits_block = y[block], stack[:, block]
        label_log_p = at_label(log_p, block_y)  # [S, n]
        loss = -label_log_p.mean(axis=0)

        log_q = log_softmax(log_p.mean(axis=0))  # [n, C]
        divergence = (np.exp(log_q) * (log_q - log_p)).sum(axis=-1).mean(axis=0)
        log_mean = log_mean_exp(log_p)
        label_log_mean = at_label(log_mean, block_y)
        gap = (label_log_mean - label_log_p).mean(axis=0)

        target = np.eye(classes)[block_y]
        p, mean = np.exp(log_p), np.exp(log_mean)
        ensemble_error = np.square(mean - target).sum(axis=-1)
        member_error = np.square(p - target).sum(axis=-1).mean(axis=0)
        variance = np.square(p - mean).sum(axis=-1).mean(axis=0)

        wrong = (logits_block.argmax(axis=-1) != block_y).mean(axis=0)
        vote_wrong = (majority_vote(logits_block).argmax(axis=-1) != block_y).astype(np.float64)
        parts[:, :, block] = (  # in the order of `_COMBINERS`
            (-at_label(log_q, block_y), loss, divergence),
            (-label_log_mean, loss, gap),
            (ensemble_error, member_error, variance),
            (vote_wrong, wrong, wrong - vote_wrong),
        )
    return {
        name: Decomposition(combiner, *part)
        for (name, combiner), part in zip(_COMBINERS.items(), parts, strict=True)
    }
