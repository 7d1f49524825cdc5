"""The definition of a distance: all that the rest of the package needs to know, in one object.

Almost every distance is a mean over probe items. It compares *vectors* [S, n, K], one per member
and item: D_ij is the mean over items of `by_item`, by default ‖x_in − x_jn‖² over a divisor. Then
D is one matrix product (a Gram matrix), √D is exactly Euclidean, classical MDS is a principal
component analysis, and the vectors over √divisor are called *features*.

Shapes: S members, N probe items, C classes. Distances are squared throughout, as classical MDS
needs them.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from chromatic_descent.errors import UserError
from chromatic_descent.geometry.checks import Array, Floats, check_labels, check_temperature
from chromatic_descent.geometry.cores import item_blocks

Product: TypeAlias = tuple[str, str]  # of two ingredients of the Gram pass
Report: TypeAlias = Callable[[float], None]  # receives the fraction of the work that is done
Sides: TypeAlias = tuple[Array, Array]


def squared_differences(others: Array, one: Array) -> Array:
    """Return Σ_k (a − b)², exact however close a and b: [others, n, K], [n, K] -> [others, n]."""
    difference = others - one
    squared: Array = np.einsum("jnk,jnk->jn", difference, difference)
    return squared


def squared_from_gram(gram: Array) -> Array:
    """Turn a Gram matrix into G_ii + G_jj − 2 G_ij, in place."""
    norms = gram.diagonal().copy()
    gram *= -2
    gram += norms[:, None]
    gram += norms
    return gram


def squared_and_scale(gram: Array) -> tuple[Array, Array]:
    """Return `squared_from_gram` and ‖a‖² + ‖b‖², to which its round-off is proportional."""
    scale = np.add.outer(gram.diagonal(), gram.diagonal())
    return squared_from_gram(gram), scale


class Totals(Protocol):
    """The sums over all items that the Gram pass provides; see `grams`."""

    classes: int
    weight: float  # Σ_n w_n
    exact: bool  # whether counts are whole numbers, without error
    along_mean: Array  # [S], φ_i·μ, μ the mean over members of the ingredient `about_mean`
    mean_square: float  # ‖μ‖²
    squares: dict[str, Array]  # [S], ‖φ_i‖² of the ingredients of mixed products

    def gram(self, product: Product) -> Array:
        """Return a total as a new matrix, of which only the upper triangle counts."""
        ...


@dataclass(frozen=True)
class Gram:
    """The recipe by which one pass over the items computes a distance."""

    # The Gram matrices of ingredients (see `ingredients`) that the recipe needs. Two different
    # ingredients a, b stand for abᵀ + baᵀ.
    products: tuple[Product, ...]
    # Turns the totals into Σ_n w_n of the squared differences of vectors (upper triangle), and the
    # scale of their error, or None where they are exact.
    finish: Callable[[Totals, "Distance"], tuple[Array, Array | None]]
    # A recipe that is cheaper if another distance needs its first ingredient anyway.
    beside: "Gram | None" = None
    over: Product | None = None  # what to divide by, in place of Σ_n w_n
    about_mean: str | None = None  # the ingredient whose mean over members `finish` needs as well

    @classmethod
    def of(cls, ingredient: str, **options: Any) -> "Gram":
        """Return the recipe for squared Euclidean distances between one ingredient's vectors."""
        product = (ingredient, ingredient)
        return cls((product,), lambda sums, _: squared_and_scale(sums.gram(product)), **options)


def centred_features(x: Array, scale: float, dtype: type[np.floating]) -> Sides:
    """Return features less their mean over members: no distance sees it, but it costs digits."""
    x -= x.mean(axis=0)
    x /= np.sqrt(scale)
    return x, x


def as_they_are(x: Array, scale: float, dtype: type[np.floating]) -> Sides:
    """Return the vectors, unchanged, as both factors."""
    return x, x


def scalar_products(left: Floats, right: Floats, out: Floats, room: Floats) -> None:
    """Write Σ_k of products into `out` [n, r, c], from [n, K, r] and [n, K, c]."""
    np.matmul(left.swapaxes(1, 2), right, out=out)


