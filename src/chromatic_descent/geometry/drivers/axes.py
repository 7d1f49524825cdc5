"""What drives the axes of the map? Correlations across images, not within the same ones.

A driver and an axis that are computed from the same images share those images' noise, and correlate
for that alone. So each is computed from its own half of the probe, many times over.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Unpack

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chromatic_descent.errors import UserError
from chromatic_descent.geometry.batches import batches, length
from chromatic_descent.geometry.checks import Logits, check_labels, check_logits, check_temperature
from chromatic_descent.geometry.distances.by_name import distance as bind
from chromatic_descent.geometry.distances.definition import Distance
from chromatic_descent.geometry.distances.items import weighted_distances
from chromatic_descent.geometry.distances.matrices import distance_matrix
from chromatic_descent.geometry.drivers.member_drivers import (
    Candidates,
    group_of,
    recipe_columns,
    subset_drivers,
)
from chromatic_descent.geometry.layouts.alignment import procrustes
from chromatic_descent.geometry.layouts.mds import classical_mds

if TYPE_CHECKING:
    import pandas as pd

FEWEST_FOR_DRIVERS = 6  # five members can be ordered in 120 ways: nothing survives the correction

# Permuted layouts are held in batches of about this many float64 values (16 MiB).
_BATCH = 2**21


@dataclass(frozen=True, eq=False)
class AxisDrivers:
    """How well each candidate, and each group of them, explains each axis.

    Attributes:
        drivers: one row per axis and driver: axis (from 1), group, driver, r, low, high, p, p_holm.
        groups: one row per axis and group of drivers: axis, group, drivers (how many), r2 (their
            mean squared r), p, p_holm.
        permutations: P.
        left_out: candidates that do not vary between members, or whose class is too rare.
    """

    drivers: "pd.DataFrame"
    groups: "pd.DataFrame"
    permutations: int
    left_out: tuple[str, ...]


def drive_axes(
    logits: Logits,
    labels: ArrayLike,
    distance: str | Distance,
    *,
    dimensions: int = 2,
    splits: int = 10,
    permutations: int | None = None,
    seed: int = 0,
    **candidates: Unpack[Candidates],
) -> AxisDrivers:
    """Correlate the axes of the map with what each member is like, each from its own half of items.

    The probe is split into halves, class by class, `splits` times. With x the k-th axis of the
    classical MDS of one half, and z a driver (`member_drivers`) on the other, over members:

        r = mean over splits, both ways round, of corr(x, z)

    The axes of a half are turned into the frame of the map of all items by an orthogonal matrix. An
    axis, or a driver, that its half does not determine correlates with nothing on the other, and
    noise in either pulls r towards 0.

    p is from permuting which member has which drivers, all splits alike, and counting
    |r| permuted ≥ |r|; for a group, whose statistic is the mean r² of its drivers, likewise. The
    frame knows both halves, which lets a little of a half's noise through: among members that err
    independently p ≤ 0.05 came up in 5% of tests, and by group and axis in 3.4% (class bias, axis
    2) to 6.0% (class bias, axis 1), of 4,000 studies with S = 12, N = 500.
    p_holm is Holm's correction for all rows of the same table, drivers × axes or groups × axes. low
    and high are Fisher's 95% interval for r over members, tanh(atanh r ± 1.96/√(S − 3)), which
    supposes that they are normal: a guide to how little S members tell, not a test. A driver that
    correlates need not be a cause: `interventions` takes it away.

    Args:
        logits: [S, N, C], S >= 6, or the path of a .npy or .npz file.
        labels: [N], whole numbers from 0 to C − 1.
        distance: any but `cka`, which is not a mean over items.
        dimensions: k, axes of the map, from 1 to S − 1.
        splits: of the probe; each is used both ways.
        permutations: P; unless given 9,999, or 100 per row if that is more, so that the smallest
            corrected p is at most 0.01 (with six or seven members chance alone forbids that).
        seed: of splits and permutations.
        candidates: `temperature`, `recipe` and `confusion_modes`, as in `member_drivers`. The
            temperature is a driver, refitted on each half, and what `logit_mse_matched` needs. The
            recipe is not computed from items, so it is the same in both halves.

    Returns:
        An `AxisDrivers`.

    Raises:
        UserError: fewer than 6 members, or than 2 items; identical members; no driver that varies;
            as `distance_matrix` and `member_drivers`; an argument out of range.

    Source: Holm 1979, Scandinavian Journal of Statistics 6; Fisher 1915 for the interval; Phipson &
    Smyth 2010 for p.

    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> labels = rng.integers(3, size=300)
    >>> sure = np.linspace(1, 3, 10)[:, None, None]  # members that differ in temperature alone
    >>> logits = sure * (2 * np.eye(3)[labels] + rng.normal(size=(300, 3)))
    >>> found = drive_axes(logits, labels, "logit_mse", dimensions=1).drivers
    >>> found.set_index("driver").p_holm["confidence"] < 0.05
    np.True_
    """
    array = check_logits(logits)
    members, items, _ = array.shape
    y = check_labels(labels, "drive_axes", *array.shape[1:])
    temperature = candidates.get("temperature")
    fitted = None if temperature is None else check_temperature(temperature, members)
    if members < FEWEST_FOR_DRIVERS:
        raise UserError(
            f"drivers of the axes need at least {FEWEST_FOR_DRIVERS} members; found {members}"
        )
    if not 1 <= dimensions <= members - 1:
        raise UserError(f"dimensions must be from 1 to {members - 1}; found {dimensions}")
    if items < 2 or splits < 1 or (permutations is not None and permutations < 1):
        raise UserError(
            "need at least 2 items, 1 split and 1 permutation; found "
            f"{items} items, {splits} splits and {permutations} permutations"
        )
    rng = np.random.default_rng(seed)
    first = np.array([_half(y, rng) for _ in range(splits)])
    halves = np.concatenate([first, ~first])  # [H, N]; the other half of row h is row h ± splits
    axes = _axes(array, bind(distance, labels=y, temperature=fitted), halves, dimensions)

    modes = candidates.get("confusion_modes", 2)
    columns = subset_drivers(array, y, ~halves, temperature=fitted, confusion_modes=modes)
    for factor, values in recipe_columns(candidates.get("recipe"), members).items():
        columns[factor] = np.broadcast_to(values, (len(halves), members))
    standard = {driver: _standardised(values) for driver, values in columns.items()}
    used = [driver for driver, z in standard.items() if np.isfinite(z).all()]
    if not used:
        raise UserError("no driver varies between the members: there is nothing to explain")
    drivers = np.stack([standard[driver] for driver in used], axis=-1)  # [H, S, M]

    rows = dimensions * len(used)
    count = max(9999, 100 * rows) if permutations is None else permutations
    observed = np.einsum("hsk,hsm->km", axes, drivers) / len(halves)  # [K, M]
    names = [group_of(driver) for driver in used]
    groups = list(dict.fromkeys(names))
    member_of = np.array([[name == group for group in groups] for name in names], dtype=np.float64)
    member_of /= member_of.sum(axis=0)  # [M, G] averages r² over each group
    reached = np.zeros_like(observed)
    reached_groups = np.zeros((dimensions, len(groups)))
    for permuted in _permuted(axes, drivers, count, rng):  # [b, K, M]
        # Equal up to round-off is equal: a permutation may leave the drivers as they are.
        reached += (np.abs(permuted) >= np.abs(observed) * (1 - 1e-9)).sum(axis=0)
        reached_groups += (permuted**2 @ member_of >= (observed**2 @ member_of) * (1 - 1e-9)).sum(
            axis=0
        )
    return AxisDrivers(
        drivers=_driver_table(observed, reached, used, names, members, count),
        groups=_group_table(observed**2 @ member_of, reached_groups, groups, names, count),
        permutations=count,
        left_out=tuple(driver for driver in columns if driver not in used),
    )


def _axes(
    logits: NDArray[np.floating],
    distance: Distance,
    halves: NDArray[np.bool_],
    dimensions: int,
) -> NDArray[np.float64]:
    """Return the map's axes from each half, standardised and in the frame of all items: [H, S, k].

    Standardised means centred, with Σ_s x_s² = 1.
    """
    whole = distance_matrix(logits, distance)
    if not whole.any():
        raise UserError("all distances are zero: the members are identical and their map a point")
    reference = classical_mds(whole, dimensions).coordinates
    weights = halves.astype(np.float32)
    axes = np.empty((len(halves), *reference.shape))
    for h, squared in enumerate(weighted_distances(logits, distance, weights)):
        axes[h] = procrustes(reference, classical_mds(squared, dimensions).coordinates).layout
    return np.nan_to_num(_standardised(axes, axis=1))  # an axis without extent correlates with none


def _permuted(
    axes: NDArray[np.float64],
    drivers: NDArray[np.float64],
    permutations: int,
    rng: np.random.Generator,
) -> Iterator[NDArray[np.float64]]:
    """Yield r with members renamed at random in the axes, in batches [b, K, M]."""
    halves, members, dimensions = axes.shape
    for batch in batches(permutations, _BATCH // (members * dimensions)):
        size = length(batch)
        order = rng.permuted(np.tile(np.arange(members), (size, 1)), axis=1)  # [b, S]
        total = np.zeros((size * dimensions, drivers.shape[2]))
        for x, z in zip(axes, drivers, strict=True):
            total += x.T[:, order].reshape(-1, members) @ z  # [K·b, S] @ [S, M]
        yield total.reshape(dimensions, size, -1).transpose(1, 0, 2) / halves


def _driver_table(
    observed: NDArray[np.float64],
    reached: NDArray[np.float64],
    drivers: list[str],
    groups: list[str],
    members: int,
    permutations: int,
) -> "pd.DataFrame":
    import pandas as pd

    r = observed.ravel()
    p = (1 + reached.ravel()) / (1 + permutations)
    with np.errstate(divide="ignore"):  # r = ±1 has an interval of no width
        centre, width = np.arctanh(np.clip(r, -1, 1)), 1.96 / np.sqrt(members - 3)
    return pd.DataFrame(
        {
            "axis": np.repeat(np.arange(1, len(observed) + 1), len(drivers)),
            "group": groups * len(observed),
            "driver": drivers * len(observed),
            "r": r,
            "low": np.tanh(centre - width),
            "high": np.tanh(centre + width),
            "p": p,
            "p_holm": holm(p),
        }
    )


def _group_table(
    r2: NDArray[np.float64],
    reached: NDArray[np.float64],
    groups: list[str],
    names: list[str],
    permutations: int,
) -> "pd.DataFrame":
    import pandas as pd

    p = (1 + reached.ravel()) / (1 + permutations)
    return pd.DataFrame(
        {
            "axis": np.repeat(np.arange(1, len(r2) + 1), len(groups)),
            "group": groups * len(r2),
            "drivers": [names.count(group) for group in groups] * len(r2),
            "r2": r2.ravel(),
            "p": p,
            "p_holm": holm(p),
        }
    )


def holm(p_values: ArrayLike) -> NDArray[np.float64]:
    """Correct p-values for the number of tests, so that any false rejection is as rare as one was.

        p_(i) -> max_{j≤i} min(1, (m − j + 1) p_(j)), p_(1) ≤ … ≤ p_(m)

    Valid however the tests depend on one another.

    Args:
        p_values: [m].

    Returns:
        [m] float64, in the order given.

    Raises:
        UserError: a value is not between 0 and 1.

    Source: Holm 1979, Scandinavian Journal of Statistics 6.

    >>> holm([0.01, 0.04, 0.03])
    array([0.03, 0.06, 0.06])
    """
    p = np.asarray(p_values, dtype=np.float64)
    if p.ndim != 1 or not ((p >= 0) & (p <= 1)).all():
        raise UserError(f"p-values must be numbers from 0 to 1, of shape [m]; found {p}")
    order = np.argsort(p)
    corrected = np.empty_like(p)
    stepped = np.minimum(1, (len(p) - np.arange(len(p))) * p[order])
    corrected[order] = np.maximum.accumulate(stepped)
    return corrected


def _half(labels: NDArray[np.intp], rng: np.random.Generator) -> NDArray[np.bool_]:
    """Choose half of the items at random, half of each class's: [N] bool."""
    order = rng.permutation(len(labels))
    by_class = order[np.argsort(labels[order], kind="stable")]
    chosen = np.zeros(len(labels), dtype=bool)
    chosen[by_class[rng.integers(2) :: 2]] = True
    return chosen


def _standardised(values: NDArray[np.float64], axis: int = -1) -> NDArray[np.float64]:
    """Return values centred and of unit norm along an axis; NaN where they do not vary."""
    centred = values - values.mean(axis=axis, keepdims=True)
    norm = np.linalg.norm(centred, axis=axis, keepdims=True)
    size = np.linalg.norm(values, axis=axis, keepdims=True)
    varies = norm > 1e-12 * size  # else it is round-off
    standard: NDArray[np.float64] = np.divide(
        centred, norm, out=np.full_like(centred, np.nan), where=varies
    )
    return standard
