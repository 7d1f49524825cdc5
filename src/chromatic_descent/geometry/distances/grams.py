"""Distances that are matrix products, any number of them in one pass over the probe items.

A Gram matrix G_ij = Σ_n w_n φ_in·φ_jn gives the distances G_ii + G_jj − 2 G_ij, up to a divisor.
The mean over members is subtracted from the features first: no distance sees it, and an offset that
all members share would cost digits. Distances share work through their `gram`:

- The Gram matrix of centred logits serves three: raw logits add C times the one of the shifts, and
  matched logits divide it by T_i T_j (with terms for the mean).
- One softmax serves Hellinger, probabilities and the symmetric KL, which is a product of p and f̃.
- Wrong and correct predictions are two products, and give both disagreements.

Each total is stored as its upper triangle, in strips of columns, so that the cores can share the
products of a block. Totals are float64, or float32 for counts of predictions, exact up to 2²⁴.
"""

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import Executor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chromatic_descent.geometry.checks import Array, Floats
from chromatic_descent.geometry.cores import batches, item_blocks, length, one_thread_a_core
from chromatic_descent.geometry.distances.definition import Distance, Gram, Product, Report
from chromatic_descent.geometry.distances.ingredients import COUNTED, MAKERS, PER_ITEM

# ‖a‖² + ‖b‖² − 2a·b is accurate to about 1e-14 of ‖a‖² + ‖b‖². Pairs closer than this share of it,
# which would keep fewer than eight digits, are computed from the difference itself.
_CLOSE = 1e-6

_EXACT_FLOAT32 = 2**24  # whole numbers below it are exact, and so are their sums
_CHUNK = 32  # members whose features are computed at a time
_STRIPS = 8  # of a Gram matrix; more strips waste less below the diagonal, in smaller products


def gram_distances(
    logits: Floats, distances: Sequence[Distance], weights: Floats | None, report: Report
) -> dict[str, Array]:
    """Return distances that have a `gram`, [S, S] each, by name; without checks.

    `distances`, each once, are checked for these logits; `weights` is [N], or None if equal.
    """
    sums = _Sums(logits, distances, whole=weights is None)
    with one_thread_a_core() as pool:
        for block in item_blocks(*logits.shape):
            sums.add(logits[:, block], block, None if weights is None else weights[block], pool)
            report(block.stop / logits.shape[1])

    total = float(logits.shape[1]) if weights is None else float(weights.sum(dtype=np.float64))
    finished: dict[str, Array] = {}
    for distance in distances:
        recipe = sums.recipes[distance.name]
        squared, error = recipe.finish(sums, distance)
        scale = distance.scale(logits.shape[-1])
        # Pairs that are close but far from the mean still cancel; they are few, so recompute them.
        if error is not None and (near := np.triu(squared <= _CLOSE * error, k=1)).any():
            squared[near] = distance.total_of_pairs(near, logits, weights) * scale
        _mirror(squared)
        if recipe.over is None:
            squared /= scale * total
        else:
            squared /= _nowhere_zero(sums.gram(recipe.over), distance)
        finished[distance.name] = squared
    return finished


