"""Checks of inputs, each made once, where the input enters, with a message that names the problem.

In messages, `name` is the function or distance that needs an argument that is missing.
"""

import os
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chromatic_descent.errors import UserError
from chromatic_descent.files.arrays import read_array

Array: TypeAlias = NDArray[np.float64]
Floats: TypeAlias = NDArray[np.floating]
Logits: TypeAlias = ArrayLike | os.PathLike[str]  # a str is a path as well

LARGEST = 1e100  # beyond any float32


def check_logits(logits: Logits, members: int = 2) -> Floats:
    """Return `logits` as an array, or raise UserError unless it is finite [S, N>=1, C>=2].

    A `.npy` file is memory-mapped, so it may be larger than memory; from an `.npz` file the array
    `logits` is read. Nothing is ever unpickled. Floats keep their type; integers become float64.

    Args:
        logits: [S, N, C] of any real type, or the path of a `.npy` or `.npz` file that holds it.
        members: the smallest S.

    Raises:
        UserError: a missing or unreadable file; the wrong shape; values not real or not finite.

    >>> check_logits(np.zeros((2, 3, 4), dtype=np.float32)).dtype
    dtype('float32')
    """
    where = ""
    if isinstance(logits, (str, os.PathLike)):
        where = f" in '{os.fspath(logits)}'"
        logits = read_array(logits, "logits")
    array = np.asarray(logits)  # no copy: a memory map stays on disk
    if array.dtype.kind in "iu":
        array = array.astype(np.float64)
    if array.dtype.kind != "f":
        raise UserError(f"logits must be real numbers; found dtype {array.dtype}{where}")
    if array.ndim != 3 or array.shape[0] < members or array.shape[1] < 1 or array.shape[2] < 2:
        raise UserError(
            f"logits must have shape [S, N, C] with at least {members} member"
            f"{'s' * (members > 1)}, 1 probe item and 2 classes; found shape "
            f"{list(array.shape)}{where}"
        )
    for member, values in enumerate(array):  # one member at a time, to keep memory bounded
        bad = int(values.size - np.count_nonzero(np.isfinite(values)))
        if bad:
            raise UserError(
                f"logits must be finite; {bad} of {values.size} values of member {member}{where} "
                "are NaN or infinite: leave that member out, or train it again"
            )
        if array.dtype.itemsize > 4 and (largest := np.abs(values).max()) > LARGEST:
            raise UserError(
                f"logits must not exceed {LARGEST:g}, so that their squares do not overflow; found "
                f"{largest:g} in member {member}{where}"
            )
    checked: Floats = array
    return checked


def check_labels(
    labels: ArrayLike | None, name: str, items: int, classes: int | None
) -> NDArray[np.intp]:
    """Return `labels`, checked to be [N] of 0 to C − 1, or of any integers without `classes`."""
    if labels is None:
        raise UserError(f"{name} needs `labels`, the true class of each of the {items} probe items")
    array = np.asarray(labels)
    if array.shape != (items,) or array.dtype.kind not in "iu":
        raise UserError(
            f"labels must be {items} whole numbers, one per probe item; found shape "
            f"{list(array.shape)} of dtype {array.dtype}"
        )
    if classes is not None and (array.min() < 0 or array.max() >= classes):
        raise UserError(
            f"labels must be from 0 to {classes - 1}, as there are {classes} classes; found "
            f"{array.min()} to {array.max()}"
        )
    return array.astype(np.intp)


def check_temperature(temperature: ArrayLike | None, members: int, name: str = "this") -> Array:
    """Return `temperature` as an array, or raise UserError unless it is [S], positive."""
    if temperature is None:
        raise UserError(
            f"{name} needs `temperature`, one per member: fit it with "
            "chromatic_descent.ensemble.fit_temperature(logits, labels)"
        )
    array = np.asarray(temperature, dtype=np.float64)
    if array.shape != (members,) or not (np.isfinite(array) & (array > 0)).all():
        raise UserError(
            f"temperature must be {members} positive finite numbers, one per member; found shape "
            f"{list(array.shape)} with values {array.tolist()}"
        )
    return array


def check_weights(weights: ArrayLike, shape: tuple[int | None, ...]) -> Floats:
    """Return item weights as floats, or raise UserError unless they are [N] or [B, N] and >= 0."""
    array = np.asarray(weights)
    if array.dtype.kind in "biu":
        array = array.astype(np.float64)
    if array.dtype.kind != "f":
        raise UserError(f"weights must be real numbers; found dtype {array.dtype}")
    if array.ndim != len(shape) or array.shape[-1] != shape[-1]:
        raise UserError(
            f"weights must have shape {['B', shape[-1]] if len(shape) == 2 else list(shape)}, one "
            f"per probe item; found {list(array.shape)}"
        )
    if not np.isfinite(array).all() or array.min(initial=0) < 0:
        raise UserError("weights must be finite and non-negative")
    if not array.any(axis=-1).all():
        raise UserError("weights must not all be zero")
    return array


def check_squared(squared: ArrayLike) -> Array:
    """Return `squared` as float64, or raise UserError unless it is a matrix of squared distances.

    Such a matrix is [S>=2, S], finite, symmetric to 1e-9 of its largest entry, non-negative, and
    zero on the diagonal.
    """
    array = np.asarray(squared, dtype=np.float64)
    if array.ndim != 2 or array.shape[0] != array.shape[1] or len(array) < 2:
        raise UserError(
            "squared distances must have shape [S, S] with at least 2 members; "
            f"found shape {list(array.shape)}"
        )
    if not np.isfinite(array).all():
        raise UserError("squared distances must be finite; found NaN or infinite entries")
    if array.min() < 0 or array.diagonal().any():
        raise UserError(
            "squared distances must be non-negative with zeros on the diagonal; found a smallest "
            f"entry of {array.min():g} and a diagonal of up to {abs(array.diagonal()).max():g}"
        )
    asymmetry = abs(array - array.T).max()
    if asymmetry > 1e-9 * array.max():
        raise UserError(
            f"squared distances must be symmetric; found entries that differ by {asymmetry:g}"
        )
    return array


def check_count(name: str, count: int, least: int = 1) -> None:
    """Raise UserError unless `count`, the argument `name`, is at least `least`."""
    if count < least:
        raise UserError(f"{name} must be at least {least}; found {count}")


def check_dimensions(dimensions: int, most: int) -> None:
    """Raise UserError unless 1 <= dimensions <= most."""
    if not 1 <= dimensions <= most:
        raise UserError(f"dimensions must be from 1 to {most}; found {dimensions}")


def check_apart(squared: Array, consequence: str) -> None:
    """Raise UserError, stating the `consequence`, if all members coincide."""
    if not squared.any():
        raise UserError(f"all distances are zero: the members are identical, {consequence}")


def check_labelled(
    logits: Logits, labels: ArrayLike, temperature: ArrayLike | None, name: str
) -> tuple[Floats, NDArray[np.intp], Array | None]:
    """Return logits, labels and temperatures (None if not given) that fit each other."""
    array = check_logits(logits)
    y = check_labels(labels, name, *array.shape[1:])
    return array, y, None if temperature is None else check_temperature(temperature, len(array))
