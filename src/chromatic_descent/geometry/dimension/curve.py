"""Dimension with its uncertainty, and its growth with the number of members and images.

The tables list these quantities, from the spectrum λ of −½ J D² J unless noted:

    participation_ratio        (Σ λ₊)² / Σ λ₊²
    top_1_share, top_2_share   Σ_{i≤k} λ_i / Σ λ₊
    top_2_stress               explained stress, 1 − √(Σ_{i>2} λ_i² / Σ λ_i²)
    axes_isotropic             axes above null 2, isotropic members: parallel analysis at 95%
    axes_independent_errors    the same for null 3; for distances in `EUCLIDEAN`
    two_nn                     TwoNN of the distances; NaN if fewer than 50 members are distinct

Spectra and nulls are compared as shares of their sums.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from chromatic_descent.errors import UserError
from chromatic_descent.geometry.checks import Array, Logits, check_apart, check_count
from chromatic_descent.geometry.dimension import estimates
from chromatic_descent.geometry.dimension.estimates import FEWEST_FOR_TWO_NN, leading_axes
from chromatic_descent.geometry.distances.by_name import resolve
from chromatic_descent.geometry.distances.definition import Distance
from chromatic_descent.geometry.distances.items import weighted_distances
from chromatic_descent.geometry.distances.matrices import distance_matrix
from chromatic_descent.geometry.layouts.mds import double_centred, explained_stress
from chromatic_descent.geometry.nulls.spectra import null_spectra
from chromatic_descent.geometry.resampling import reflected_interval, resampled_counts

if TYPE_CHECKING:
    import pandas as pd

_QUANTILE = 0.95  # of the nulls, for parallel analysis


def dimension_estimates(
    logits: Logits,
    distance: str | Distance,
    *,
    resamples: int = 200,
    draws: int = 199,
    seed: int = 0,
    nulls: Mapping[str, Array] | None = None,
) -> "pd.DataFrame":
    """Estimate the dimension of a population in every way, with 95% intervals.

    For quantities of the spectrum they come from a bootstrap over probe items. They cover the value
    that infinitely many items of this kind would give for these members, and are reflected, since
    resampling makes a spectrum steeper (`reflected_interval`). For counts of axes, each eigenvalue
    is reflected. The interval of TwoNN is over members; see `two_nn`.

    Args:
        logits: [S, N, C], or the path of a .npy or .npz file.
        distance: any mean over items (not `cka`); bound if it needs labels or temperatures.
        draws: P, from each null.
        nulls: the result of `null_spectra` for these logits, if already computed.

    Returns:
        One row per quantity: quantity, value, low, high. Counts of axes, or shares.

    Raises:
        UserError: as `distance_matrix`; identical members; fewer than 1 resample.

    >>> rng = np.random.default_rng(0)
    >>> plane = np.tensordot(rng.normal(size=(12, 2)), rng.normal(size=(2, 300, 4)), 1)
    >>> table = dimension_estimates(plane + 0.1 * rng.normal(size=plane.shape), "logit_mse")
    >>> table.set_index("quantity").value["axes_isotropic"]
    np.float64(2.0)
    """
    import pandas as pd

    array, distance = resolve(logits, distance)
    members, items, _ = array.shape
    squared = distance_matrix(array, distance)
    check_apart(squared, "so they have no dimension")
    spectrum = _spectrum(squared)  # [S]
    counts = resampled_counts(items, resamples, seed)
    matrices = weighted_distances(array, distance, counts)
    resampled = np.array([_spectrum(matrix) for matrix in matrices])
    rows: list[tuple[str, float, float, float]] = []
    for quantity, statistic in _STATISTICS.items():
        value = statistic(spectrum[None])[0]
        bounds = (1.0, members - 1.0) if quantity == "participation_ratio" else (0.0, 1.0)
        low, high = np.clip(reflected_interval(value, statistic(resampled)), *bounds)
        rows.append((quantity, value, low, high))
    if nulls is None:
        nulls = null_spectra(array, distance, draws=draws, seed=seed)
    for null, spectra in nulls.items():
        shares = _shares(spectra)
        count = float(leading_axes(_shares(spectrum), shares, _QUANTILE))
        reflected = leading_axes(_shares(2 * spectrum - resampled), shares, _QUANTILE)
        low, high = np.quantile(reflected, [0.025, 0.975], method="inverted_cdf")
        rows.append((f"axes_{null}", count, min(low, count), max(high, count)))
    if members >= FEWEST_FOR_TWO_NN:
        rows.append(("two_nn", *_two_nn(squared)))
    return pd.DataFrame(rows, columns=["quantity", "value", "low", "high"])


def dimension_curve(
    logits: Logits,
    distance: str | Distance,
    *,
    members: Sequence[int] | None = None,
    images: Sequence[int] | None = None,
    subsets: int = 20,
    draws: int = 99,
    seed: int = 0,
) -> "pd.DataFrame":
    """Estimate the dimension from fewer members, and from fewer images, as a tidy table.

    A dimension of the population stops growing once there are enough members; one that keeps
    growing with S is a property of the sample. Each size is measured on random subsets, drawn
    without replacement, of members (with all images) and of images (with all members). low and high
    are the 2.5% and 97.5% quantiles *over subsets*. Subsets overlap, so these narrow to nothing at
    the full size and are not a confidence interval. Each size has one set of draws from each null;
    for null 3 they come from one of its subsets.

    Args:
        members: sizes from 2 to S; by default six from 3 to S.
        images: sizes from 1 to N; by default N halved up to five times.
        subsets: number of subsets of each size; one of the full size.
        draws: P, from each null. The other arguments are as in `dimension_estimates`.

    Returns:
        One row per size and quantity: over (members, images), size, quantity, mean, low, high,
        subsets. NaN where a subset's members are identical.

    Raises:
        UserError: as `distance_matrix`; identical members; an argument out of range.

    >>> curve = dimension_curve(np.random.default_rng(0).normal(size=(6, 400, 3)), "logit_mse")
    >>> curve[curve.over == "members"]["size"].unique().tolist()
    [3, 4, 5, 6]
    """
    import pandas as pd

    array, distance = resolve(logits, distance)
    count, items, _ = array.shape
    if members is None:
        members = np.unique(np.geomspace(min(3, count), count, 6).round().astype(int)).tolist()
    if images is None:
        images = sorted({max(1, items >> k) for k in range(6)})
    _check_sizes(members, 2, count, "members")
    _check_sizes(images, 1, items, "images")
    check_count("subsets", subsets)
    squared = distance_matrix(array, distance)
    check_apart(squared, "so they have no dimension")

    rows = []

    def add(over: str, size: int, matrices: Iterable[Array], nulls: dict[str, Array]) -> None:
        for quantity, values in _measure(matrices, nulls).items():
            low, high = np.quantile(values, [0.025, 0.975])
            rows.append((over, size, quantity, values.mean(), low, high, len(values)))

    for size in members:
        chosen = _subsets(count, size, subsets, [seed, 0, size])  # [M, s]
        first = distance.of_members(chosen[0])
        nulls = null_spectra(array[chosen[0]], first, draws=draws, seed=seed)
        add("members", size, (squared[np.ix_(subset, subset)] for subset in chosen), nulls)
    for size in images:
        chosen = _subsets(items, size, subsets, [seed, 1, size])  # [M, n]
        first = distance.of_items(chosen[0])
        nulls = null_spectra(array[:, chosen[0]], first, draws=draws, seed=seed)
        weights = np.zeros((len(chosen), items), dtype=np.float32)
        np.put_along_axis(weights, chosen, 1, axis=1)
        add("images", size, weighted_distances(array, distance, weights), nulls)
    columns = ["over", "size", "quantity", "mean", "low", "high", "subsets"]
    return pd.DataFrame(rows, columns=columns)


def _measure(matrices: Iterable[Array], nulls: dict[str, Array]) -> dict[str, Array]:
    """Return every quantity of each matrix [s, s] of squared distances, given null spectra."""
    two_nn, each = [], []
    for squared in matrices:
        each.append(_spectrum(squared))
        if len(squared) >= FEWEST_FOR_TWO_NN:
            two_nn.append(_two_nn(squared)[0])
    spectra = np.array(each)
    values = {quantity: statistic(spectra) for quantity, statistic in _STATISTICS.items()}
    for null, drawn in nulls.items():
        count = leading_axes(_shares(spectra), _shares(drawn), _QUANTILE)
        values[f"axes_{null}"] = np.asarray(count, dtype=np.float64)
    if two_nn:
        values["two_nn"] = np.array(two_nn)
    return values


def _two_nn(squared: Array) -> tuple[float, float, float]:
    """Return TwoNN and its interval; NaN where duplicates leave too few members."""
    try:
        estimate = estimates.two_nn(squared)
    except UserError:
        return np.nan, np.nan, np.nan
    return estimate.dimension, estimate.low, estimate.high


def _spectrum(squared: Array) -> Array:
    """Return eigenvalues of −½ J D² J, descending."""
    values: Array = np.asarray(np.linalg.eigvalsh(double_centred(squared)), np.float64)[::-1]
    return values


def _shares(spectra: Array) -> Array:
    """Return eigenvalues as shares of their sum, or zeros if it is zero."""
    total = spectra.sum(axis=-1, keepdims=True)
    shares: Array = np.divide(spectra, total, out=np.zeros_like(spectra), where=total > 0)
    return shares


def _top_share(spectra: Array, dimensions: int) -> Array:
    positive = np.maximum(spectra, 0)
    total, top = positive.sum(axis=-1), positive[..., :dimensions].sum(axis=-1)
    shares: Array = np.divide(top, total, out=np.full_like(top, np.nan), where=total > 0)
    return shares


def _top_2_stress(spectra: Array) -> Array:
    return np.array([explained_stress(values)[min(2, len(values)) - 1] for values in spectra])


# Functions of a batch of descending spectra: [B, S] -> [B].
_STATISTICS: dict[str, Callable[[Array], Array]] = {
    "participation_ratio": estimates.participation_ratio,
    "top_1_share": partial(_top_share, dimensions=1),
    "top_2_share": partial(_top_share, dimensions=2),
    "top_2_stress": _top_2_stress,
}


def _subsets(total: int, size: int, count: int, seed: list[int]) -> NDArray[np.intp]:
    """Draw subsets without replacement: [count, size], sorted; only one of the full size."""
    rng = np.random.default_rng(seed)
    count = count if size < total else 1
    return np.array([np.sort(rng.permutation(total)[:size]) for _ in range(count)])


def _check_sizes(sizes: Sequence[int], least: int, most: int, name: str) -> None:
    if not len(sizes) or not all(least <= size <= most for size in sizes):
        raise UserError(f"sizes of {name} must be from {least} to {most}; found {list(sizes)}")
