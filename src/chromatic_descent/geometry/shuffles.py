"""Is the structure real? Nulls that shuffle the members' answers.

The upper rungs of the ladder that begins in `nulls`. Each keeps something of the answers, shuffles
the rest, and asks whether the first k axes of the classical MDS still explain as much:

| null                    | keeps                                    | destroys                    |
|-------------------------|------------------------------------------|-----------------------------|
| `independent_errors`    | every item's answers, whoever gave them  | what items have in common   |
| `within_class_shuffles` | every member's answers to every class    | which item got which        |
| `temperature_and_bias`  | the same as `independent_errors`, and    | what else items have in     |
|                         | each member's scale and class bias       | common                      |

They serve the distances that have `features`: answers are turned into features once, in blocks of
items, and the features shuffled. Null draws are multiplied in float32 (they are compared, not
reported) and summed in float64; the observed share is float64 throughout.
Shapes: S members, N probe items, C classes.
"""

from collections.abc import Callable
from typing import cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chromatic_descent.errors import UserError
from chromatic_descent.geometry.definitions import features
from chromatic_descent.geometry.distances import distance_matrix
from chromatic_descent.geometry.embeddings import double_centred
from chromatic_descent.geometry.logits import check_logits
from chromatic_descent.geometry.nulls import (
    NullTest,
    check_null,
    gram_shares,
    null_test,
    top_share,
)

# Features are gathered in blocks of about this many float32 values: 512 KiB, which stay in cache.
_BLOCK = 2**17

# Gram matrices of draws are kept in batches of about this many float64 values (128 MiB).
_BATCH = 2**24

# With more members than this, `temperature_and_bias` makes the features of each draw anew, since
# those of every member with every other's residuals, S² of them, would be more work.
_TABLED = 64

# Shares from float32 features that differ by less than this, relatively, tie.
_TIE = 1e-5

# A member whose answers are less than this multiple of the mean answer has no usable scale.
_FAINT = 0.01

_Rows = NDArray[np.float32]
_Finish = Callable[[_Rows], NDArray[np.float64]]


def independent_errors(
    logits: ArrayLike,
    name: str,
    *,
    temperature: ArrayLike | None = None,
    draws: int = 199,
    seed: int = 0,
    dimensions: int = 2,
) -> NullTest:
    """Compare the top-k explained share with that of members whose errors are independent.

        null: φ'_in = φ_π_n(i)n, π_n a random order of the members, another for every item n

    Each item's answers are dealt out among the members anew. That keeps, on every item, how far
    and in what way answers spread; it destroys all that a member's answers to different items have
    in common. Answers are dealt out (each goes to one member), not drawn with replacement: under
    the hypothesis every such deal is as likely as the data, so the test's size is exact at any S
    and N, while drawing S answers with replacement would lose 1/S of the spread.

    What it rejects: that members are exchangeable on every item by itself, independently across
    items, as independently erring members would be. A member that is surer or louder throughout
    makes this false too: a rejection shows *something* shared across items, which may be as plain
    as a temperature (see `temperature_and_bias`), and not that two axes suffice. Items that
    resemble each other (near-duplicate images) share answers without any structure among members.

    Args:
        logits: [S, N, C], S >= 4.
        name: a distance that has `features`.
        temperature: [S], for `logit_mse_matched`.
        draws: P.
        seed: of the shuffles.
        dimensions: k, from 1 to S − 2.

    Returns:
        A `NullTest` of shares in (0, 1].

    Raises:
        UserError: as `features`; fewer than 4 members, identical members, or an argument out of
            range.

    Source: Jordan 2023, arXiv:2304.01910, for the hypothesis: late in training the accuracy of
    networks varies over seeds as it would if errors were independent.

    >>> import numpy as np
    >>> logits = np.random.default_rng(0).normal(size=(6, 200, 4))
    >>> independent_errors(logits, "hellinger", draws=39).p_value > 0.05
    True
    """
    logits, observed = _observed(logits, name, temperature, dimensions, draws)

    def prepare(items: slice) -> tuple[_Rows, None]:
        phi = features(logits[:, items], name, temperature)  # [S, n, C]
        phi -= phi.mean(axis=0)  # dealing out keeps it, and no distance sees it
        return _fewer_columns(phi).astype(np.float32)[:, None], None

    null = _dealt_out(prepare, logits.shape, draws, seed, dimensions)
    hypothesis = "on every item members are exchangeable, independently across items"
    return null_test(observed, null, hypothesis, _TIE * observed)


