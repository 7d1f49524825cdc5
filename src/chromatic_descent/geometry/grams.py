"""Distances that are matrix products, any number of them in one pass over the probe items.

A Gram matrix G_ij = Σ_n w_n φ_in·φ_jn gives the distances G_ii + G_jj − 2 G_ij, up to a divisor.
The mean over members is taken out of the features first: no distance sees it, and an offset that
all members share would cost digits. Distances share what they can:

- The Gram matrix of centred logits serves three: raw logits add that of the shifts m times C, and
  temperatures T divide it by T_i T_j (with terms for the mean, see `_matched`).
- One softmax serves Hellinger, probabilities and the symmetric KL, which is a product of p and f̃.
- Wrong answers and right ones are two products, and give both disagreements.

Each total is one triangle, accumulated by the BLAS in place: float64, or, for counts of answers,
float32, which is exact up to 2²⁴.
"""

from collections.abc import Callable, Collection

import numpy as np
from numpy.typing import NDArray
from scipy.linalg.blas import dsyr2k, dsyrk, ssyrk

from chromatic_descent.geometry.definitions import (
    directions,
    divisor,
    form,
    item_distances,
    root_softmax,
)
from chromatic_descent.geometry.items import no_common_errors
from chromatic_descent.geometry.logits import item_blocks

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
    for block in item_blocks(*logits.shape):
        sums.add(
            logits[:, block],
            None if labels is None else labels[block],
            None if weights is None else np.sqrt(weights[block], dtype=np.float64),
        )
        report(block.stop / logits.shape[1])

    finished: dict[str, Array] = {}
    close: dict[str, NDArray[np.bool_]] = {}
    for name in sorted(names, key=_ORDER.index):
        squared, scale = sums.finish(name, names, temperature)
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
        if any(name.startswith("logit_mse") for name in names):
            kept.add("centred")
        if "logit_mse" in names:
            kept.add("shift")
        if "error_disagreement" in names:  # then right and wrong answers are told apart
            kept = kept - {"disagreement"} | {"common_errors"}
        counts = {"disagreement", "error_disagreement", "common_errors"}
        self.grams: dict[str, NDArray[np.floating]] = {
            name: np.zeros(
                (members, members),
                order="F",  # as the BLAS has it, which then adds in place
                dtype=np.float32 if self.exact and name in counts else np.float64,
            )
            for name in kept
        }
        self.along_mean = np.zeros(members)  # φ_i·μ, μ the mean of centred logits
        self.mean_square = 0.0  # ‖μ‖²
        self.p_square, self.f_square = np.zeros(members), np.zeros(members)  # of kl_symmetric
        self.weight = 0.0

    def add(
        self,
        logits: NDArray[np.floating],
        labels: NDArray[np.intp] | None,
        root_weight: Array | None,
    ) -> None:
        """Add the block [S, n, C] to every total; `root_weight` is √w [n]."""
        grams = self.grams

        def weighed(x: Array) -> Array:
            """Take out the mean over members; weigh: [S, n, K] -> [S, n·K]."""
            x -= x.mean(axis=0)
            if root_weight is not None:
                x *= root_weight[:, None]
            return x.reshape(len(x), -1)

        p = None
        if not {"hellinger", "prob_l2", "kl_symmetric"}.isdisjoint(grams):
            root = root_softmax(logits.astype(np.float64))
            if "prob_l2" in grams or "kl_symmetric" in grams:
                p = weighed(np.square(root))
                if "prob_l2" in grams:
                    self._add("prob_l2", p)
            if "hellinger" in grams:
                self._add("hellinger", weighed(root))
            del root
        if "logit_cosine" in grams:
            self._add("logit_cosine", weighed(directions(logits.astype(np.float64))))
        if "centred" in grams or p is not None:
            f = logits.astype(np.float64)
            mean = f.mean(axis=0)  # [n, C]
            f -= mean
            shift = f.mean(axis=-1, keepdims=True)  # [S, n, 1]
            f -= shift
            phi = weighed(f)
            if "centred" in grams:
                self._add("centred", phi)
                mean -= mean.mean(axis=-1, keepdims=True)
                if root_weight is not None:
                    mean *= root_weight[:, None]
                self.along_mean += phi @ mean.ravel()
                self.mean_square += float(mean.ravel() @ mean.ravel())
            if "shift" in grams:
                self._add("shift", weighed(shift))
            if "kl_symmetric" in grams and p is not None:
                grams["kl_symmetric"] = dsyr2k(  # ½ (p f̃ᵀ + f̃ pᵀ)
                    0.5, p.T, phi.T, beta=1.0, c=grams["kl_symmetric"], trans=1, overwrite_c=1
                )
                self.p_square += np.einsum("ij,ij->i", p, p)
                self.f_square += np.einsum("ij,ij->i", phi, phi)
            del f, phi, p
        if "disagreement" in grams or "error_disagreement" in grams:
            self._add_answers(logits, labels, root_weight)

    def _add_answers(
        self,
        logits: NDArray[np.floating],
        labels: NDArray[np.intp] | None,
        root_weight: Array | None,
    ) -> None:
        members, items, classes = logits.shape
        answers = logits.argmax(axis=-1)
        hot = np.zeros(logits.shape, np.float32 if self.exact else np.float64)
        shown: NDArray[np.floating] = np.ones(items) if root_weight is None else root_weight
        self.weight += float(shown @ shown)
        shown = np.broadcast_to(shown.astype(hot.dtype), (members, items))
        if "error_disagreement" in self.grams:
            shown = shown * (answers != labels)
            self._add("common_errors", shown)
        np.put_along_axis(hot, answers[..., None], shown[..., None], axis=-1)
        name = "error_disagreement" if "error_disagreement" in self.grams else "disagreement"
        self._add(name, hot.reshape(members, -1))

    def _add(self, name: str, x: NDArray[np.floating]) -> None:
        add = ssyrk if x.dtype == np.float32 else dsyrk
        self.grams[name] = add(1.0, x.T, beta=1.0, c=self.grams[name], trans=1, overwrite_c=1)

    def finish(
        self, name: str, names: Collection[str], temperature: NDArray[np.float64] | None
    ) -> tuple[Array, Array | None]:
        """Return Σ_n w_n of the squared differences (upper triangle), and the scale of its error.

        The scale is None where there is no error: whole numbers in float32.
        """
        grams = self.grams
        if name in ("disagreement", "error_disagreement"):
            return self._differing(name)
        if name == "logit_mse_matched" and temperature is not None:
            return self._matched(grams["centred"], 1 / temperature)
        if name == "logit_mse":
            gram = grams.pop("shift")
            gram *= self.classes
            gram += grams["centred"]
        else:
            gram = grams.pop("centred" if name == "logit_mse_centred" else name)
        if name == "kl_symmetric":
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

    def _matched(self, gram: NDArray[np.floating], cool: Array) -> tuple[Array, Array]:
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
        told_apart = "error_disagreement" in self.grams
        agreed = self.grams["error_disagreement" if told_apart else name].astype(np.float64)
        if name == "error_disagreement":
            squared = self.grams["common_errors"] - agreed
        else:
            if told_apart:  # so far the items that both get wrong alike: add those both get right
                common = self.grams["common_errors"]
                errors = common.diagonal().astype(np.float64)
                agreed += self.weight - errors[:, None] - errors + common
            squared = 2 * (self.weight - agreed)
        return squared, None if self.exact else np.full_like(squared, 2 * self.weight)

    def common_errors(self) -> Array:
        """Return the weight of items that both members get wrong, or raise UserError at a 0."""
        common = self.grams["common_errors"].astype(np.float64)
        none = np.argwhere(np.triu(common == 0, k=1))
        if len(none):
            i, j = none[0].tolist()
            raise no_common_errors(i, j, f" (so for {len(none)} pairs in all)")
        _mirror(common)
        np.fill_diagonal(common, 1.0)
        return common


def _mirror(matrix: Array) -> None:
    """Copy the upper triangle onto the lower, in place, and zeros onto the diagonal."""
    for i in range(len(matrix)):
        matrix[i:, i] = matrix[i, i:]
    np.fill_diagonal(matrix, 0.0)
