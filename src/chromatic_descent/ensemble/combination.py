"""Combiners: the logits of several members become one prediction."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from chromatic_descent.ensemble.log_probabilities import (
    log_mean_exp,
    log_softmax,
    log_softmax_blocks,
)
from chromatic_descent.errors import UserError
from chromatic_descent.geometry.checks import Array, Floats, check_logits
from chromatic_descent.own_code import is_own, locate

Combine = Callable[[Floats], Array]

# Every member casts one vote, and this share of another, spread like its probabilities: too
# little to outvote anyone (below a million members), enough to break a tie.
_TIE_BREAK = 1e-6

# A mean probability below this may have lost digits, or everything, to underflow.
_TINY = 1e-290


@dataclass(frozen=True)
class Pooling:
    """A combiner as a function of a mean over members.

    Classes come first, as in `Prediction`. Both functions may overwrite their input.

    Attributes:
        terms: logits minus each item's largest -> the terms to average over members, [S, C, n].
        finish: a subset's sum of terms, and its size -> probabilities and log-probabilities [C, N];
            None where the sum lost digits, and the subset must be combined on its own.
    """

    terms: Callable[[Array], Array]
    finish: Callable[[Array, int], tuple[Array, Array] | None]


@dataclass(frozen=True)
class Combiner:
    """One way to combine members; called like `combine`.

    Attributes:
        combine: logits [S, N, C] -> log-probabilities [N, C], item by item.
        pooling: the same combiner as a mean over members, so that one matrix product combines all
            subsets of a size curve; without it, each subset is combined on its own.
    """

    combine: Callable[[ArrayLike], Array] | Combine
    pooling: Pooling | None = None

    def __call__(self, logits: ArrayLike) -> Array:
        """Combine members: logits [S, N, C] -> log-probabilities [N, C]."""
        return self.combine(np.asarray(logits))


def mean_probability(logits: ArrayLike) -> Array:
    """Return the log of the members' mean probability: log (1/S) Σ_i softmax(f_i).

    The usual deep ensemble. Computed in log space, so that an item on which every member is
    confidently wrong still has a finite log-probability.

    Args:
        logits: [S, N, C].

    Returns:
        [N, C] float64 log-probabilities, in nats.

    Raises:
        UserError: logits of another shape, or not finite.

    Source: Lakshminarayanan, Pritzel & Blundell 2017, arXiv:1612.01474.

    >>> import numpy as np
    >>> np.exp(mean_probability([[[1e4, 0.0]], [[0.0, 0.0]]]))
    array([[0.75, 0.25]])
    """
    stack = check_logits(logits, members=1)
    combined = np.empty(stack.shape[1:])
    for block, log_p in log_softmax_blocks(stack):  # [S, n, C]
        combined[block] = log_mean_exp(log_p)
    return combined


def mean_logit(logits: ArrayLike) -> Array:
    """Return the log-softmax of the members' mean logit: log softmax((1/S) Σ_i f_i).

    Equal to `geometric_mean` for all logits. Shapes, units and errors: see `mean_probability`.

    >>> import numpy as np
    >>> np.exp(mean_logit([[[2.0, 0.0]], [[-2.0, 0.0]]]))
    array([[0.5, 0.5]])
    """
    return log_softmax(check_logits(logits, members=1).mean(axis=0, dtype=np.float64))


def geometric_mean(logits: ArrayLike) -> Array:
    """Return the log of the members' geometric mean probability, normalised.

        log q̄_c = (1/S) Σ_i log p_ic − log Z,   Z = Σ_c Π_i p_ic^(1/S)

    Identical to `mean_logit` up to round-off: log p_ic = f_ic − log Σ_c' exp f_ic', and the
    subtracted term is the same for all classes of an item, so normalisation removes it again. This
    logarithmic opinion pool has an exact decomposition of cross-entropy (see `decompositions`).

    Shapes, units and errors: see `mean_probability`.

    Source: Wood et al. 2023, arXiv:2301.03962, as the centroid of cross-entropy.

    >>> import numpy as np
    >>> p = np.array([[[0.8, 0.2]], [[0.5, 0.5]]])  # √(0.8·0.5) : √(0.2·0.5) is 2 : 1
    >>> np.exp(geometric_mean(np.log(p))).round(6)
    array([[0.666667, 0.333333]])
    """
    stack = check_logits(logits, members=1)
    mean = np.empty(stack.shape[1:])
    for block, log_p in log_softmax_blocks(stack):  # [S, n, C]
        mean[block] = log_p.mean(axis=0)
    return log_softmax(mean)


def majority_vote(logits: ArrayLike) -> Array:
    """Return the log of the members' shares of votes, with one more vote spread evenly.

        log p_c,   p_c = (n_c + 1/C) / (S + 1),   n_c = #{i: argmax_c' f_ic' = c}

    Without the added vote (an even Dirichlet prior of total weight 1), a label that no member votes
    for would have an infinite NLL; with it, the NLL is at most about log(C (S + 1)) nats. NLL and
    calibration describe the smoothed shares, whose confidence is at most (S + 1/C)/(S + 1);
    accuracy is the accuracy of the plain vote.

    Ties go to the class with the largest mean probability: each member also casts a millionth of a
    vote, spread like its probabilities. A member's own ties go to the first class.

    Shapes, units and errors: see `mean_probability`.

    >>> import numpy as np
    >>> np.exp(majority_vote([[[9.0, 0.0]], [[0.0, 1.0]], [[0.0, 1.0]]])).round(6)
    array([[0.375, 0.625]])
    >>> votes = np.exp(majority_vote([[[9.0, 0.0]], [[0.0, 1.0]]]))  # a tie: the surer one wins
    >>> votes.round(6), int(votes.argmax())
    (array([[0.5, 0.5]]), 0)
    """
    stack = check_logits(logits, members=1)
    members, items, classes = stack.shape
    votes: Array = np.full((items, classes), 1 / classes)
    for block, log_p in log_softmax_blocks(stack):  # [S, n, C]
        votes[block] += _TIE_BREAK * np.exp(log_p).sum(axis=0)
        n = log_p.shape[1]
        voted = stack[:, block].argmax(axis=-1) + classes * np.arange(n)  # [S, n]
        votes[block] += np.bincount(voted.ravel(), minlength=n * classes).reshape(n, classes)
    return np.asarray(np.log(votes / (members * (1 + _TIE_BREAK) + 1)))


def _softmax(x: Array) -> Array:
    """Return softmax over classes of [S, C, n] with a largest entry of 0, in place."""
    np.exp(x, out=x)
    x /= x.sum(axis=1, keepdims=True)
    return x


def _mean_probability(p: Array, size: int) -> tuple[Array, Array] | None:
    if p.min() < _TINY:  # nearly certain: combine in log space instead
        return None
    p /= size
    return p, np.log(p)


def _softmax_of_mean(x: Array, size: int) -> tuple[Array, Array]:
    x /= size
    x -= x.max(axis=0)
    log_p = x.copy()
    np.exp(x, out=x)
    total = x.sum(axis=0)
    x /= total
    log_p -= np.log(total)
    return x, log_p


def _votes(x: Array) -> Array:
    chosen = x.argmax(axis=1, keepdims=True)
    x = _softmax(x)
    x *= _TIE_BREAK
    np.put_along_axis(x, chosen, 1 + np.take_along_axis(x, chosen, axis=1), axis=1)
    return x


def _smoothed_shares(votes: Array, size: int) -> tuple[Array, Array]:
    votes += 1 / len(votes)
    votes /= size * (1 + _TIE_BREAK) + 1
    return votes, np.log(votes)


_LOGITS = Pooling(lambda x: x, _softmax_of_mean)

COMBINERS: dict[str, Combiner] = {
    "mean_probability": Combiner(mean_probability, Pooling(_softmax, _mean_probability)),
    "mean_logit": Combiner(mean_logit, _LOGITS),
    "geometric_mean": Combiner(geometric_mean, _LOGITS),
    "majority_vote": Combiner(majority_vote, Pooling(_votes, _smoothed_shares)),
}
"""Every combiner by name: each takes logits [S, N, C] and returns log-probabilities [N, C]."""


def check_combiners(combiners: Sequence[str] | Mapping[str, Combine]) -> dict[str, Combiner]:
    """Return combiners by name, or raise UserError if a name is unknown."""
    if isinstance(combiners, Mapping):
        return {name: _known(combine) for name, combine in combiners.items()}
    if unknown := [name for name in combiners if name not in COMBINERS and not is_own(name)]:
        raise UserError(
            f"combiners={unknown}: expected names from {list(COMBINERS)}, or module.function for "
            "a combiner of your own"
        )
    return {name: _own(name) if is_own(name) else COMBINERS[name] for name in combiners}


def _known(combine: Combine) -> Combiner:
    """Return the entry of `COMBINERS` for one of its functions, and a new one for any other."""
    if isinstance(combine, Combiner):
        return combine
    known = (entry for entry in COMBINERS.values() if entry.combine is combine)
    return next(known, Combiner(combine))


def _own(name: str) -> Combiner:
    """Return a user's combiner, with a check of what it returns."""
    combine = locate(name)

    def checked(logits: Floats) -> Array:
        log_p = np.asarray(combine(logits), dtype=np.float64)
        if log_p.shape != logits.shape[1:]:
            raise UserError(
                f"{name} returns {list(log_p.shape)} for logits {list(logits.shape)}: expected "
                f"log-probabilities {list(logits.shape[1:])}"
            )
        if not np.abs(np.exp(log_p).sum(axis=-1) - 1).max() < 1e-6:
            raise UserError(f"{name} returns log-probabilities whose exponentials do not sum to 1")
        return log_p

    return Combiner(checked)