def within_class_shuffles(
    logits: ArrayLike,
    labels: ArrayLike,
    name: str,
    *,
    temperature: ArrayLike | None = None,
    draws: int = 199,
    seed: int = 0,
    dimensions: int = 2,
) -> NullTest:
    """Compare the top-k explained share with that of members who know an item's class only.

        null: φ'_in = φ_iπ_i(n), π_i a random order of the items that keeps classes, one per member

    Each member's answers are permuted among the items of one class. That keeps every member's
    answers class by class: accuracy, confusions, temperature, bias. It destroys which item got
    which answer.

    What it rejects: that given the class a member's answers to items are exchangeable, and members
    independent. Trained members agree on which images of a class are easy, and disagree more on
    some images than on others; either makes this false. So a small p is expected of any study,
    and a large one would be the news: all that members share is class by class. A small p does not
    show an axis beyond confusions and temperature; `temperature_and_bias` is the null for that.

    Args:
        logits: [S, N, C], S >= 4.
        labels: [N] integers.
        name: a distance that has `features`.
        temperature: [S], for `logit_mse_matched`.
        draws: P.
        seed: of the shuffles.
        dimensions: k, from 1 to S − 2.

    Returns:
        A `NullTest` of shares in (0, 1].

    Raises:
        UserError: as `independent_errors`; labels that are not N integers; no class with two items.

    >>> import numpy as np
    >>> logits = np.random.default_rng(0).normal(size=(6, 200, 4))
    >>> labels = np.arange(200) % 4
    >>> within_class_shuffles(logits, labels, "hellinger", draws=39).p_value > 0.05
    True
    """
    logits, observed = _observed(logits, name, temperature, dimensions, draws)
    members, items, _ = logits.shape
    classes = _items_of_classes(labels, items)
    rng = np.random.default_rng(seed)
    null = np.empty(draws)
    for batch in _batches(draws, members):
        grams = np.zeros((len(null[batch]), members, members))
        for chosen in classes:
            phi = features(logits[:, chosen], name, temperature)  # [S, n, C]
            phi -= phi.mean(axis=(0, 1))  # shuffling keeps it, and no distance sees it
            rows = phi.astype(np.float32).reshape(-1, phi.shape[-1])  # [S·n, C]
            count = len(chosen)
            order = np.tile(np.arange(count), (members, 1))
            first = np.arange(members)[:, None] * count
            for gram in grams:
                _add_gram(gram, rows, rng.permuted(order, axis=1) + first)
        null[batch] = _shares(grams, dimensions)
    hypothesis = "given the class a member's answers are exchangeable, and members independent"
    return null_test(observed, null, hypothesis, _TIE * observed)


