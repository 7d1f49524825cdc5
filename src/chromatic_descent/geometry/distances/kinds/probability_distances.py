"""Distances between probabilities that are products: Hellinger, L2, and the symmetric KL."""

import numpy as np

from chromatic_descent.geometry.checks import Array, Floats
from chromatic_descent.geometry.distances import definition
from chromatic_descent.geometry.distances.definition import Distance, Gram, Kernel, Totals
from chromatic_descent.geometry.distances.ingredients import root_softmax

_MIXED = ("probability", "centred")


def probabilities(f: Array, axis: int = -1) -> Array:
    """Turn logits into probabilities along `axis`, in place."""
    return np.square(root_softmax(f, axis), out=f)


def _probabilities_and_logs(logits: Floats) -> Array:
    """Return p and log p side by side, [S, n, 2C].

    log p rather than f̃, which differs from it by a shift: where p rounds to 1, p − q is only
    round-off, and log p − log q ≈ 0 does not magnify it.
    """
    f = logits.astype(np.float64)
    f -= f.max(axis=-1, keepdims=True)
    p = np.exp(f)
    total = p.sum(axis=-1, keepdims=True)
    return np.concatenate([p / total, f - np.log(total)], axis=-1)


def _kl_by_item(others: Array, one: Array) -> Array:
    difference = others - one
    classes = one.shape[-1] // 2
    p, log_p = difference[..., :classes], difference[..., classes:]
    nats: Array = np.einsum("jnc,jnc->jn", p, log_p)
    nats[nats < 0] = 0.0  # round-off between near twins
    return nats


def _kl_from_products(sums: Totals, distance: Distance) -> tuple[Array, Array]:
    """Return Σ_c (p − q)(f̃ − g̃), from the mixed product of p and f̃, twice its Gram matrix."""
    gram = sums.gram(_MIXED)
    gram *= 0.5
    p, f = (np.sqrt(sums.squares[ingredient]) for ingredient in _MIXED)
    scale = np.add.outer(p, p)
    scale *= np.add.outer(f, f)
    return definition.squared_from_gram(gram), scale


def _kl_sides(x: Array, scale: float, dtype: type[np.floating]) -> tuple[Array, Array]:
    """Return the factors of ½ (p_i·log p_j + log p_i·p_j)."""
    x, _ = definition.centred_features(x, scale, dtype)
    return x, 0.5 * np.roll(x, x.shape[-1] // 2, axis=-1)


HELLINGER = Distance.of_features(
    name="hellinger",
    title="Hellinger",
    formula="1 − Σ_c √(p_ic p_jc)",
    blind_to="shift",
    unit="0 to 1",
    features=root_softmax,
    divisor=2.0,
    gram=Gram.of("root"),
)

PROB_L2 = Distance.of_features(
    name="prob_l2",
    title="L2 of probabilities",
    formula="Σ_c (p_ic − p_jc)²",
    blind_to="shift",
    unit="0 to 2",
    features=probabilities,
    gram=Gram.of("probability"),
)

KL_SYMMETRIC = Distance(
    name="kl_symmetric",
    title="symmetric KL",
    formula="KL(p_i‖p_j) + KL(p_j‖p_i)",
    blind_to="shift",
    unit="nats",
    vector=_probabilities_and_logs,
    by_item=_kl_by_item,
    kernel=Kernel(sides=_kl_sides),
    gram=Gram((_MIXED,), _kl_from_products),
)
