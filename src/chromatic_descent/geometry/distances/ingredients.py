"""Ingredients, which the Gram pass computes once per block for all the distances that use them.

Each maker fills the arrays in `made`, [r, C, n] for r members, one for each ingredient needed.
Items are contiguous, which makes operations along the classes several times faster. An ingredient
of any other name is the features of the distance of that name.
"""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from chromatic_descent.geometry.checks import Array, Floats

Made: TypeAlias = Mapping[str, NDArray[Any]]

_NO_DIRECTION = 1e-14  # centred logits below this share of the logits are round-off

PER_ITEM = frozenset({"shift", "common_errors"})  # [r, n], without an axis of classes
# Zeros and ones, whose products are whole numbers.
COUNTED = frozenset({"predicted", "wrongly_predicted", "common_errors"})


def root_softmax(f: Array, axis: int = -1) -> Array:
    """Turn logits into √softmax along `axis`, in place: exp(f/2) over its norm cannot overflow."""
    f -= f.max(axis=axis, keepdims=True)
    f *= 0.5
    np.exp(f, out=f)
    f /= _norm(f, axis)
    return f


def directions(f: Array, axis: int = -1) -> Array:
    """Turn logits into f̃ / ‖f̃‖ along `axis`, in place; into zeros where all classes are equal."""
    largest = np.abs(f).max(axis=axis, keepdims=True)
    f -= f.mean(axis=axis, keepdims=True)
    norm = _norm(f, axis)
    norm[norm <= _NO_DIRECTION * largest] = np.inf
    f /= norm
    return f


def centred(f: Array, axis: int = -1) -> Array:
    """Turn logits into f̃ = f − mean_c f along `axis`, in place."""
    f -= f.mean(axis=axis, keepdims=True)
    return f


def one_hot(logits: Floats) -> Array:
    """Return the most probable class of logits [..., C] as one-hot; of equal logits, the first."""
    hot = np.zeros(logits.shape)
    np.put_along_axis(hot, logits.argmax(axis=-1)[..., None], 1.0, axis=-1)
    return hot


def _norm(f: Array, axis: int) -> Array:
    moved = np.moveaxis(f, axis, -1)
    return np.expand_dims(np.sqrt(np.einsum("...c,...c->...", moved, moved)), axis)


def _raw(made: Made, turned: Floats, labels: NDArray[np.intp] | None) -> None:
    made["raw"][:] = turned


def _centred_and_shift(made: Made, turned: Floats, labels: NDArray[np.intp] | None) -> None:
    f = made["centred"]
    f[:] = turned
    shift = f.mean(axis=1)
    f -= shift[:, None]
    if "shift" in made:
        made["shift"][:] = shift


def _roots_and_probabilities(made: Made, turned: Floats, labels: NDArray[np.intp] | None) -> None:
    root = made["root" if "root" in made else "probability"]
    root[:] = turned
    root_softmax(root, axis=1)
    if "probability" in made:
        np.square(root, out=made["probability"])


def _predictions(made: Made, turned: Floats, labels: NDArray[np.intp] | None) -> None:
    """Fill in all predictions, or only the wrong ones and a 1 for each of them."""
    predicted = turned.transpose(0, 2, 1).argmax(axis=-1)  # [r, n]
    counted = np.ones(predicted.shape, np.float32)
    if "wrongly_predicted" in made:
        counted *= predicted != labels
        made["common_errors"][:] = counted
    hot = made["wrongly_predicted" if "wrongly_predicted" in made else "predicted"]
    hot[:] = 0
    np.put_along_axis(hot, predicted[:, None], counted[:, None], axis=1)


Maker: TypeAlias = Callable[[Made, Floats, NDArray[np.intp] | None], None]
MAKERS: dict[frozenset[str], Maker] = {
    frozenset({"raw"}): _raw,
    frozenset({"centred", "shift"}): _centred_and_shift,
    frozenset({"root", "probability"}): _roots_and_probabilities,
    frozenset({"predicted", "wrongly_predicted", "common_errors"}): _predictions,
}
