"""How often members disagree, pair by pair, and how often independent members would.

All measures concern predicted classes (the most probable class of each item), not probabilities.
"""

from dataclasses import dataclass
from functools import reduce

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chromatic_descent.ensemble.log_probabilities import check_members
from chromatic_descent.errors import UserError
from chromatic_descent.geometry.checks import Array

_GROUPS = 20  # of items, for the jackknife


@dataclass(frozen=True, eq=False)
class Diversity:
    """Pairwise diversity; NaN where a measure is 0/0.

    Attributes:
        pairs: [S, S] for `disagreement`, `normalised_disagreement`, `independent_disagreement`,
            `cohen_kappa` and `error_correlation`.
        means: of each measure over the pairs where it is defined; `fleiss_kappa` is of all members.
        standard_errors: of each mean over probe items, for these members: a jackknife over 20
            groups of items (single items below 20).
    """

    pairs: dict[str, Array]
    means: dict[str, float]
    standard_errors: dict[str, float]


@dataclass(frozen=True)
class _Counts:
    """The counts over items behind every measure; they add up over groups of items."""

    items: float
    same: Array  # [S, S] same predicted class
    both_wrong: Array  # [S, S]
    predicted: Array  # [S, C] how often each class is predicted
    wrong: Array  # [S]


def diversity(logits: ArrayLike, labels: ArrayLike) -> Diversity:
    """Measure how often members disagree and err together, and what chance would give.

    With a_i the classes that member i predicts, ε_i = P(a_i ≠ y) its error, m_ic the share of its
    predictions that are class c:

        disagreement              d_ij = P(a_i ≠ a_j)
        normalised_disagreement   d_ij / ε̄_ij,   ε̄_ij = (ε_i + ε_j)/2 = 1 − the pair's mean accuracy
        independent_disagreement  ε_i (1 − ε_j) + ε_j (1 − ε_i) + ε_i ε_j (C − 2)/(C − 1)
        cohen_kappa               (P(a_i = a_j) − e_ij)/(1 − e_ij),   e_ij = Σ_c m_ic m_jc
        error_correlation         Pearson's correlation of [a_i ≠ y] and [a_j ≠ y]
        fleiss_kappa              (P̄ − e)/(1 − e),   P̄ = mean_{i<j} P(a_i = a_j),  e = Σ_c m̄_c²

    `independent_disagreement` is the d of two members that err independently of each other *and of
    the item*, all wrong classes equally likely; for equal errors it is
    2ε(1 − ε) + ε²(C − 2)/(C − 1). Real items differ in difficulty, which alone makes errors
    coincide: members usually fall short of this reference, which is not a sign of shared minima.
    Fort et al. compare a model with one baseline and divide by the model's 1 − accuracy; here
    neither member is the baseline, so the pair's mean accuracy is used. Both kappas are 1 for equal
    predictions and 0 at chance, given how often each class is predicted. Correct predictions count
    as agreement, so accurate members have a high kappa whatever their errors.

    Args:
        logits: [S, N, C], at least 2 members.
        labels: [N], whole numbers from 0 to C − 1.

    Returns:
        A `Diversity`; all entries dimensionless. Normalised disagreement is NaN for two members
        without errors, kappas where all predictions are one class, error correlation where a member
        is always right or always wrong.

    Raises:
        UserError: logits or labels of another shape, or out of range; fewer than 2 members.

    Source: Fort et al. 2019, arXiv:1912.02757; Cohen 1960; Fleiss 1971.

    >>> import numpy as np
    >>> predicted = np.array([[0, 1, 0, 1, 0], [0, 1, 1, 0, 0], [0, 1, 1, 1, 0]])  # [S, N]
    >>> measured = diversity(np.eye(2)[predicted], [0, 1, 1, 1, 0])
    >>> measured.pairs["disagreement"]
    array([[0. , 0.4, 0.2],
           [0.4, 0. , 0.2],
           [0.2, 0.2, 0. ]])
    >>> round(measured.means["normalised_disagreement"], 6)  # 0.4/0.2, 0.2/0.1 and 0.2/0.1
    2.0
    """
    stack, y = check_members(logits, labels)
    members, items, classes = stack.shape
    if members < 2:
        raise UserError("diversity compares pairs: it needs at least 2 members; found 1")
    predicted = stack.argmax(axis=-1)  # [S, N]; of several most probable classes the first
    # Every 20th item forms a group, so that each has all classes even if the items are sorted.
    groups = [
        _count(predicted[:, start::_GROUPS], y[start::_GROUPS], classes)
        for start in range(min(_GROUPS, items))
    ]
    whole = reduce(_combine, groups)
    pairs, means = _measures(whole)
    if len(groups) == 1:
        return Diversity(pairs, means, dict.fromkeys(means, float("nan")))
    left_out = [list(_measures(_combine(whole, group, -1))[1].values()) for group in groups]
    errors = np.std(left_out, axis=0) * np.sqrt(len(groups) - 1)  # √((G−1)/G Σ_g (θ_g − θ̄)²)
    return Diversity(pairs, means, dict(zip(means, errors.tolist(), strict=True)))