def temperature_and_bias(
    logits: ArrayLike,
    name: str,
    *,
    temperature: ArrayLike | None = None,
    draws: int = 199,
    seed: int = 0,
    dimensions: int = 2,
) -> NullTest:
    """Compare the top-k explained share with that of members who differ by scale and class bias.

    Least squares gives every member a scale s_i and a bias b_i against the mean member f̄:

        f_in = s_i (f̄_n + r_in) + b_i,  f centred over classes (as it is for `logit_mse`)
        null: f'_in = s_i (f̄_n + r_π_n(i)n) + b_i, π_n as in `independent_errors`

    What is left, r, is dealt out among members item by item; then each member gets its own scale
    and bias back, and the distance is that of f'. Scales act on what is left too, as a temperature
    does. The fitted s and b hold a little noise, of which dealing out adds as much again, a share
    of about 1/N of it all: the size is right for N ≫ 1, not exact.

    What it rejects: that but for a temperature and a bias towards classes members are exchangeable
    on every item, independently across items. A small p shows that something else is shared across
    items. It does not show what, nor that two axes suffice; a bias that depends on the true class
    (a confusion) is enough.

    Args:
        logits: [S, N, C], S >= 4.
        name: a distance that has `features`.
        temperature: [S], for `logit_mse_matched`; held fixed.
        draws: P.
        seed: of the shuffles.
        dimensions: k, from 1 to S − 2.

    Returns:
        A `NullTest` of shares in (0, 1].

    Raises:
        UserError: as `independent_errors`; the mean member answers all items alike, or a member's
            scale is not positive: it has nothing of the mean member to be scaled.

    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> logits = rng.normal(size=(200, 4)) + 0.5 * rng.normal(size=(6, 200, 4))
    >>> surer = logits * np.linspace(0.5, 2, 6)[:, None, None]  # one axis, and it is temperature
    >>> independent_errors(surer, "logit_mse", draws=39).p_value
    0.025
    >>> temperature_and_bias(surer, "logit_mse", draws=39).p_value > 0.05
    True
    """
    logits, observed = _observed(logits, name, temperature, dimensions, draws)
    members = len(logits)

    def answers(chosen: slice) -> NDArray[np.float64]:
        f = logits[:, chosen].astype(np.float64)
        return f if name == "logit_mse" else f - f.mean(axis=-1, keepdims=True)

    scale, bias = _scale_and_bias(answers, logits.shape)

    def prepare(chosen: slice) -> tuple[_Rows, _Finish | None]:
        f = answers(chosen)
        mean = f.mean(axis=0)  # [n, C]
        left = (f - bias[:, None]) / scale[:, None, None] - mean  # [S, n, C]

        def plain(left: NDArray[np.floating]) -> NDArray[np.float64]:
            f = scale[:, None, None] * (mean + left) + bias[:, None]
            return features(f, name, temperature)

        centre = plain(np.zeros_like(left)).mean(axis=0)  # one offset for all, which none sees
        if members > _TABLED:
            return left.astype(np.float32)[:, None], lambda left: plain(left) - centre
        table = np.empty((members, *left.shape), dtype=np.float32)  # [S, S, n, C]
        for source in range(members):
            table[source] = plain(left[source]) - centre
        return table, None

    null = _dealt_out(prepare, logits.shape, draws, seed, dimensions)
    hypothesis = "but for a scale and a class bias members are exchangeable on every item"
    return null_test(observed, null, hypothesis, _TIE * observed)


def _observed(
    logits: ArrayLike, name: str, temperature: ArrayLike | None, dimensions: int, draws: int
) -> tuple[NDArray[np.floating], float]:
    """Return the checked logits and the share of their first k axes, or raise UserError."""
    checked = check_logits(logits)
    check_null(len(checked), dimensions, draws)
    features(checked[:, :1], name, temperature)  # has the distance features?
    squared = distance_matrix(checked, name, temperature=temperature)
    return checked, top_share(squared, dimensions)


