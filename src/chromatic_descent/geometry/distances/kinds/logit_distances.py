"""Distances between logits, from raw logits to their direction only.

Two properties of a member's logits do not change its predicted classes: an item's *shift*, one
number added to all its logits, changes no probability, and a member's *temperature* changes only
how sure it is. `LOGIT_MSE` sees both, so show it next to the centred and the matched distance.
"""

import numpy as np

from chromatic_descent.geometry.checks import Array
from chromatic_descent.geometry.distances import definition
from chromatic_descent.geometry.distances.definition import Distance, Gram, Totals
from chromatic_descent.geometry.distances.ingredients import centred, directions

_CENTRED = ("centred", "centred")
_SHIFT = ("shift", "shift")


def _raw_from_centred(sums: Totals, distance: Distance) -> tuple[Array, Array]:
    """Return raw distances from centred logits and their shifts m: f·g = f̃·g̃ + C m_f m_g."""
    gram = sums.gram(_SHIFT)
    gram *= sums.classes
    gram += sums.gram(_CENTRED)
    return definition.squared_and_scale(gram)


def _matched_from_centred(sums: Totals, distance: Distance) -> tuple[Array, Array]:
    """Return the distances between (φ_i + μ)/T_i, from the Gram matrix of φ.

    With a = 1/T: ‖a_i φ_i − a_j φ_j + (a_i − a_j) μ‖², multiplied out so that μ, which may be
    large, cancels exactly between equal temperatures.
    """
    gram, cool = sums.gram(_CENTRED), 1 / np.asarray(distance.temperature)
    norms = cool**2 * gram.diagonal()
    along = cool * sums.along_mean
    difference = np.subtract.outer(cool, cool)
    squared = gram * (-2 * cool)
    squared *= cool[:, None]
    squared += norms[:, None]
    squared += norms
    squared += difference * (2 * np.subtract.outer(along, along))
    difference *= difference
    difference *= sums.mean_square
    squared += difference
    difference += norms[:, None]  # from here on the scale
    difference += norms
    return squared, difference


LOGIT_MSE = Distance.of_features(
    name="logit_mse",
    title="logit MSE",
    formula="mean_c (f_ic − f_jc)²",
    blind_to="nothing",
    unit="logits²",
    features=lambda f, axis: f,
    of_logits=True,
    sees_shift=True,
    gram=Gram.of("raw", beside=Gram((_CENTRED, _SHIFT), _raw_from_centred)),
)

LOGIT_MSE_CENTRED = Distance.of_features(
    name="logit_mse_centred",
    title="logit MSE, centred",
    formula="mean_c (f̃_ic − f̃_jc)²",
    blind_to="an image's shift",
    unit="logits²",
    features=centred,
    of_logits=True,
    gram=Gram.of("centred"),
)

LOGIT_MSE_MATCHED = Distance.of_features(
    name="logit_mse_matched",
    title="logit MSE, centred, temperature-matched",
    formula="the same with f̃_i/T_i, f̃_j/T_j",
    blind_to="shift, temperature",
    unit="none",
    features=centred,
    of_logits=True,
    matched=True,
    gram=Gram((_CENTRED,), _matched_from_centred, about_mean="centred"),
)

LOGIT_COSINE = Distance.of_features(
    name="logit_cosine",
    title="logit cosine",
    formula="1 − cos(f̃_i, f̃_j)",
    blind_to="shift, size",
    unit="0 to 2",
    features=directions,
    divisor=2.0,
)
