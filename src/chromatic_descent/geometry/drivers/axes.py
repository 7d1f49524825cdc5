"""What drives the axes of the map? Correlations across two halves of the probe.

A driver and an axis computed from the same images share the noise of those images, and correlate
for that reason alone. So each is computed from a different half of the probe, in many splits.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chromatic_descent.errors import UserError
from chromatic_descent.geometry import checks
from chromatic_descent.geometry.checks import Array, Floats, Logits
from chromatic_descent.geometry.cores import batches, length
from chromatic_descent.geometry.distances.by_name import distance as bind
from chromatic_descent.geometry.distances.definition import Distance
from chromatic_descent.geometry.distances.items import weighted_distances
from chromatic_descent.geometry.distances.matrices import distance_matrix
from chromatic_descent.geometry.drivers import member_drivers
from chromatic_descent.geometry.drivers.member_drivers import Candidates, group_of
from chromatic_descent.geometry.layouts.alignment import procrustes
from chromatic_descent.geometry.layouts.mds import classical_mds

if TYPE_CHECKING:
    import pandas as pd

FEWEST_FOR_DRIVERS = 6  # five members have 120 permutations: nothing survives the correction
_BATCH = 2**21  # float64 values of permuted layouts held at once (16 MiB)


@dataclass(frozen=True, eq=False)
class AxisDrivers:
    """The correlation of each driver, and of each group of them, with each axis.

    Attributes:
        drivers: one row per axis and driver: axis (from 1), group, driver, r, low, high, p, p_holm.
        groups: one row per axis and group of drivers: axis, group, drivers (their number), r2
            (their mean squared r), p, p_holm.
        permutations: P.
        left_out: drivers that do not vary between members, or whose class is too rare.
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
    """Correlate axes of the map with properties of the members, each from its own half of items.

    The probe is split into halves, class by class, `splits` times. With x the k-th axis of the
    classical MDS of one half, and z a driver (`member_drivers`) on the other, over members:

        r = mean over splits, in both directions, of corr(x, z)

    The axes of a half are rotated into the frame of the map of all items by an orthogonal matrix.
    An axis or driver that its half does not determine correlates with nothing on the other half,
    and noise in either biases r towards 0.

    p comes from permuting the members' drivers, in the same way for all splits, and counting
    |r| permuted ≥ |r|. For a group the statistic is the mean r² of its drivers. The frame is
    computed from both halves, which lets a little of a half's noise through: among independently
    erring members p ≤ 0.05 occurred in 5% of tests, and by group and axis in 3.4% (class bias, axis
    2) to 6.0% (class bias, axis 1), over 4,000 studies with S = 12, N = 500. p_holm is Holm's
    correction over all rows of the same table, drivers × axes or groups × axes. low and high are
    Fisher's 95% interval for r over members, tanh(atanh r ± 1.96/√(S − 3)). It assumes normality,
    and shows how little S members determine; it is not a test. A driver that correlates need not be
    a cause: `interventions` removes it.

    Args:
        logits: [S, N, C], S >= 6, or the path of a .npy or .npz file.
        labels: [N], whole numbers from 0 to C − 1.
        distance: any but `cka`, which is not a mean over items.
        dimensions: k, axes of the map, from 1 to S − 1.
        splits: of the probe; each is used in both directions.
        permutations: P; by default 9,999, or 100 per row if that is more, so that with 8 members
            or more the smallest corrected p is at most 0.01.
        candidates: `temperature`, `recipe` and `confusion_modes`, as in `member_drivers`. The
            temperature is a driver, refitted on each half; `logit_mse_matched` needs it too. The
            recipe is not computed from items, so it is the same in both halves.

    Raises:
        UserError: fewer than 6 members or 2 items; identical members; no driver that varies;
            as `distance_matrix` and `member_drivers`; an argument out of range.

    Source: Fisher 1915 for the interval; Phipson & Smyth 2010 for p; see `holm` for p_holm.

    >>> rng = np.random.default_rng(0)
    >>> labels = rng.integers(3, size=300)
    >>> sure = np.linspace(1, 3, 10)[:, None, None]  # members that differ in temperature alone
    >>> logits = sure * (2 * np.eye(3)[labels] + rng.normal(size=(300, 3)))
    >>> table = drive_axes(logits, labels, "logit_mse", dimensions=1).drivers
    >>> table.set_index("driver").p_holm["confidence"] < 0.05
    np.True_
    """
    temperature = candidates.get("temperature")
    array, y, fitted = checks.check_labelled(logits, labels, temperature, "drive_axes")
    members, items, _ = array.shape
    if members < FEWEST_FOR_DRIVERS:
        raise UserError(
            f"drivers of the axes need at least {FEWEST_FOR_DRIVERS} members; found {members}"
        )
    checks.check_dimensions(dimensions, members - 1)
    if items < 2 or splits < 1 or (permutations is not None and permutations < 1):
        raise UserError(
            f"need at least 2 items, 1 split and 1 permutation; found {items} items, {splits} "
            f"splits and {permutations} permutations"
        )
    rng = np.random.default_rng(seed)
    first = np.array([_half(y, rng) for _ in range(splits)])
    halves = np.concatenate([first, ~first])  # [H, N]; the other half of row h is row h ± splits
    axes = _axes(array, bind(distance, labels=y, temperature=fitted), halves, dimensions)

    modes = candidates.get("confusion_modes", 2)
    columns = member_drivers.subset_drivers(
        array, y, ~halves, temperature=fitted, confusion_modes=modes
    )
    for factor, values in member_drivers.recipe_columns(candidates.get("recipe"), members).items():
        columns[factor] = np.broadcast_to(values, (len(halves), members))
    standard = {driver: _standardised(values) for driver, values in columns.items()}
    used = [driver for driver, z in standard.items() if np.isfinite(z).all()]
    if not used:
        raise UserError("no driver varies between the members: there is nothing to explain")
    drivers = np.stack([standard[driver] for driver in used], axis=-1)  # [H, S, M]

    count = max(9999, 100 * dimensions * len(used)) if permutations is None else permutations
    r = np.einsum("hsk,hsm->km", axes, drivers) / len(halves)  # [K, M]
    group = [group_of(driver) for driver in used]
    groups = list(dict.fromkeys(group))
    averages = np.array([[name == each for each in groups] for name in group], dtype=np.float64)
    averages /= averages.sum(axis=0)  # [M, G]
    r2 = r**2 @ averages  # [K, G]
    reached, reached_groups = np.zeros_like(r), np.zeros_like(r2)
    for permuted in _permuted(axes, drivers, count, rng):  # [b, K, M]
        # Equality up to round-off counts: a permutation may leave the drivers unchanged.
        reached += (np.abs(permuted) >= np.abs(r) * (1 - 1e-9)).sum(axis=0)
        reached_groups += (permuted**2 @ averages >= r2 * (1 - 1e-9)).sum(axis=0)
    with np.errstate(divide="ignore"):  # the interval of r = ±1 is a point
        centre, width = np.arctanh(np.clip(r, -1, 1)), 1.96 / np.sqrt(members - 3)
    low, high = np.tanh(centre - width), np.tanh(centre + width)
    names = {"group": group, "driver": used}
    sizes: list[Any] = [group.count(each) for each in groups]
    return AxisDrivers(
        drivers=_table(reached, count, names, r=r, low=low, high=high),
        groups=_table(reached_groups, count, {"group": groups, "drivers": sizes}, r2=r2),
        permutations=count,
        left_out=tuple(driver for driver in columns if driver not in used),
    )


