"""Is the structure real? Nulls that shuffle the members' predictions.

These are upper rungs of the ladder that begins in `distance_nulls`. Each keeps part of the
predictions, shuffles the rest, and asks whether the first k axes still explain as much:

| null                    | keeps                                     | destroys                  |
|-------------------------|-------------------------------------------|---------------------------|
| `independent_errors`    | the predictions on every item             | what items have in common |
| `within_class_shuffles` | every member's predictions on every class | which item got which      |

The last, `temperature_and_bias`, is in `scale_and_bias`. All need a distance between `features`:
logits are turned into features once, in blocks of items, and the features are shuffled. Null draws
are multiplied in float32 (they are compared, not reported) and summed in float64; the observed
share is float64 throughout.
"""

from typing import NamedTuple, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chromatic_descent.errors import UserError
from chromatic_descent.geometry.checks import Array, Logits, check_labels
from chromatic_descent.geometry.cores import batches
from chromatic_descent.geometry.distances.definition import Distance
from chromatic_descent.geometry.nulls import testing
from chromatic_descent.geometry.nulls.testing import NullTest, gram_of, null_test

_BATCH = 2**24  # float64 values of the Gram matrices of draws held at once (128 MiB)


def independent_errors(
    logits: Logits,
    distance: str | Distance,
    *,
    draws: int = 199,
    seed: int = 0,
    dimensions: int = 2,
) -> NullTest:
    """Compare the top-k explained share with that of members whose errors are independent.

        null: φ'_in = φ_π_n(i)n, π_n a random order of the members, drawn anew for every item n

    Each item's predictions are dealt out among the members. That keeps the spread of the
    predictions on every item; it destroys everything that a member's predictions on different items
    have in common. They are dealt out (each goes to one member), not drawn with replacement: under
    the hypothesis every deal is as likely as the data, so the size of the test is exact at any S
    and N, whereas S draws with replacement would lose 1/S of the spread.

    It rejects that on every item members are exchangeable, independently across items, as they
    would be if they erred independently. A member that is surer or louder on all items also
    violates this. So a rejection shows that *something* is shared across items, perhaps only a
    temperature (see `temperature_and_bias`); it does not show that two axes suffice. Near-duplicate
    images share predictions without any structure among members.

    Args:
        logits: [S, N, C], S >= 4, or the path of a .npy or .npz file.
        distance: one of `EUCLIDEAN`, or a function of features; temperatures are held fixed.
        dimensions: k, from 1 to S − 2.

    Raises:
        UserError: as `features`; fewer than 4 or identical members; an argument out of range.

    Source: Jordan 2023, arXiv:2304.01910, for the hypothesis: late in training, accuracy varies
    over seeds as it would if errors were independent.

    >>> logits = np.random.default_rng(0).normal(size=(6, 200, 4))
    >>> independent_errors(logits, "hellinger", draws=39).p_value > 0.05
    True
    """
    logits, distance, observed, unit = testing.observed_share(logits, distance, dimensions, draws)
    members = len(logits)
    rng = np.random.default_rng(seed)
    null = np.empty(draws)
    for batch in batches(draws, _BATCH // members**2):
        grams = np.zeros((len(null[batch]), members, members))
        for block in testing.shuffle_blocks(*logits.shape):
            phi = distance.features(logits, block)  # [S, n, C]
            phi -= phi.mean(axis=0)  # dealing keeps the mean, and no distance sees it
            predictions = testing.by_item(_fewer_columns(phi / unit))
            for gram in grams:
                gram += gram_of(testing.deal_out(predictions, rng))
        null[batch] = testing.uncentred_shares(grams, dimensions)
    hypothesis = "on every item members are exchangeable, independently across items"
    return null_test(observed, null, hypothesis, testing.TIE * observed)


def within_class_shuffles(
    logits: Logits,
    labels: ArrayLike,
    distance: str | Distance,
    *,
    draws: int = 199,
    seed: int = 0,
    dimensions: int = 2,
) -> NullTest:
    """Compare the top-k explained share with that of members who know only an item's class.

        null: φ'_in = φ_iπ_i(n), π_i a random order of the items that keeps classes, one per member

    Each member's predictions are permuted among the items of each class. That keeps every member's
    predictions class by class: accuracy, confusions, temperature, bias, but not the item of each.

    It rejects that given the class a member's predictions are exchangeable over items, and members
    are independent. Trained members agree on which images of a class are easy, and disagree more on
    some images than on others; either violates this. So a small p is expected in any study, and a
    large p would be remarkable: members would share nothing beyond their classes. A small p does
    not show an axis beyond confusions and temperature; `temperature_and_bias` tests that.

    Args:
        labels: [N] integers. The other arguments are as in `independent_errors`.

    Raises:
        UserError: as `independent_errors`; labels that are not N integers; no class with two items.

    >>> logits = np.random.default_rng(0).normal(size=(6, 200, 4))
    >>> labels = np.arange(200) % 4
    >>> within_class_shuffles(logits, labels, "hellinger", draws=39).p_value > 0.05
    True
    """
    logits, distance, observed, _ = testing.observed_share(logits, distance, dimensions, draws)
    members, items, _ = logits.shape
    least = max(1, testing.SHUFFLED // logits[:, 0].size)
    groups = _together(_items_of_classes(labels, items), least)

    def about_classes(group: _Group) -> Array:
        phi = distance.features(logits[:, group.items])  # [S, n, C]
        for slots in group.slots:  # shuffling keeps this mean, and no distance sees it
            phi[:, slots] -= phi[:, slots].mean(axis=(0, 1))
        return phi

    energy = sum(np.sum(about_classes(group) ** 2) for group in groups)
    unit = np.sqrt(energy / (members * items))
    rng = np.random.default_rng(seed)
    null = np.empty(draws)
    for batch in batches(draws, _BATCH // members**2):
        grams = np.zeros((len(null[batch]), members, members))
        for group in groups:
            phi = about_classes(group) / unit
            rows = phi.astype(np.float32).reshape(-1, phi.shape[-1])  # [S·n, C]
            orders = [np.tile(slots, (members, 1)) for slots in group.slots]
            first = np.arange(members)[:, None] * phi.shape[1]
            for gram in grams:
                order = np.concatenate([rng.permuted(order, axis=1) for order in orders], axis=1)
                gram += gram_of(rows.take(order + first, axis=0))
        null[batch] = testing.uncentred_shares(grams, dimensions)
    hypothesis = "given the class, a member's predictions are exchangeable, and members independent"
    return null_test(observed, null, hypothesis, testing.TIE * observed)


def _fewer_columns(phi: Array) -> Array:
    """Rotate each item's S vectors into the S dimensions that they span, if C is at least 2S."""
    members, _, classes = phi.shape
    if classes < 2 * members:
        return phi
    r = cast(Array, np.linalg.qr(phi.transpose(1, 2, 0), mode="r"))  # [n, S, S]
    return np.ascontiguousarray(r.transpose(2, 0, 1))


def _items_of_classes(labels: ArrayLike, items: int) -> list[NDArray[np.intp]]:
    """Return the items of each class that has any."""
    array = check_labels(labels, "within_class_shuffles", items, None)
    _, codes, counts = np.unique(array, return_inverse=True, return_counts=True)
    if counts.max() < 2:
        raise UserError("every class has a single probe item: there is nothing to shuffle")
    return np.split(np.argsort(codes, kind="stable"), np.cumsum(counts)[:-1])


class _Group(NamedTuple):
    """Classes that are processed together: their items [n], and each class's slots among the n."""

    items: NDArray[np.intp]
    slots: list[NDArray[np.intp]]


def _together(classes: list[NDArray[np.intp]], items: int) -> list[_Group]:
    """Return the classes in groups of at least `items` items; the last may have fewer."""
    groups: list[list[NDArray[np.intp]]] = [[]]
    for chosen in classes:
        if sum(map(len, groups[-1])) >= items:
            groups.append([])
        groups[-1].append(chosen)
    ends = [np.cumsum([len(chosen) for chosen in group]) for group in groups]
    return [
        _Group(np.concatenate(group), np.split(np.arange(end[-1]), end[:-1]))
        for group, end in zip(groups, ends, strict=True)
    ]