def _dealt_out(
    prepare: Callable[[slice], tuple[_Rows, _Finish | None]],
    shape: tuple[int, ...],
    draws: int,
    seed: int,
    dimensions: int,
) -> NDArray[np.float64]:
    """Return the shares of `draws` deals of every item's answers among the members.

    `prepare(items)` gives the answers that can be dealt: [S, 1, n, C], by who gave them, or where
    it matters who gets them [S, S, n, C], by giver and receiver; and what turns dealt answers
    [S, n, C] into features, None if they are features.
    """
    members, items, classes = shape
    step = max(1, max(_BLOCK, members**2) // (members * classes))
    rng = np.random.default_rng(seed)
    null = np.empty(draws)
    for batch in _batches(draws, members):
        grams = np.zeros((len(null[batch]), members, members))
        for start in range(0, items, step):
            table, finish = prepare(slice(start, start + step))
            givers, receivers, count, width = table.shape
            rows = table.reshape(-1, width)
            receiver = np.arange(givers)[:, None] % receivers
            place = receiver * count + np.arange(count)  # [S or 1, n] of an answer of giver 0
            order = np.tile(np.arange(members), (count, 1))
            for gram in grams:
                giver = rng.permuted(order, axis=1).T  # [S, n]
                _add_gram(gram, rows, giver * (receivers * count) + place, finish)
        null[batch] = _shares(grams, dimensions)
    return null


def _add_gram(
    gram: NDArray[np.float64],
    rows: _Rows,
    chosen: NDArray[np.intp],
    finish: _Finish | None = None,
) -> None:
    """Add to a Gram matrix [S, S] that of the rows chosen for each member, [S, n]."""
    taken = rows.take(chosen, axis=0)  # [S, n, C]
    if finish is not None:
        taken = finish(taken).astype(np.float32)
    flat = taken.reshape(len(chosen), -1)
    gram += flat @ flat.T


def _shares(grams: NDArray[np.float64], dimensions: int) -> NDArray[np.float64]:
    """Return the shares of Gram matrices [B, S, S] that need not be centred."""
    norms = np.diagonal(grams, axis1=-2, axis2=-1)
    return gram_shares(double_centred(norms[:, :, None] + norms[:, None] - 2 * grams), dimensions)


def _batches(draws: int, members: int) -> list[slice]:
    size = max(1, _BATCH // members**2)
    return [slice(start, min(start + size, draws)) for start in range(0, draws, size)]


def _fewer_columns(phi: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return features [S, n, min(S, C)] with the same Gram matrix on every item.

    S vectors span no more than S dimensions: turning each item's into those is a QR decomposition,
    which pays when there are many classes.
    """
    members, _, classes = phi.shape
    if classes < 2 * members:
        return phi
    r = cast(NDArray[np.float64], np.linalg.qr(phi.transpose(1, 2, 0), mode="r"))  # [n, S, S]
    return np.ascontiguousarray(r.transpose(2, 0, 1))


def _scale_and_bias(
    answers: Callable[[slice], NDArray[np.float64]], shape: tuple[int, ...]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return s [S] and b [S, C] of the least-squares fit f_i ≈ s_i f̄ + b_i."""
    members, items, classes = shape
    step = max(1, _BLOCK // (members * classes))
    blocks = [slice(start, start + step) for start in range(0, items, step)]
    mean = np.concatenate([answers(block).mean(axis=0) for block in blocks])  # [N, C]
    centre = mean.mean(axis=0)  # [C]
    varying = mean - centre
    energy = np.sum(varying**2)
    if energy <= 1e-26 * np.sum(mean**2):  # round-off
        raise UserError(
            "the mean of the members answers all probe items alike: there is nothing of which "
            "members could be scaled versions"
        )
    overlap, total = np.zeros(members), np.zeros((members, classes))
    for block in blocks:
        f = answers(block) - centre  # what all share would drown the rest
        overlap += np.einsum("snc,nc->s", f, varying[block])
        total += f.sum(axis=1)
    scale = overlap / energy
    if scale.min() < _FAINT:
        member = int(scale.argmin())
        raise UserError(
            f"member {member} is no scaled version of the mean member (scale {scale[member]:.3g}): "
            "has it collapsed? Leave it out"
        )
    return scale, total / items + (1 - scale[:, None]) * centre


def _items_of_classes(labels: ArrayLike, items: int) -> list[NDArray[np.intp]]:
    """Return the items of each class that occurs."""
    array = np.asarray(labels)
    if array.shape != (items,) or array.dtype.kind not in "iu":
        raise UserError(
            f"labels must be {items} integers, one per probe item; found shape "
            f"{list(array.shape)} of {array.dtype}"
        )
    _, codes, counts = np.unique(array, return_inverse=True, return_counts=True)
    if counts.max() < 2:
        raise UserError("every class has a single probe item: there is nothing to shuffle")
    return np.split(np.argsort(codes, kind="stable"), np.cumsum(counts)[:-1])