class _Sums:
    """Running totals over items, of the products in the distances' recipes."""

    def __init__(self, logits: Floats, distances: Sequence[Distance], *, whole: bool):
        members, items, classes = logits.shape
        self.classes = int(classes)
        self.exact = whole and items < _EXACT_FLOAT32  # predictions are counted, not weighed
        self.recipes = _recipes(distances)
        self.labels = next((d.labels for d in distances if d.labels is not None), None)
        # How often each total is still to be read; the last read frees it.
        self.reads = Counter(
            product
            for recipe in self.recipes.values()
            for product in (*recipe.products, *([] if recipe.over is None else [recipe.over]))
        )
        made = {name for product in self.reads for name in product}
        known = frozenset[str]().union(*MAKERS)
        self.features = {
            d.name: d.features_along
            for d in distances
            if d.name in made - known and d.features_along is not None
        }
        self.shapes: dict[str, tuple[int, ...]] = {
            name: () if name in PER_ITEM else (self.classes,) for name in sorted(made)
        }
        for name, features_along in self.features.items():
            self.shapes[name] = features_along(np.zeros(classes), 0).shape
        width = max(_CHUNK, -(-members // _STRIPS))
        self.grams: dict[Product, list[NDArray[Any]]] = {  # columns i to j - 1 of rows 0 to j - 1
            product: [
                np.zeros((part.stop, length(part)), self._type(product[0]))
                for part in batches(members, width)
            ]
            for product in sorted(self.reads)
        }
        self.chunks = list(batches(members, _CHUNK))
        self.about = next((r.about_mean for r in self.recipes.values() if r.about_mean), None)
        self.along_mean = np.zeros(members)
        self.mean_square = 0.0
        mixed = {name for left, right in self.grams if left != right for name in (left, right)}
        self.squares = {name: np.zeros(members) for name in sorted(mixed)}
        self.weight = 0.0

    def _type(self, ingredient: str) -> type[np.floating]:
        return np.float32 if self.exact and ingredient in COUNTED else np.float64

    def add(self, logits: Floats, block: slice, weights: Floats | None, pool: Executor) -> None:
        """Add a block [S, n, C] of all items to every total; `weights` is [n]."""
        members, items, _ = logits.shape
        labels = None if self.labels is None else self.labels[block]
        made: dict[str, NDArray[Any]] = {
            name: np.empty((members, *shape, items), self._type(name))
            for name, shape in self.shapes.items()
        }
        root = None if weights is None else np.sqrt(weights, dtype=np.float64)
        self.weight += items if weights is None else float(weights.sum(dtype=np.float64))
        # Chunks of members stay in the cache, and keep every core busy.
        list(pool.map(lambda rows: self._make(made, rows, logits, labels), self.chunks))
        means = {name: x.mean(axis=0) for name, x in made.items() if name not in COUNTED}

        def weigh(rows: slice) -> None:
            for name, x in made.items():
                if name in means:
                    x[rows] -= means[name]
                if root is not None:
                    x[rows] *= root

        list(pool.map(weigh, self.chunks))

        flat = {name: x.reshape(members, -1) for name, x in made.items()}
        strips = [(len(c), product, c) for product, gram in self.grams.items() for c in gram]
        strips.sort(key=lambda strip: strip[0], reverse=True)  # the most work first

        def multiply(strip: tuple[int, Product, NDArray[Any]]) -> None:
            stop, (left, right), total = strip
            for one, other in dict.fromkeys([(left, right), (right, left)]):
                total += flat[one][:stop] @ flat[other][stop - total.shape[1] : stop].T

        list(pool.map(multiply, strips))
        if self.about is not None:
            mean = means[self.about] if root is None else means[self.about] * root
            self.along_mean += flat[self.about] @ mean.ravel()
            self.mean_square += float(mean.ravel() @ mean.ravel())
        for name, squares in self.squares.items():
            squares += np.einsum("ij,ij->i", flat[name], flat[name])

    def _make(
        self,
        made: dict[str, NDArray[Any]],
        rows: slice,
        logits: Floats,
        labels: NDArray[np.intp] | None,
    ) -> None:
        """Fill in the ingredients of the members `rows` of `logits` [S, n, C]."""
        part = {name: x[rows] for name, x in made.items()}
        turned = logits[rows].transpose(0, 2, 1)
        for ingredients, make in MAKERS.items():
            if ingredients & part.keys():
                make(part, turned, labels)
        for name, features_along in self.features.items():
            out = part[name]
            f = out if out.shape == turned.shape else np.empty(turned.shape)
            f[:] = turned
            phi = features_along(f, 1)
            if phi is not out:
                out[:] = phi

    def gram(self, product: Product) -> Array:
        """See `Totals`."""
        self.reads[product] -= 1
        strips = self.grams[product] if self.reads[product] else self.grams.pop(product)
        gram = np.zeros((len(strips[-1]), len(strips[-1])))
        for strip in strips:
            stop, width = strip.shape
            gram[:stop, stop - width : stop] = strip
        return gram


def _recipes(distances: Sequence[Distance]) -> dict[str, Gram]:
    """Return the cheapest recipe of each distance, given the ingredients that the others need."""
    recipes = {d.name: d.gram for d in distances if d.gram is not None}
    needed_by = {name: {x for pair in r.products for x in pair} for name, r in recipes.items()}
    chosen = {}
    for name, recipe in recipes.items():
        others = set().union(*(needed_by[other] for other in recipes if other != name))
        beside = recipe.beside
        shared = beside is not None and beside.products[0][0] in others
        chosen[name] = beside if beside is not None and shared else recipe
    return chosen


def _nowhere_zero(common: Array, distance: Distance) -> Array:
    """Return the weight of the items that both members get wrong, or raise UserError if it is 0."""
    none = np.argwhere(np.triu(common == 0, k=1))
    if len(none):
        i, j = none[0].tolist()
        raise distance.no_common_errors(i, j, f" (true of {len(none)} pairs in all)")
    _mirror(common)
    np.fill_diagonal(common, 1.0)
    return common


def _mirror(matrix: Array) -> None:
    """Copy the upper triangle onto the lower, in place, and zeros onto the diagonal."""
    for i in range(len(matrix)):
        matrix[i:, i] = matrix[i, i:]
    np.fill_diagonal(matrix, 0.0)
