"""Simulated studies for `size_and_power.py`: the worlds, the tests in them, the planted planes.

To check a further test, add it to `SIZES` or `POWERS`: a function from a random generator to a
p-value.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
from numpy.typing import NDArray

import chromatic_descent.geometry as g

S, N, C = 12, 500, 10
LABELS = np.arange(N) % C
DRAWS = 99

Floats = NDArray[np.float64]
Rng = np.random.Generator


# What studies are drawn from. Everything about an item is drawn anew for every study. In each
# world a value of a member differs from the mean member's by a variance of about 1 to 2, so that
# a plane of a given size is about as hard to see in all.


def gaussian(rng: Rng) -> Floats:
    """Members are points of a round Gaussian."""
    return rng.normal(size=(S, N, C))


def independent(rng: Rng) -> Floats:
    """Members who err independently; items differ in their answer and in how far answers spread.

    The spread is Gamma(2) distributed with mean 1: a few items carry much of the variance, as hard
    images do.
    """
    spread = rng.gamma(2.0, 0.5, size=(N, 1))
    return 3 * rng.normal(size=(N, C)) + spread * rng.normal(size=(S, N, C))


def by_class(rng: Rng) -> Floats:
    """Members with a mean and a loudness of their own for every class; items of a class alike."""
    means, loudness = 0.5 * rng.normal(size=(S, C, C)), rng.gamma(4.0, 0.25, size=(S, C, 1))
    return means[:, LABELS] + loudness[:, LABELS] * rng.normal(size=(S, N, C))


def tempered(rng: Rng) -> Floats:
    """Independent errors; then a temperature (SD 20%) and a class bias (SD 0.3) per member."""
    scale, bias = np.exp(0.2 * rng.normal(size=(S, 1, 1))), 0.3 * rng.normal(size=(S, 1, C))
    return scale * independent(rng) + bias


World = Callable[[Rng], Floats]


def planted(
    rng: Rng, share: float, world: World = independent, places: Floats | None = None
) -> tuple[Floats, Floats]:
    """Members spread over a plane that adds `share` of their variance to that of the world.

    The plane's directions run through all items and classes. Returns the logits and each member's
    place in the plane, [S, 2], or [S, 1] along a line.
    """
    places = rng.normal(size=(S, 2)) if places is None else places
    places = (places - places.mean(axis=0)) / places.std(axis=0, ddof=1)
    directions = rng.normal(size=(places.shape[1], N, C))
    logits = world(rng)
    within = logits.var(axis=0, ddof=1).mean()
    size = np.sqrt(within * share / (1 - share) / places.shape[1])
    return logits + size * np.einsum("sk,knc->snc", places, directions), places


def seed(rng: Rng) -> int:
    return int(rng.integers(2**32))


# Under its own hypothesis: how often does each test reject?


@dataclass(frozen=True)
class Size:
    """A test in a world where its hypothesis holds; `p_value` simulates one study."""

    test: str
    distance: str
    world: str
    p_value: Callable[[Rng], float]


def permuted_p(rng: Rng) -> float:
    squared = np.zeros((S, S))
    squared[np.triu_indices(S, 1)] = rng.uniform(1, 3, size=S * (S - 1) // 2)
    return g.permuted_distances(squared + squared.T, permutations=DRAWS, seed=seed(rng)).p_value


def rung_p(rng: Rng, test: str, name: str, world: World, share: float = 0.0) -> float:
    """The p-value of one rung of the ladder, in a world with or without a plane."""
    logits, _ = planted(rng, share, world)
    if test in ("permuted_distances", "isotropic"):
        squared = g.distance_matrix(logits, name)
        if test == "permuted_distances":
            return g.permuted_distances(squared, permutations=DRAWS, seed=seed(rng)).p_value
        degrees = N * g.distance(name).degrees(C)
        return g.isotropic(squared, degrees=degrees, draws=DRAWS, seed=seed(rng)).p_value
    if test == "within_class_shuffles":
        shuffle = partial(g.within_class_shuffles, labels=LABELS)
    else:
        shuffle = {
            "independent_errors": g.independent_errors,
            "temperature_and_bias": g.temperature_and_bias,
        }[test]
    return shuffle(logits, distance=name, draws=DRAWS, seed=seed(rng)).p_value


def mantel_p(rng: Rng, method: Literal["pearson", "spearman"]) -> float:
    one, other = (g.distance_matrix(planted(rng, 0.3)[0], "hellinger") for _ in range(2))
    return g.mantel(one, other, permutations=DRAWS, seed=seed(rng), method=method).p_value


def permanova_p(rng: Rng, sizes: tuple[int, ...]) -> float:
    squared = g.distance_matrix(planted(rng, 0.3)[0], "hellinger")
    groups = np.repeat(np.arange(len(sizes)), sizes)
    return g.permanova(squared, groups, permutations=DRAWS, seed=seed(rng)).p_value


WORLDS: dict[str, World] = {
    "points of a round Gaussian": gaussian,
    "independent errors, items of unlike spread": independent,
    "a mean and a loudness per member and class": by_class,
    "independent errors, temperatures (SD 20%) and class biases (SD 0.3)": tempered,
}
# The rungs, each with the world in which its hypothesis is true (of the first, the nearest).
RUNGS: dict[str, World] = {
    "permuted_distances": independent,
    "isotropic": gaussian,
    "independent_errors": independent,
    "within_class_shuffles": by_class,
    "temperature_and_bias": tempered,
}
CENTRED = "logit_mse_centred"
SIZES = (
    Size("permuted_distances", "any", "66 distances drawn independently", permuted_p),
    *(
        Size(
            test,
            name,
            next(words for words, world in WORLDS.items() if world is RUNGS[test]),
            partial(rung_p, test=test, name=name, world=RUNGS[test]),
        )
        for test, names in {
            "isotropic": ("logit_mse", CENTRED),
            "independent_errors": (CENTRED, "hellinger", "disagreement"),
            "within_class_shuffles": (CENTRED, "hellinger"),
            "temperature_and_bias": ("logit_mse", CENTRED, "hellinger"),
        }.items()
        for name in names
    ),
    *(
        Size(
            f"mantel, {method}",
            "hellinger",
            "two unrelated studies, each with a plane of 30%",
            partial(mantel_p, method=method),
        )
        for method in ("pearson", "spearman")
    ),
    *(
        Size(
            f"permanova, groups of {', '.join(map(str, sizes))}",
            "hellinger",
            "a plane of 30%, groups that say nothing",
            partial(permanova_p, sizes=sizes),
        )
        for sizes in ((6, 6), (2, 4, 6))
    ),
)


# With a planted plane: how often does each test see it, and is the map right?


@dataclass(frozen=True)
class Power:
    """A test on a planted plane that holds a given share of the variance between members."""

    test: str
    distance: str
    p_value: Callable[[Rng, float], float]


def halves_agree(rng: Rng, share: float, name: str) -> float:
    """Mantel between the distances over two halves of the probe: one plane, other noise."""
    logits, _ = planted(rng, share)
    halves = (g.distance_matrix(logits[:, half::2], name) for half in (0, 1))
    return g.mantel(*halves, permutations=DRAWS, seed=seed(rng)).p_value


def groups_differ(rng: Rng, share: float, name: str) -> float:
    """PERMANOVA between two groups of six that differ along one planted direction."""
    groups = np.repeat([0.0, 1.0], S // 2)
    logits, _ = planted(rng, share, places=groups[:, None])
    squared = g.distance_matrix(logits, name)
    return g.permanova(squared, groups, permutations=DRAWS, seed=seed(rng)).p_value


SIGNALS = (0.02, 0.05, 0.1, 0.2, 0.5)
POWERS = (
    *(
        Power(test, CENTRED, partial(rung_p, test=test, name=CENTRED, world=world))
        for test, world in RUNGS.items()
    ),
    Power("mantel, between halves of the probe", CENTRED, partial(halves_agree, name=CENTRED)),
    Power("permanova, groups of 6, 6", CENTRED, partial(groups_differ, name=CENTRED)),
)


def recovery(rng: Rng, share: float, name: str) -> float:
    """The Procrustes correlation of the map with the places that were planted."""
    logits, places = planted(rng, share)
    return g.procrustes(
        places, g.classical_mds(g.distance_matrix(logits, name)).coordinates
    ).correlation