@dataclass(frozen=True)
class Kernel:
    """A kernel k with D_ij = k_ii + k_jj − 2 k_ij on every item, for many weightings of the items.

    `sides` makes its two factors, [S, n, K] each, from the vectors (which it may overwrite), their
    divisor, and the type that the factors will be converted to. `combine` writes k / `scale` into
    its third argument; the fourth is scratch space of twice that size.
    """

    sides: Callable[[Array, float, type[np.floating]], Sides] = centred_features
    combine: Callable[[Floats, Floats, Floats, Floats], None] = scalar_products
    scale: float = 1.0  # a factor that is cheaper to apply to the totals


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class Distance:
    """A distance with the labels and temperatures that it needs; made by `geometry.distance`."""

    name: str  # as in configs, tables and JSON
    title: str  # for headings
    formula: str = ""  # one item's part of D, with f̃ = f − mean_c f and p = softmax(f)
    blind_to: str = ""  # what it cannot see
    unit: str = ""  # unit and range

    euclidean: bool = False  # √D is the Euclidean distance between per-item features
    over_items: bool = True  # D is a mean over items
    sees_shift: bool = False  # one number added to all logits of an item changes D
    errors_only: bool = False  # D is a mean over the items that both get wrong; needs labels
    matched: bool = False  # vectors are divided by each member's temperature
    labels: NDArray[Any] | None = None  # [N], once bound
    temperature: NDArray[Any] | None = None  # [S], once bound

    vector: Callable[[Floats], Array]  # makes vectors, a new array, from logits [S, n, C]
    by_item: Callable[[Array, Array], Array] = squared_differences
    divisor: float = 1.0
    of_logits: bool = False  # vectors are logits, at most centred or divided by T; the divisor is C
    width: int | None = None  # K, where it limits in how many dimensions members may differ
    # Features only: `vector` along any axis of float64 logits, which it may overwrite.
    features_along: Callable[[Array, int], Array] | None = None
    kernel: Kernel = Kernel()  # for many weightings of the items
    # The whole matrix comes from the Gram pass that distances share; or from a pass of its own over
    # logits [S, N, C] and weights [N] or None; or, with neither, from differences item by item.
    gram: Gram | None = None
    alone: "Callable[[Floats, Distance, Floats | None, Report], Array] | None" = None
    effort: int = 1  # of the matrix, in matrix products of all logits with themselves
    # Of a user's function, whose kind only a call reveals: returns the distance of that kind.
    adapt: "Callable[[Floats], Distance] | None" = None

    def __repr__(self) -> str:
        return f"Distance({self.name!r})"

    @classmethod
    def of_features(
        cls, *, name: str, features: Callable[[Array, int], Array], **rest: Any
    ) -> "Distance":
        """Return D_ij = mean_n ‖φ_in − φ_jn‖² / divisor, φ computed by `features` along an axis."""
        return cls(
            name=name,
            euclidean=True,
            vector=lambda logits: features(logits.astype(np.float64), -1),
            features_along=features,
            **{"gram": Gram.of(name), **rest},
        )

    def on(self, logits: Floats) -> "Distance":
        """Return the distance for these logits, having checked labels and temperatures for them."""
        members, items, classes = logits.shape
        adapted = self if self.adapt is None else self.adapt(logits)
        labels = temperature = None
        if adapted.errors_only:
            labels = check_labels(self.labels, self.name, items, classes)
        if adapted.matched:
            temperature = check_temperature(self.temperature, members, self.name)
        return replace(adapted, labels=labels, temperature=temperature)

    def of_members(self, chosen: NDArray[np.intp] | slice) -> "Distance":
        """Return the distance between some of the members only."""
        temperature = None if self.temperature is None else self.temperature[chosen]
        return replace(self, temperature=temperature)

    def of_items(self, chosen: NDArray[Any] | slice) -> "Distance":
        """Return the distance on some of the items only."""
        return replace(self, labels=None if self.labels is None else self.labels[chosen])

    def scale(self, classes: int) -> float:
        """Return the divisor of Σ_k of squared differences of vectors."""
        return float(classes) if self.of_logits else self.divisor

    def degrees(self, classes: int) -> int:
        """Return the largest number of dimensions in which members can differ on one item."""
        if self.width is not None:
            return min(classes, self.width)
        return classes if self.sees_shift else classes - 1

    def vectors(self, logits: Floats, items: slice = slice(None)) -> Array:
        """Return the vectors of a block of items, without checks: [S, N, C] -> a new [S, n, K].

        Those of features are the features times √`scale`: dividing large logits would round them.
        """
        x = self.vector(logits[:, items])
        if self.temperature is not None:
            x /= self.temperature[:, None, None]
        if self.labels is not None:  # one-hot predictions, zeros where they are correct
            x *= 1 - np.take_along_axis(x, self.labels[None, items, None], axis=-1)
        return x

    def features(self, logits: Floats, items: slice = slice(None)) -> Array:
        """Return the features of a block of items, without checks; see `geometry.features`."""
        phi = self.vectors(logits, items)
        phi /= np.sqrt(self.scale(logits.shape[-1]))
        return phi

    def between(self, x: Array, member: int, others: slice | NDArray[np.bool_]) -> Array:
        """Return each item's distance from a member to others: vectors [S, n, K] -> [others, n]."""
        distances = self.by_item(x[others], x[member])
        distances /= self.scale(x.shape[-1])
        return distances

    def total_of_pairs(
        self, pairs: NDArray[np.bool_], logits: Floats, weights: Floats | None
    ) -> Array:
        """Return Σ_n w_n d_nij of the marked pairs [S, S], from differences of vectors."""
        totals = np.zeros(pairs.shape)
        for block in item_blocks(*logits.shape):
            x = self.vectors(logits, block)
            weight = np.ones(x.shape[1]) if weights is None else weights[block]
            for i in np.flatnonzero(pairs.any(axis=1)).tolist():
                totals[i, pairs[i]] += self.between(x, i, pairs[i]) @ weight
        marked: Array = totals[pairs]
        return marked

    def no_common_errors(self, i: int, j: int, where: str) -> UserError:
        """Return the UserError for two members without an error in common."""
        return UserError(
            f"{self.name} is not defined for members {i} and {j}: there is no item that both get "
            f"wrong{where}; leave one of them out, or use disagreement"
        )
