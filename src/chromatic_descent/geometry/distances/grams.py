"""Distances that are matrix products, any number of them in one pass over the probe items.

A Gram matrix G_ij = Σ_n w_n φ_in·φ_jn gives the distances G_ii + G_jj − 2 G_ij, up to a divisor.
The mean over members is taken out of the features first: no distance sees it, and an offset that
all members share would cost digits. Distances share what they can:

- The Gram matrix of centred logits serves three: raw logits add that of the shifts m times C, and
  temperatures T divide it by T_i T_j (with terms for the mean, see `_matched`).
- One softmax serves Hellinger, probabilities and the symmetric KL, which is a product of p and f̃.
- Wrong answers and right ones are two products, and give both disagreements.

Each total is kept as its upper triangle, in strips of columns, so that the cores can share all
products of a block out: float64, or, for counts of answers, float32, which is exact up to 2²⁴.
"""

from collections.abc import Callable, Collection
from concurrent.futures import Executor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chromatic_descent.geometry.batches import batches, item_blocks
from chromatic_descent.geometry.cores import one_thread_a_core
from chromatic_descent.geometry.distances.definitions import (
    directions,
    divisor,
    form,
    item_distances,
    no_common_errors,
    root_softmax,
)

Array = NDArray[np.float64]

GRAMS = (
    "logit_mse",
    "logit_mse_centred",
    "logit_mse_matched",
    "logit_cosine",
    "hellinger",
    "kl_symmetric",
    "prob_l2",
    "disagreement",
    "error_disagreement",
)

# ‖a‖² + ‖b‖² − 2a·b keeps about 1e-14 of ‖a‖² + ‖b‖²; pairs closer than this share of it, where
# fewer than eight good digits would be left, are computed from the difference itself.
_CLOSE = 1e-6

_EXACT_FLOAT32 = 2**24  # whole numbers below it are exact, and so are their sums
_CHUNK = 32  # members whose features are made at a time
_STRIPS = 8  # of a Gram matrix: more would waste less beyond the diagonal, on smaller products

_SCALARS = ("shift", "common_errors")  # one number an item, not one a class
_ANSWERS = ("disagreement", "error_disagreement", "common_errors")  # Gram matrices of 0 and 1


def gram_distances(
    logits: NDArray[np.floating],
    names: Collection[str],
    *,
    labels: NDArray[np.intp] | None,
    temperature: NDArray[np.float64] | None,
    weights: NDArray[np.floating] | None,
    report: Callable[[float], None],
) -> dict[str, Array]:
    """Return the distances `names`, all of `GRAMS`, without checks: [S, S] each.

    Args:
        logits: [S, N, C]; read block by block.
        names: of the distances.
        labels: [N], for `error_disagreement`.
        temperature: [S], for `logit_mse_matched`.
        weights: [N], or None for equal weights.
        report: told the fraction done.
    """
    sums = _Sums(logits.shape, names, whole=weights is None)
    with one_thread_a_core() as pool:
        for block in item_blocks(*logits.shape):
            sums.add(
                logits[:, block],
                None if labels is None else labels[block],
                None if weights is None else weights[block],
                pool,
            )
            report(block.stop / logits.shape[1])

    finished: dict[str, Array] = {}
    close: dict[str, NDArray[np.bool_]] = {}
    for name in sorted(names, key=_ORDER.index):
        squared, scale = sums.finish(name, temperature)
        if scale is not None:
            near = np.triu(squared <= _CLOSE * scale, k=1)
            if near.any():
                close[name] = near
        finished[name] = squared
    if close:
        # Taking out the mean does not help two members that agree among others that do not: they
        # still cancel. Those pairs, few as a rule, are done again without the Gram matrix.
        exact = {name: np.zeros((len(logits), len(logits))) for name in close}
        for block in item_blocks(*logits.shape):
            weight = np.ones(block.stop - block.start) if weights is None else weights[block]
            for name, near in close.items():
                x = form(
                    logits[:, block],
                    name,
                    labels=None if labels is None else labels[block],
                    temperature=temperature,
                )
                for i in np.flatnonzero(near.any(axis=1)).tolist():
                    exact[name][i, near[i]] += item_distances(x, name, i, near[i]) @ weight
        for name, near in close.items():
            finished[name][near] = exact[name][near] * divisor(name, logits.shape[-1])

    total = float(logits.shape[1]) if weights is None else float(weights.sum(dtype=np.float64))
    for name, squared in finished.items():
        _mirror(squared)
        if name == "error_disagreement":
            squared /= sums.common_errors()
        else:
            squared /= divisor(name, logits.shape[-1]) * total
    return finished


# The Gram matrix of centred logits is used up by the last of the three that it serves.
_ORDER = ("logit_mse", "logit_mse_matched", "logit_mse_centred", *GRAMS[3:])


