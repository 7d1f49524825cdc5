"""Properties of each member that might explain its position on the map.

Each is a mean over probe items, computed once per item and then averaged over any subset of items,
so halves of a probe cost little more than the whole.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeAlias, TypedDict

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chromatic_descent.errors import UserError
from chromatic_descent.geometry.checks import Array, Floats, Logits, check_labelled

if TYPE_CHECKING:
    import pandas as pd

Recipe: TypeAlias = "Mapping[str, ArrayLike] | pd.DataFrame | None"

_SURENESS = ("temperature", "confidence", "entropy")
_RESERVED = (*_SURENESS, "sureness", "accuracy", "class accuracy", "class bias", "confusion")


class Candidates(TypedDict, total=False):
    """The options of `member_drivers`."""

    temperature: ArrayLike | None
    recipe: Recipe
    confusion_modes: int


def member_drivers(
    logits: Logits,
    labels: ArrayLike,
    *,
    temperature: ArrayLike | None = None,
    recipe: Recipe = None,
    confusion_modes: int = 2,
) -> "pd.DataFrame":
    """Return properties that could determine a member's position, with one row per member.

    With p = softmax(f), f̃ = f − mean_c f, ŷ the most probable class and y the label:

        temperature        T_i as given
        confidence         mean_n max_c p_inc
        entropy            mean_n −Σ_c p_inc log p_inc, nats
        accuracy           mean_n [ŷ_in = y_n]
        class accuracy: c  the same over the items of class c
        class bias: c      mean_n f̃_inc, logits
        confusion: k       score on the k-th principal component, over members, of the matrices
                           K_i[c, c'] = share of class c's items that member i calls c'
        name               a recipe factor: a number as it is
        name: value        a factor that is not a number: 1 for members with that value, otherwise 0

    Rows of confusion matrices have equal weight, whatever the number of items in a class. A
    component has no sign: its largest entry is made positive.

    Args:
        logits: [S, N, C], or the path of a .npy or .npz file.
        labels: [N], whole numbers from 0 to C − 1; drivers of a class without items are omitted.
        temperature: [S], the members' fitted temperatures; omitted if not given.
        recipe: what varied between members, name -> [S] values.
        confusion_modes: number of components, at most S − 1.

    Raises:
        UserError: logits, labels, temperature or recipe of another shape or out of range.

    >>> logits = np.array([[[2.0, 0.0], [0.0, 2.0]], [[2.0, 0.0], [2.0, 0.0]]])
    >>> table = member_drivers(logits, [0, 1], recipe={"optimiser": ["adam", "sgd"]})
    >>> table[["accuracy", "class accuracy: 1", "class bias: 0", "optimiser: sgd"]]
       accuracy  class accuracy: 1  class bias: 0  optimiser: sgd
    0       1.0                1.0            0.0             0.0
    1       0.5                0.0            1.0             1.0
    """
    import pandas as pd

    array, y, fitted = check_labelled(logits, labels, temperature, "member_drivers")
    mask = np.ones((1, len(y)), dtype=bool)
    drivers = subset_drivers(array, y, mask, temperature=fitted, confusion_modes=confusion_modes)
    columns = {name: values[0] for name, values in drivers.items()}
    if fitted is not None:
        columns["temperature"] = fitted  # as given, not as `subset_drivers` refits it
    return pd.DataFrame(columns | recipe_columns(recipe, len(array))).dropna(axis=1)


def subset_drivers(
    logits: Floats,
    labels: NDArray[np.intp],
    masks: NDArray[np.bool_],
    *,
    temperature: Array | None,
    confusion_modes: int,
) -> dict[str, Array]:
    """Return the drivers of `member_drivers`, without the recipe, for subsets of items [H, N].

    Each is [H, S], NaN for a class without items in that subset. The temperature of a subset is one
    Newton step from the temperature T of all items, for the subset's NLL as a function of β = 1/T:

        β_h = β − NLL_h'(β) / NLL_h''(β), within a factor of 2 of β

    Its error is of second order in the small difference.
    """
    members, items, classes = logits.shape
    weight = masks.astype(np.float64)
    weight /= weight.sum(axis=1, keepdims=True)  # [H, N]
    means = np.empty((3, len(masks), members))
    bias = np.empty((len(masks), members, classes))
    predicted = np.empty((members, items), dtype=np.intp)
    newton = np.empty((members, 2, len(masks)))
    for i, member in enumerate(logits):
        f = member.astype(np.float64)  # [N, C]
        f -= f.max(axis=1, keepdims=True)
        if temperature is not None:
            slope, curvature = _nll_derivatives(f, labels, 1 / temperature[i])
            newton[i] = weight @ slope, weight @ curvature
        predicted[i] = f.argmax(axis=1)
        p = np.exp(f)
        total = p.sum(axis=1, keepdims=True)
        p /= total
        entropy = np.log(total[:, 0]) - np.einsum("nc,nc->n", p, f)
        by_item = p.max(axis=1), entropy, predicted[i] == labels
        means[:, :, i] = [weight @ values for values in by_item]
        f -= f.mean(axis=1, keepdims=True)
        bias[:, i] = weight @ f

    columns: dict[str, Array] = {}
    if temperature is not None:
        beta = 1 / temperature[:, None]
        slope, curvature = newton[:, 0], newton[:, 1]  # [S, H]
        step = np.divide(slope, curvature, out=np.zeros_like(slope), where=curvature > 0)
        columns["temperature"] = (1 / np.clip(beta - step, beta / 2, 2 * beta)).T
    columns |= zip(("confidence", "entropy", "accuracy"), means, strict=True)

    correct = np.empty((len(masks), members, classes))
    modes = np.empty((len(masks), members, min(confusion_modes, members - 1)))
    for h, mask in enumerate(masks):
        confusion = confusion_matrices(predicted[:, mask], labels[mask], classes)
        correct[h] = np.diagonal(confusion, axis1=1, axis2=2)
        modes[h] = confusion_modes_of(confusion, modes.shape[2])[1]
    families = ("class accuracy", correct, 0), ("class bias", bias, 0), ("confusion", modes, 1)
    for name, values, first in families:
        columns |= {f"{name}: {first + k}": values[:, :, k] for k in range(values.shape[2])}
    return columns


def group_of(driver: str) -> str:
    """Return a driver's group: its name up to any colon, or "sureness" for `_SURENESS`."""
    return "sureness" if driver in _SURENESS else driver.partition(":")[0]


def recipe_columns(recipe: Recipe, members: int) -> dict[str, Array]:
    """Return recipe factors as columns of numbers [S], or raise UserError if they are not [S]."""
    columns = {}
    for name in recipe if recipe is not None else ():
        if name in _RESERVED:
            raise UserError(f"recipe factor {name!r} has the name of a driver: rename it")
        values = np.asarray(recipe[name])  # type: ignore[index]
        if values.shape != (members,):
            raise UserError(
                f"recipe factor {name!r} must have {members} values, one per member; found shape "
                f"{list(values.shape)}"
            )
        if values.dtype.kind in "biuf":
            if not np.isfinite(values).all():
                raise UserError(
                    f"recipe factor {name!r} must be finite; name missing values, such as 'none'"
                )
            columns[str(name)] = values.astype(np.float64)
            continue
        texts = values.astype(str)
        for level in sorted(set(texts.tolist())):
            columns[f"{name}: {level}"] = (texts == level).astype(np.float64)
    return columns


def _nll_derivatives(f: Array, labels: NDArray[np.intp], beta: float) -> tuple[Array, Array]:
    """Return d/dβ and d²/dβ² of each item's NLL at softmax(βf): E f − f_y and Var f."""
    p = np.exp(beta * f)
    p /= p.sum(axis=1, keepdims=True)
    first = np.einsum("nc,nc->n", p, f)
    second = np.einsum("nc,nc,nc->n", p, f, f)
    return first - f[np.arange(len(f)), labels], second - first**2


def confusion_matrices(
    predicted: NDArray[np.intp], labels: NDArray[np.intp], classes: int
) -> Array:
    """Return the K_i of `member_drivers`, rows summing to 1 or NaN: [S, N] -> [S, C, C]."""
    members = len(predicted)
    cell = labels * classes + predicted + classes**2 * np.arange(members)[:, None]  # [S, N]
    counts = np.bincount(cell.ravel(), minlength=members * classes**2)
    counts = counts.reshape(members, classes, classes).astype(np.float64)
    total, empty = counts.sum(axis=-1, keepdims=True), np.full_like(counts, np.nan)
    confusion: Array = np.divide(counts, total, out=empty, where=total > 0)
    return confusion


def confusion_modes_of(matrices: Array, modes: int) -> tuple[Array, Array]:
    """Return the leading principal components of the members' confusion matrices, and scores.

    [S, C, C] -> [k, C, C], each of norm 1 with its largest entry positive, and [S, k].
    """
    members, classes, _ = matrices.shape
    flat = np.nan_to_num(matrices.reshape(members, -1))  # in an empty class all members are equal
    flat -= flat.mean(axis=0)
    wide = len(flat) <= flat.shape[1]  # decompose the smaller of the two Gram matrices
    _, vectors = np.linalg.eigh(flat @ flat.T if wide else flat.T @ flat)
    vectors = vectors[:, ::-1][:, :modes]
    directions = flat.T @ vectors if wide else vectors  # [C², k], of any length
    norms = np.linalg.norm(directions, axis=0)
    directions /= np.where(norms > 0, norms, 1)
    leaders = np.abs(directions).argmax(axis=0)
    directions *= np.where(directions[leaders, range(directions.shape[1])] < 0, -1.0, 1.0)
    scores = np.zeros((members, modes))
    scores[:, : directions.shape[1]] = flat @ directions
    return directions.T.reshape(-1, classes, classes), scores