def _axes(logits: Floats, distance: Distance, halves: NDArray[np.bool_], dimensions: int) -> Array:
    """Return the standardised axes of each half's map, in the frame of all items: [H, S, k]."""
    whole = distance_matrix(logits, distance)
    checks.check_apart(whole, "so their map is a point")
    reference = classical_mds(whole, dimensions).coordinates
    weights = halves.astype(np.float32)
    axes = np.empty((len(halves), *reference.shape))
    for h, squared in enumerate(weighted_distances(logits, distance, weights)):
        axes[h] = procrustes(reference, classical_mds(squared, dimensions).coordinates).layout
    return np.nan_to_num(_standardised(axes, axis=1))  # 0 for an axis without extent


def _permuted(
    axes: Array, drivers: Array, permutations: int, rng: np.random.Generator
) -> Iterator[Array]:
    """Yield r with members permuted at random in the axes, in batches [b, K, M]."""
    halves, members, dimensions = axes.shape
    for batch in batches(permutations, _BATCH // (members * dimensions)):
        size = length(batch)
        order = rng.permuted(np.tile(np.arange(members), (size, 1)), axis=1)  # [b, S]
        total = np.zeros((size * dimensions, drivers.shape[2]))
        for x, z in zip(axes, drivers, strict=True):
            total += x.T[:, order].reshape(-1, members) @ z  # [K·b, S] @ [S, M]
        yield total.reshape(dimensions, size, -1).transpose(1, 0, 2) / halves


def _table(
    reached: Array, permutations: int, names: dict[str, list[Any]], **values: Array
) -> "pd.DataFrame":
    """Return one row per axis and column of `reached` [K, M], with p and p_holm."""
    import pandas as pd

    axes = len(reached)
    p = (1 + reached.ravel()) / (1 + permutations)
    columns = {
        "axis": np.repeat(np.arange(1, axes + 1), reached.shape[1]),
        **{name: column * axes for name, column in names.items()},
        **{name: value.ravel() for name, value in values.items()},
    }
    return pd.DataFrame({**columns, "p": p, "p_holm": holm(p)})


def holm(p_values: ArrayLike) -> Array:
    """Correct p-values for the number of tests, so that one false rejection among all is rare.

        p_(i) -> max_{j≤i} min(1, (m − j + 1) p_(j)), p_(1) ≤ … ≤ p_(m)

    Valid for any dependence between the tests.

    Args:
        p_values: [m]; the result has the same order.

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
    """Choose half of the items of each class at random: [N] bool."""
    order = rng.permutation(len(labels))
    by_class = order[np.argsort(labels[order], kind="stable")]
    chosen = np.zeros(len(labels), dtype=bool)
    chosen[by_class[rng.integers(2) :: 2]] = True
    return chosen


def _standardised(values: Array, axis: int = -1) -> Array:
    """Return values centred and of unit norm along an axis; NaN where they vary by round-off."""
    centred = values - values.mean(axis=axis, keepdims=True)
    norm = np.linalg.norm(centred, axis=axis, keepdims=True)
    varies = norm > 1e-12 * np.linalg.norm(values, axis=axis, keepdims=True)
    standard: Array = np.divide(centred, norm, out=np.full_like(centred, np.nan), where=varies)
    return standard
