"""Interventions: remove a driver, and measure how much of the map disappears with it.

A correlation shows that an axis varies with, for example, temperature. Removing every member's
temperature and laying the members out again shows how much of the axis *was* temperature.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chromatic_descent.errors import UserError
from chromatic_descent.geometry import checks
from chromatic_descent.geometry.checks import Array, Floats, Logits
from chromatic_descent.geometry.distances.by_name import distance as bind
from chromatic_descent.geometry.distances.definition import Distance
from chromatic_descent.geometry.distances.items import weighted_distances
from chromatic_descent.geometry.distances.matrices import distance_matrix
from chromatic_descent.geometry.layouts.alignment import procrustes
from chromatic_descent.geometry.layouts.mds import classical_mds, double_centred
from chromatic_descent.geometry.resampling import reflected_interval, resampled_counts

if TYPE_CHECKING:
    import pandas as pd

INTERVENTIONS = ("temperature", "class_bias", "confusion", "all")
"""The kinds of `intervene`; `all` is the other three in this order."""


def intervene(
    logits: Logits, labels: ArrayLike, kind: str, *, temperature: ArrayLike | None = None
) -> Array:
    """Return the members' logits, [S, N, C], with one driver replaced by its average over members.

    With f̃ = f − mean_c f and bars for means over members:

        temperature   f_i · T̄ / T_i, T̄ the geometric mean of the T_i: all as sure as the average
        class_bias    f_i − (b_i − b̄), b_ic = mean_n f̃_inc
        confusion     f_in − s_i V[y_n], V the leading principal component over members, and s_i
                      the scores on it, of the class means A_i[c, c'] = mean_{n: y_n = c} f̃_inc',
                      each class weighted by its number of items
        all           the three in this order, each applied to the previous result

    V is the pattern "on items of class c the logit of c' is higher" in which members differ most.
    Both `class_bias` and `confusion` are orthogonal projections of a member's deviation from the
    mean: the first removes everything that is constant over all items, the second the one function,
    constant over the items of a class, in which members differ most. They overlap with each other
    and with temperature, so the parts that they remove do not add up.

    Args:
        logits: [S, N, C], or the path of a .npy or .npz file.
        labels: [N], whole numbers from 0 to C − 1; used by `confusion`.
        kind: one of `INTERVENTIONS`.
        temperature: [S], fitted to the members; needed by `temperature` and `all`.

    Raises:
        UserError: unknown kind; logits, labels or temperature missing, misshapen or out of range.

    >>> logits = np.array([[[3.0, 1.0], [1.0, 1.0]], [[1.0, 1.0], [1.0, 3.0]]])
    >>> intervene(logits, [0, 1], "class_bias")[0]  # member 0 favours class 0 by 0.5
    array([[2.5, 1.5],
           [0.5, 1.5]])
    """
    array, y, fitted = checks.check_labelled(logits, labels, temperature, "intervene")
    _check_kind(kind, fitted)
    f = array.astype(np.float64)
    if kind in ("temperature", "all") and fitted is not None:
        f *= (_geometric_mean(fitted) / fitted)[:, None, None]
    if kind in ("class_bias", "all"):
        bias = _centred(f.mean(axis=1))  # [S, C]
        f -= (bias - bias.mean(axis=0))[:, None]
    if kind in ("confusion", "all"):
        _project_out_confusion(f, y)
    return f


def interventions(
    logits: Logits,
    labels: ArrayLike,
    distance: str | Distance,
    *,
    temperature: ArrayLike | None = None,
    kinds: Sequence[str] | None = None,
    resamples: int = 200,
    seed: int = 0,
) -> "pd.DataFrame":
    """Lay members out after each intervention, and report the share of the first two axes removed.

        removed = 1 − (λ'₁ + λ'₂) / (λ₁ + λ₂)

    with λ the eigenvalues of −½ J D² J before and λ' after; in absolute terms, so halving
    everything removes half. If the second pair of axes is nearly as long as the first, as among
    members that share nothing, it takes over, and little can be removed: read `removed` with the
    spectrum, and with `removed_total`, the same for all axes. It is negative if the axes grew.

    The interval comes from a bootstrap over probe items, see `reflected_interval`; the estimates
    from all items (T_i, b_i, s_i and V) are held fixed. Among members without any structure some
    noise is removed, at most a share C/N of the total.

    Args:
        logits: [S, N, C], or the path of a .npy or .npz file.
        labels: [N], whole numbers from 0 to C − 1.
        distance: any but `cka`, which is not a mean over items.
        temperature: [S], fitted to the members; after `temperature` and `all`,
            `logit_mse_matched` uses its geometric mean for every member.
        kinds: of `INTERVENTIONS`; by default all, or without `temperature` all that do not need it.

    Returns:
        One row per kind: intervention, before, after (λ₁ + λ₂, in the squared distance's unit),
        removed, low, high, removed_total, top_2_share (after, of all variance), correlation (of the
        two maps, Procrustes r; NaN when no distances remain).

    Raises:
        UserError: as `intervene` and `distance_matrix`; identical members; fewer than 1 resample.

    >>> rng = np.random.default_rng(0)
    >>> labels = rng.integers(3, size=200)
    >>> temperature = np.linspace(0.5, 2, 8)
    >>> logits = rng.normal(size=(200, 3)) * temperature[:, None, None]  # nothing else differs
    >>> table = interventions(logits, labels, "logit_mse", temperature=temperature)
    >>> table.set_index("intervention").removed["temperature"].round(6)
    np.float64(1.0)
    """
    import pandas as pd

    array, y, fitted = checks.check_labelled(logits, labels, temperature, "interventions")
    members, items, _ = array.shape
    distance = bind(distance, labels=y, temperature=fitted)
    if kinds is None:
        kinds = INTERVENTIONS if fitted is not None else ("class_bias", "confusion")
    for kind in kinds:
        _check_kind(kind, fitted)
    counts = resampled_counts(items, resamples, seed)

    def resampled_top_two(logits: Floats, distance: Distance) -> Array:
        return np.array([_top_two(d) for d in weighted_distances(logits, distance, counts)])

    dimensions = min(2, members)
    squared = distance_matrix(array, distance)
    checks.check_apart(squared, "so their map is a point")
    mds = classical_mds(squared, dimensions)
    before, before_again = _top_two(squared), resampled_top_two(array, distance)

    rows = []
    for kind in kinds:
        changed = intervene(array, y, kind, temperature=fitted)
        matched = distance
        if kind in ("temperature", "all") and fitted is not None:
            matched = bind(distance, temperature=np.full(members, _geometric_mean(fitted)))
        remaining = distance_matrix(changed, matched)
        again = resampled_top_two(changed, matched)
        remaining[remaining < 1e-20 * squared.max()] = 0  # round-off
        removed = np.array(1 - _top_two(remaining) / before)
        low, high = reflected_interval(removed, 1 - again / before_again)
        after = classical_mds(remaining, dimensions)
        row = {
            "intervention": kind,
            "before": before,
            "after": _top_two(remaining),
            "removed": float(removed),
            "low": float(low),
            "high": min(1.0, float(high)),
            "removed_total": float(1 - remaining.sum() / squared.sum()),
            "top_2_share": float(after.explained[-1]),
            "correlation": procrustes(mds.coordinates, after.coordinates).correlation,
        }
        rows.append(row)
    return pd.DataFrame(rows)


def _project_out_confusion(f: Array, labels: NDArray[np.intp]) -> None:
    """Remove the leading confusion mode from logits [S, N, C], in place."""
    members, items, classes = f.shape
    counts = np.bincount(labels, minlength=classes)
    present = np.flatnonzero(counts)
    member_of = (labels == present[:, None]) / counts[present, None]  # [c, N] averages each class
    means = _centred(np.matmul(member_of, f))  # [S, c, C]
    means -= means.mean(axis=0)
    weight = np.sqrt(counts[present] / items)[:, None]
    # With classes weighted by √(share of items), inner products are those of functions of items.
    u, s, vt = np.linalg.svd((means * weight).reshape(members, -1), full_matrices=False)
    pattern = np.zeros((classes, classes))
    pattern[present] = vt[0].reshape(len(present), classes) / weight  # V
    f -= (u[:, 0] * s[0])[:, None, None] * pattern[labels]


def _top_two(squared: Array) -> float:
    """Return λ₁ + λ₂ of −½ J D² J."""
    return float(np.maximum(np.linalg.eigvalsh(double_centred(squared))[-2:], 0).sum())


def _geometric_mean(temperature: Array) -> float:
    """Return the temperature that all members share after the intervention."""
    return float(np.exp(np.log(temperature).mean()))


def _centred(values: Array) -> Array:
    """Return values less their mean over classes, the last axis."""
    centred: Array = values - values.mean(axis=-1, keepdims=True)
    return centred


def _check_kind(kind: str, temperature: Array | None) -> None:
    if kind not in INTERVENTIONS:
        raise UserError(f"intervention must be one of {', '.join(INTERVENTIONS)}; found {kind!r}")
    if kind in ("temperature", "all") and temperature is None:
        checks.check_temperature(None, 0, f"the intervention {kind!r}")
