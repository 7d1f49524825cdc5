"""What the functions of this package take: logits [S, N, C] in memory or on disk, and what goes
with them.

Everything is checked where it comes in, once, with a message that names what is wrong.
"""

import os
from collections.abc import Iterator
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chromatic_descent.errors import UserError
from chromatic_descent.files.arrays import read_array

Logits: TypeAlias = ArrayLike | os.PathLike[str]  # a str, too, is the path of a file

# Items are worked on in blocks: of about this many float64 values when members are few (2 MiB,
# which stays in the cache) ...
BLOCK = 2**18
# ... and when they are many, of so many values a member that a matrix product costs more than
# adding its result to the [S, S] total.
COLUMNS = 2**10

LARGEST = 1e100  # no float32 logit comes near


def check_logits(logits: Logits) -> NDArray[np.floating]:
    """Return `logits` as an array, or raise UserError unless it is finite [S>=2, N>=1, C>=2].

    A path is opened: a `.npy` file is memory-mapped, so that it may be larger than memory; of an
    `.npz` file the array `logits` is read. Nothing is ever unpickled.

    Args:
        logits: [S, N, C] of any real type, or the path of a `.npy` or `.npz` file that holds it.

    Returns:
        [S, N, C], of the floating type it had (whole numbers become float64); not copied.

    Raises:
        UserError: no such file, or none that can be read; another shape; not real, not finite.

    >>> import numpy as np
    >>> check_logits(np.zeros((2, 3, 4), dtype=np.float32)).dtype
    dtype('float32')
    """
    where = ""
    if isinstance(logits, (str, os.PathLike)):
        where = f" in '{os.fspath(logits)}'"
        logits = read_array(logits, "logits")
    array = np.asarray(logits)  # no copy: what is on disk stays there
    if array.dtype.kind in "iu":
        array = array.astype(np.float64)
    if array.dtype.kind != "f":
        raise UserError(f"logits must be real numbers; found dtype {array.dtype}{where}")
    if array.ndim != 3 or array.shape[0] < 2 or array.shape[1] < 1 or array.shape[2] < 2:
        raise UserError(
            "logits must have shape [S, N, C] with at least 2 members, 1 probe item and 2 classes; "
            f"found shape {list(array.shape)}{where}"
        )
    for member, values in enumerate(array):  # one member at a time, to keep memory bounded
        bad = int(values.size - np.count_nonzero(np.isfinite(values)))
        if bad:
            raise UserError(
                f"logits must be finite; found {bad} of {values.size} values of member {member}"
                f"{where} to be NaN or infinite: leave that member out, or train it again"
            )
        if array.dtype.itemsize > 4 and np.abs(values).max() > LARGEST:
            raise UserError(
                f"logits must not exceed {LARGEST:g}, lest their squares overflow; found "
                f"{np.abs(values).max():g} in member {member}{where}"
            )
    checked: NDArray[np.floating] = array
    return checked


def check_labels(labels: ArrayLike | None, name: str, items: int, classes: int) -> NDArray[np.intp]:
    """Return `labels` as an array, or raise UserError unless it is [N] of 0 to C − 1.

    `name` says what needs them, should they be missing.
    """
    if labels is None:
        raise UserError(f"{name} needs `labels`, the true class of each of the {items} probe items")
    array = np.asarray(labels)
    if array.shape != (items,) or array.dtype.kind not in "iu":
        raise UserError(
            f"labels must be {items} whole numbers, one per probe item; found shape "
            f"{list(array.shape)} of dtype {array.dtype}"
        )
    if array.min() < 0 or array.max() >= classes:
        raise UserError(
            f"labels must be from 0 to {classes - 1}, as there are {classes} classes; found "
            f"{array.min()} to {array.max()}"
        )
    return array.astype(np.intp)


def check_temperature(temperature: ArrayLike | None, members: int) -> NDArray[np.float64]:
    """Return `temperature` as an array, or raise UserError unless it is [S], positive."""
    if temperature is None:
        raise UserError(
            "logit_mse_matched needs `temperature`, one per member: fit it with "
            "chromatic_descent.ensemble.fit_temperature(logits, labels)"
        )
    array = np.asarray(temperature, dtype=np.float64)
    if array.shape != (members,) or not (np.isfinite(array) & (array > 0)).all():
        raise UserError(
            f"temperature must be {members} positive finite numbers, one per member; found shape "
            f"{list(array.shape)} with values {array.tolist()}"
        )
    return array


def check_weights(weights: ArrayLike, shape: tuple[int | None, ...]) -> NDArray[np.floating]:
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


def item_blocks(members: int, items: int, classes: int) -> Iterator[slice]:
    """Slices over items, each of which is worked on as one [S, n, C]."""
    step = max(1, max(BLOCK // members, COLUMNS) // classes)
    return (slice(start, min(start + step, items)) for start in range(0, items, step))