def oracle_accuracy(logits: ArrayLike, labels: ArrayLike) -> float:
    """Return the share of items that at least one member gets right, in [0, 1].

        mean_n max_i [argmax_c f_inc = y_n]

    The accuracy of an oracle that picks the right member for each item. It never falls as members
    are added, and with enough guessing members it is 1: an upper bound, not a goal.

    Arguments and errors: see `diversity`; a single member is accepted too.

    Source: Kuncheva & Whitaker 2003, Machine Learning 51, where it bounds any combination.

    >>> oracle_accuracy([[[1, 0], [1, 0]], [[0, 1], [0, 1]]], [0, 1])
    1.0
    """
    stack, y = check_members(logits, labels)
    return float((stack.argmax(axis=-1) == y).any(axis=0).mean())


def _count(predicted: NDArray[np.intp], labels: NDArray[np.intp], classes: int) -> _Counts:
    """Count over items: [S, n], [n] -> counts. Pairs take two matrix products."""
    members, items = predicted.shape
    one_hot = np.zeros((members, items, classes), dtype=np.float32)  # exact up to 2**24 items
    np.put_along_axis(one_hot, predicted[..., None], 1, axis=-1)
    flat = one_hot.reshape(members, -1)
    wrong = (predicted != labels).astype(np.float32)  # [S, n]
    small = np.min_scalar_type(items)  # S² counts in each of 20 groups: as small as they fit
    return _Counts(
        items,
        (flat @ flat.T).astype(small),
        (wrong @ wrong.T).astype(small),
        one_hot.sum(axis=1, dtype=np.float64),
        wrong.sum(axis=1, dtype=np.float64),
    )


def _combine(one: _Counts, other: _Counts, sign: float = 1.0) -> _Counts:
    """Return one + sign · other."""
    pairs = zip(vars(one).values(), vars(other).values(), strict=True)
    return _Counts(*(a + np.float64(sign) * b for a, b in pairs))


def _measures(counts: _Counts) -> tuple[dict[str, Array], dict[str, float]]:
    """Return the pairwise matrices, and their means over pairs with Fleiss' kappa."""
    n = counts.items
    members, classes = counts.predicted.shape
    error = counts.wrong / n
    both = np.multiply.outer(error, error)
    total = np.add.outer(error, error)
    agreement = counts.same / n
    chance = counts.predicted @ counts.predicted.T / n**2
    scale = np.sqrt(error * (1 - error))
    pairs = {
        "disagreement": 1 - agreement,
        "normalised_disagreement": _ratio(1 - agreement, total / 2),
        "independent_disagreement": total - 2 * both + both * (classes - 2) / (classes - 1),
        "cohen_kappa": _ratio(agreement - chance, 1 - chance),
        "error_correlation": _ratio(counts.both_wrong / n - both, np.multiply.outer(scale, scale)),
    }
    upper = np.triu_indices(members, k=1)
    means = {name: _mean(matrix[upper]) for name, matrix in pairs.items()}
    share = counts.predicted.sum(axis=0) / (n * members)
    expected = np.vecdot(share, share)
    fleiss = _ratio(np.array(1 - means["disagreement"] - expected), np.array(1 - expected))
    return pairs, {**means, "fleiss_kappa": float(fleiss)}


def _ratio(above: Array, below: Array) -> Array:
    """Return above / below, NaN where below is zero up to round-off."""
    ratio: Array = np.full(above.shape, np.nan)
    return np.divide(above, below, out=ratio, where=below > 1e-12)


def _mean(values: Array) -> float:
    """Return the mean of the values that are not NaN; NaN if all are."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")