class _Sums:
    """Running totals over items: which there are follows from the distances wanted."""

    def __init__(self, shape: tuple[int, ...], names: Collection[str], *, whole: bool):
        members, items, self.classes = shape
        self.exact = whole and items < _EXACT_FLOAT32  # answers are counted, not weighed
        kept = {name for name in names if not name.startswith("logit_mse")}
        if {"logit_mse_centred", "logit_mse_matched"} & set(names):
            kept.add("centred")
        if "logit_mse" in names:
            kept |= {"centred", "shift"} if kept & {"centred", "kl_symmetric"} else {"raw"}
        if "error_disagreement" in names:  # then right and wrong answers are told apart
            kept = kept - {"disagreement"} | {"common_errors"}
        width = max(_CHUNK, -(-members // _STRIPS))
        edges = [(i, min(i + width, members)) for i in range(0, members, width)]
        self.grams: dict[str, list[NDArray[Any]]] = {  # columns i to j - 1 of rows 0 to j - 1
            name: [
                np.zeros((j, j - i), np.float32 if self.exact and name in _ANSWERS else np.float64)
                for i, j in edges
            ]
            for name in sorted(kept)
        }
        # What is made of a block, by the Gram matrix it goes into.
        self.made = kept - {"kl_symmetric"}
        if "kl_symmetric" in kept:
            self.made |= {"prob_l2", "centred"}
        self.chunks = list(batches(members, _CHUNK))
        self.along_mean = np.zeros(members)  # φ_i·μ, μ the mean of centred logits
        self.mean_square = 0.0  # ‖μ‖²
        self.p_square, self.f_square = np.zeros(members), np.zeros(members)  # of kl_symmetric
        self.weight = 0.0

    def add(
        self,
        logits: NDArray[np.floating],
        labels: NDArray[np.intp] | None,
        weights: NDArray[np.floating] | None,
        pool: Executor,
    ) -> None:
        """Add the block [S, n, C] to every total; `weights` is [n]."""
        members, items, classes = logits.shape
        made: dict[str, NDArray[Any]] = {
            name: np.empty(
                (members, items) if name in _SCALARS else (members, classes, items),
                np.float32 if self.exact and name in _ANSWERS else np.float64,
            )
            for name in sorted(self.made)
        }
        root = None if weights is None else np.sqrt(weights, dtype=np.float64)
        self.weight += items if weights is None else float(weights.sum(dtype=np.float64))
        # Chunks of members stay in the cache, and keep every core busy.
        list(pool.map(lambda rows: _make(made, rows, logits, labels), self.chunks))
        means = {name: x.mean(axis=0) for name, x in made.items() if name not in _ANSWERS}

        def weigh(rows: slice) -> None:
            for name, x in made.items():
                if name in means:
                    x[rows] -= means[name]
                if root is not None:
                    x[rows] *= root

        list(pool.map(weigh, self.chunks))

        flat = {name: x.reshape(members, -1) for name, x in made.items()}
        strips = [(len(c), name, c) for name, gram in self.grams.items() for c in gram]
        strips.sort(key=lambda strip: strip[0], reverse=True)  # the most work first

        def multiply(strip: tuple[int, str, NDArray[Any]]) -> None:
            stop, name, total = strip
            sides = [(flat[name], flat[name])] if name in flat else []
            if name == "kl_symmetric":  # p f̃ᵀ + f̃ pᵀ
                sides = [(flat["prob_l2"], flat["centred"]), (flat["centred"], flat["prob_l2"])]
            for left, right in sides:
                total += left[:stop] @ right[stop - total.shape[1] : stop].T

        list(pool.map(multiply, strips))
        if "centred" in self.grams:
            mean = means["centred"] if root is None else means["centred"] * root
            self.along_mean += flat["centred"] @ mean.ravel()
            self.mean_square += float(mean.ravel() @ mean.ravel())
        if "kl_symmetric" in self.grams:
            self.p_square += np.einsum("ij,ij->i", flat["prob_l2"], flat["prob_l2"])
            self.f_square += np.einsum("ij,ij->i", flat["centred"], flat["centred"])

    def gram(self, name: str, *, last: bool = False) -> Array:
        """Return a total as a matrix, of which only the upper triangle counts."""
        strips = self.grams.pop(name) if last else self.grams[name]
        gram = np.zeros((len(strips[-1]), len(strips[-1])))
        for strip in strips:
            stop, width = strip.shape
            gram[:stop, stop - width : stop] = strip
        return gram

    def finish(
        self, name: str, temperature: NDArray[np.float64] | None
    ) -> tuple[Array, Array | None]:
        """Return Σ_n w_n of the squared differences (upper triangle), and the scale of its error.

        The scale is None where there is no error: whole numbers in float32.
        """
        if name in ("disagreement", "error_disagreement"):
            return self._differing(name)
        if name == "logit_mse_matched" and temperature is not None:
            return self._matched(self.gram("centred"), 1 / temperature)
        if name == "logit_mse" and "raw" in self.grams:
            gram = self.gram("raw", last=True)
        elif name == "logit_mse":
            gram = self.gram("shift", last=True)
            gram *= self.classes
            gram += self.gram("centred")
        else:
            gram = self.gram("centred" if name == "logit_mse_centred" else name, last=True)
        if name == "kl_symmetric":
            gram *= 0.5
            p, f = np.sqrt(self.p_square), np.sqrt(self.f_square)
            scale = np.add.outer(p, p)
            scale *= np.add.outer(f, f)
        else:
            scale = np.add.outer(gram.diagonal(), gram.diagonal())
        norms = gram.diagonal().copy()
        gram *= -2
        gram += norms[:, None]
        gram += norms
        return gram, scale

    def _matched(self, gram: Array, cool: Array) -> tuple[Array, Array]:
        """Return the distances between (φ_i + μ)/T_i, from those of φ; `cool` is 1/T.

        With a = 1/T: ‖a_i φ_i − a_j φ_j + (a_i − a_j) μ‖², multiplied out so that equal
        temperatures leave exactly nothing of μ, which may be large.
        """
        norms = cool**2 * gram.diagonal()
        along = cool * self.along_mean
        difference = np.subtract.outer(cool, cool)
        squared = gram * (-2 * cool)
        squared *= cool[:, None]
        squared += norms[:, None]
        squared += norms
        squared += difference * (2 * np.subtract.outer(along, along))
        difference *= difference
        difference *= self.mean_square
        squared += difference
        difference += norms[:, None]  # from here on the scale
        difference += norms
        return squared, difference

    def _differing(self, name: str) -> tuple[Array, Array | None]:
        """Return the weight of items on which two members' answers differ, times the divisor."""
        told_apart = "common_errors" in self.grams
        agreed = self.gram("error_disagreement" if told_apart else name)
        if name == "error_disagreement":
            squared = self.gram("common_errors")
            squared -= agreed
        else:
            if told_apart:  # so far the items that both get wrong alike: add those both get right
                common = self.gram("common_errors")
                errors = common.diagonal().copy()
                agreed += common
                agreed += self.weight
                agreed -= errors[:, None]
                agreed -= errors
            squared = agreed
            squared -= self.weight
            squared *= -2
        return squared, None if self.exact else np.full_like(squared, 2 * self.weight)

    def common_errors(self) -> Array:
        """Return the weight of items that both members get wrong, or raise UserError at a 0."""
        common = self.gram("common_errors")
        none = np.argwhere(np.triu(common == 0, k=1))
        if len(none):
            i, j = none[0].tolist()
            raise no_common_errors(i, j, f" (so for {len(none)} pairs in all)")
        _mirror(common)
        np.fill_diagonal(common, 1.0)
        return common


def _make(
    made: dict[str, NDArray[Any]],
    rows: slice,
    logits: NDArray[np.floating],
    labels: NDArray[np.intp] | None,
) -> None:
    """Fill in what is made of some members: of `logits` [S, n, C], the rows.

    Items lie side by side, [r, C, n]: what is done along the classes is several times faster so.
    """
    turned = logits[rows].transpose(0, 2, 1)
    told_apart = "error_disagreement" in made
    if told_apart or "disagreement" in made:
        answers = logits[rows].argmax(axis=-1)  # [r, n]
        shown = np.ones(answers.shape, np.float32)
        if told_apart:
            shown = shown * (answers != labels)
            made["common_errors"][rows] = shown
        hot = made["error_disagreement" if told_apart else "disagreement"]
        hot[rows] = 0
        np.put_along_axis(hot[rows], answers[:, None], shown[:, None], axis=1)
    if "raw" in made:
        made["raw"][rows] = turned
    if "logit_cosine" in made:
        made["logit_cosine"][rows] = turned
        directions(made["logit_cosine"][rows], axis=1)
    if "centred" in made:
        f = made["centred"][rows]
        f[:] = turned
        shift = f.mean(axis=1)
        f -= shift[:, None]
        if "shift" in made:
            made["shift"][rows] = shift
    if "hellinger" in made or "prob_l2" in made:
        root = made["hellinger" if "hellinger" in made else "prob_l2"][rows]
        root[:] = turned
        root_softmax(root, axis=1)
        if "prob_l2" in made:
            np.square(root, out=made["prob_l2"][rows])


def _mirror(matrix: Array) -> None:
    """Copy the upper triangle onto the lower, in place, and zeros onto the diagonal."""
    for i in range(len(matrix)):
        matrix[i:, i] = matrix[i, i:]
    np.fill_diagonal(matrix, 0.0)
