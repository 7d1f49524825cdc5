"""All distances by name, and the way from a name to a distance checked for some logits."""

from dataclasses import replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from chromatic_descent.errors import UserError
from chromatic_descent.geometry.checks import Array, Floats, Logits, check_logits
from chromatic_descent.geometry.distances.definition import Distance
from chromatic_descent.geometry.distances.kinds import (
    cka,
    class_distances,
    divergences,
    logit_distances,
    probability_distances,
)
from chromatic_descent.geometry.distances.kinds.own import own_distance, title_of_own
from chromatic_descent.own_code import is_own

_ALL = (
    logit_distances.LOGIT_MSE,
    logit_distances.LOGIT_MSE_CENTRED,
    logit_distances.LOGIT_MSE_MATCHED,
    logit_distances.LOGIT_COSINE,
    probability_distances.HELLINGER,
    divergences.BHATTACHARYYA,
    probability_distances.KL_SYMMETRIC,
    divergences.JENSEN_SHANNON,
    probability_distances.PROB_L2,
    class_distances.DISAGREEMENT,
    class_distances.ERROR_DISAGREEMENT,
    cka.CKA,
)
_BY_NAME = {each.name: each for each in _ALL}

DISTANCES = tuple(_BY_NAME)
"""The names of all distances. The methods page has a table of them."""

EUCLIDEAN = tuple(each.name for each in _ALL if each.euclidean)
"""The distances whose square root is the Euclidean distance between per-item features."""


def distance(
    name: str | Distance, *, labels: ArrayLike | None = None, temperature: ArrayLike | None = None
) -> Distance:
    """Return a distance by its name, bound to what it needs besides logits.

    Functions that take a distance accept its name when nothing needs binding. Labels or
    temperatures that a distance does not need are ignored, so all can be bound alike; the others
    are checked when the distance is applied to logits.

    Args:
        name: one of `DISTANCES`; `module.function` of your own, see the guide to extending; or a
            distance, to bind it to other labels or temperatures.
        labels: [N], whole numbers; needed by `error_disagreement`.
        temperature: [S], dimensionless and positive; needed by `logit_mse_matched`. Fit it with
            `chromatic_descent.ensemble.fit_temperature`.

    Raises:
        UserError: unknown name, or a function that cannot be imported.

    >>> distance("logit_mse_matched", temperature=[1.0, 2.0]).title
    'logit MSE, centred, temperature-matched'
    """
    bound = name if isinstance(name, Distance) else _BY_NAME.get(name)
    if bound is None and is_own(name):
        bound = own_distance(str(name))
    if bound is None:
        raise UserError(
            f"distance must be one of {', '.join(DISTANCES)}, or module.function of your own; "
            f"found {name!r}"
        )
    if bound.errors_only and labels is not None:
        bound = replace(bound, labels=np.asarray(labels))
    if bound.matched and temperature is not None:
        bound = replace(bound, temperature=np.asarray(temperature, dtype=np.float64))
    return bound


def title_of(name: str) -> str:
    """Return the title of a distance for headings, from its name; a user's own has one too.

    >>> title_of("hellinger"), title_of("soft.two_classes")
    ('Hellinger', 'soft.two classes')
    """
    return _BY_NAME[name].title if name in _BY_NAME else title_of_own(name)


def distance_table() -> str:
    """Return the table of all distances in Markdown, for the methods page."""
    rows = [(f"`{d.name}`", d.formula, d.blind_to, d.unit) for d in _ALL]
    head = [("name", "one image's part", "blind to", "unit, range"), ("---",) * 4]
    return "\n".join(f"| {' | '.join(row)} |" for row in [*head, *rows])


def resolve(
    logits: Logits, name: str | Distance, needs: Literal["matrix", "means", "features"] = "means"
) -> tuple[Floats, Distance]:
    """Return the logits as an array, and the distance, each checked for the other.

    `needs` is the property that the caller relies on: any distance has a matrix, means over items
    can be weighted or resampled, and features can be shuffled.

    Raises:
        UserError: as `check_logits`; unknown name; labels or temperatures that are missing or do
            not fit; a distance that is not a mean over items, or has no features.
    """
    bound = distance(name)
    array = check_logits(logits)
    bound = bound.on(array)
    if needs == "features" and not bound.euclidean:
        raise UserError(
            f"{bound.name} is not a distance between per-item features; expected one of "
            f"{', '.join(EUCLIDEAN)}, or a function of your own that returns features"
        )
    if needs == "means" and not bound.over_items:
        raise UserError(
            f"{bound.name} compares whole members and is not a mean over items, so items cannot be "
            "weighted or resampled; give distance_matrix the items themselves, logits[:, chosen]"
        )
    return array, bound


def features(logits: Logits, distance: str | Distance) -> Array:
    """Return the per-item features whose mean squared Euclidean distance is the distance.

    With f the logits, f̃ = f − mean_c f, and p = softmax(f):

        logit_mse:          φ = f / √C
        logit_mse_centred:  φ = f̃ / √C
        logit_mse_matched:  φ = f̃ / (T_i √C), T_i > 0 the temperature of member i
        logit_cosine:       φ = f̃ / (√2 ‖f̃‖), hence ‖φ_i − φ_j‖² = 1 − cos(f̃_i, f̃_j)
        hellinger:          φ = √p / √2, hence ‖φ_i − φ_j‖² = 1 − Σ_c √(p_i p_j)
        prob_l2:            φ = p
        disagreement:       φ = onehot(argmax f) / √2; of equal logits the first counts

    `logit_mse_matched` removes both gauges: the item's shift and the member's temperature. If all
    classes have equal logits there is no direction, and `logit_cosine` has φ = 0, at ½ from every
    direction and at 0 from another φ = 0.

    Args:
        logits: [S, N, C], any real type, or the path of a .npy or .npz file.
        distance: one of `EUCLIDEAN`, or a function of features; bound if it needs temperatures.

    Returns:
        [S, N, C] float64; logits per √class, or without unit. A user's function gives [S, N, K].

    Raises:
        UserError: unknown name, or a distance without features; logits of another shape or not
            finite; temperature missing, of another shape, or not positive.

    Source: the Hellinger distance in Deza & Deza, Encyclopedia of Distances, chapter 14.

    >>> features(np.array([[[0.0, 2.0]], [[1.0, 5.0]]]), "logit_mse_centred") * np.sqrt(2)
    array([[[-1.,  1.]],
    <BLANKLINE>
           [[-2.,  2.]]])
    """
    array, distance = resolve(logits, distance, "features")
    return distance.features(array)
