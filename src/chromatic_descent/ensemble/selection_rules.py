"""Which members should make up a small ensemble? Rules that pick them."""

import numpy as np
from numpy.typing import ArrayLike

from chromatic_descent.ensemble.log_probabilities import at_label, check_members, log_softmax_blocks
from chromatic_descent.errors import UserError
from chromatic_descent.geometry.checks import check_squared

# Label probabilities are floored at exp(−690) of the best member's: there double precision ends.
_FLOOR = 1e-300


def greedy_forward(logits: ArrayLike, labels: ArrayLike, size: int) -> list[int]:
    """Pick members one by one, each time the one that lowers the ensemble's NLL most.

        i_k = argmin_i −mean_n log (1/k) (p_{i,n,y_n} + Σ_{j<k} p_{i_j,n,y_n})

    The first is the member of lowest NLL; the ensemble is the mean probability. Each member is
    picked at most once (Caruana et al. also pick members repeatedly, which is a weighting). The
    picks for a smaller size are the first ones of a larger size.

    Args:
        logits: [S, N, C].
        labels: [N], whole numbers from 0 to C − 1.
        size: how many to pick, from 1 to S.

    Returns:
        The members' indices, in the order of picking; of equally good ones the first.

    Raises:
        UserError: logits, labels or size out of range.

    Source: Caruana et al. 2004, "Ensemble selection from libraries of models", ICML.

    >>> logits = [[[2.0, 0], [2.0, 0]], [[1.9, 0], [1.9, 0]], [[-1.0, 0], [0, 4.0]]]
    >>> greedy_forward(logits, [0, 1], 2)  # the last two complement each other
    [2, 1]
    """
    stack, y = check_members(logits, labels)
    members, items, _ = stack.shape
    _check_size(size, members)
    label_p = np.empty((members, items))
    for block, log_p in log_softmax_blocks(stack):
        label_p[:, block] = at_label(log_p, y[block])
    label_p -= label_p.max(axis=0)  # over the best member's: no pick depends on it
    np.exp(label_p, out=label_p)

    picked: list[int] = []
    total = np.zeros(items)
    free = np.ones(members, dtype=np.bool_)
    for _ in range(size):
        gain = np.full(members, -np.inf)
        for i in np.flatnonzero(free):  # row by row, as [S, N] sums would not fit the cache
            gain[i] = np.log(np.maximum(total + label_p[i], _FLOOR)).sum()
        best = int(gain.argmax())
        picked.append(best)
        free[best] = False
        total += label_p[best]
    return picked


def k_medoids(squared: ArrayLike, size: int) -> list[int]:
    """Pick the members to which all others are closest: partitioning around medoids.

        minimise Σ_i min_{m∈M} D_im over sets M of k members

    with D the squared distances: the sum of squares about the medoids. Medoids are first added
    greedily (BUILD), then a medoid and another member are swapped, best swap first, for as long as
    a swap helps (SWAP): a local optimum, and the same one every time.

    Args:
        squared: [S, S] squared distances between members.
        size: k, from 1 to S.

    Returns:
        The medoids' indices, ascending.

    Raises:
        UserError: `squared` is not a matrix of squared distances; size out of range.

    Source: Kaufman & Rousseeuw 1987; the shared sums of a swap Schubert & Rousseeuw 2021,
    arXiv:2008.05171.

    >>> import numpy as np
    >>> x = np.array([0.0, 1.0, 2.0, 10.0, 11.0, 12.0])
    >>> k_medoids((x[:, None] - x) ** 2, 2)
    [1, 4]
    """
    d = check_squared(squared)
    members = len(d)
    _check_size(size, members)
    medoids = [int(d.sum(axis=0).argmin())]
    nearest = d[medoids[0]].copy()
    while len(medoids) < size:
        saved = np.maximum(nearest[:, None] - d, 0).sum(axis=0)
        saved[medoids] = -1
        medoids.append(int(saved.argmax()))
        nearest = np.minimum(nearest, d[medoids[-1]])

    tiny = 1e-12 * d.sum()  # swaps that help by round-off alone could go on for ever
    while size < members:
        to_medoids = d[medoids]  # [k, S]
        closest = to_medoids.argmin(axis=0)
        first = to_medoids.min(axis=0)
        others = np.vstack([to_medoids, np.full(members, np.inf)])  # for a single medoid
        second = np.partition(others, 1, axis=0)[1]
        # Adding x changes point i by min(D_ix − first_i, 0) if its medoid stays, and by
        # min(D_ix, second_i) − first_i if its medoid is the one removed.
        stays = np.minimum(d - first[:, None], 0)  # [i, x]
        leaves = np.minimum(d, second[:, None]) - first[:, None] - stays
        owner = (closest == np.arange(size)[:, None]).astype(np.float64)  # [k, i]
        change = stays.sum(axis=0) + owner @ leaves  # [k, x]
        change[:, medoids] = np.inf
        out, into = divmod(int(change.argmin()), members)
        if change[out, into] >= -tiny:
            break
        medoids[out] = into
    return sorted(medoids)


def farthest_point(squared: ArrayLike, size: int) -> list[int]:
    """Pick members one by one, each time the one farthest from all picked before.

        i_1 = argmin_i Σ_j D_ij,   i_k = argmax_i min_{j<k} D_{i, i_j}

    It starts from the most central member and spreads out from there, outliers first. The picks
    for a smaller size are the first ones of a larger size.

    Args:
        squared: [S, S] squared distances between members.
        size: how many to pick, from 1 to S.

    Returns:
        The members' indices, in the order of picking; of equally far ones the first.

    Raises:
        UserError: `squared` is not a matrix of squared distances; size out of range.

    Source: Gonzalez 1985, Theoretical Computer Science 38.

    >>> import numpy as np
    >>> x = np.array([0.0, 4.0, 5.0, 6.0, 11.0])
    >>> farthest_point((x[:, None] - x) ** 2, 3)
    [2, 4, 0]
    """
    d = check_squared(squared)
    _check_size(size, len(d))
    picked = [int(d.sum(axis=0).argmin())]
    nearest = d[picked[0]].copy()
    while len(picked) < size:
        nearest[picked] = -1
        picked.append(int(nearest.argmax()))
        nearest = np.minimum(nearest, d[picked[-1]])
    return picked


def _check_size(size: int, members: int) -> None:
    if not 1 <= size <= members:
        raise UserError(f"size must be from 1 to the {members} members; found {size}")
