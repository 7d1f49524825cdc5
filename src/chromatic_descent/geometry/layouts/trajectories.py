"""Training trajectories: members recorded at several epochs, [S, T, N, C].

InPCA lays out all S·T points together. Each member's path has a length, each point a progress from
ignorance to truth, and the population an epoch at which its members separate.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chromatic_descent.errors import UserError
from chromatic_descent.geometry.checks import Array, Floats, check_labels, check_logits
from chromatic_descent.geometry.cores import batches
from chromatic_descent.geometry.distances.ingredients import root_softmax
from chromatic_descent.geometry.distances.kinds.divergences import COEFFICIENT_FLOOR
from chromatic_descent.geometry.distances.matrices import distance_matrix
from chromatic_descent.geometry.layouts.inpca import InPCA, inpca
from chromatic_descent.geometry.resampling import reflected_interval, resampled_counts

_BLOCK = 2**19  # float64 values of items read at a time (4 MiB)


@dataclass(frozen=True, eq=False)
class Trajectories:
    """Members' paths through function space: distances in [0, 1], coordinates in √nats.

    Epochs count from 0, the first one recorded.

    Attributes:
        embedding: the InPCA of all S·T points, member by member.
        coordinates: [S, T, k], the same by member and epoch.
        landmarks: [2, k], the positions of ignorance P₀ and the truth P* in that layout.
        progress: [S, T], from 0 (ignorance) to 1 (truth); see `progress`.
        path_length, path_low, path_high: [S], the sum of Hellinger distances between consecutive
            epochs, and its 95% interval over items.
        straightness: [S], distance from first to last epoch / path length; NaN without a path.
        between: [T], root mean squared Hellinger distance between two members at the same epoch.
        step: [T], the same between a member and itself one epoch earlier; NaN for the first epoch.
        ratio, ratio_low, ratio_high: [T], between / step, and its 95% interval over items.
        separation, separation_low, separation_high: the epoch from which on the ratio exceeds 1,
            and its 95% interval over items; infinite if the last ratio does not exceed 1.
    """

    embedding: InPCA
    coordinates: Array
    landmarks: Array
    progress: Array
    path_length: Array
    path_low: Array
    path_high: Array
    straightness: Array
    between: Array
    step: Array
    ratio: Array
    ratio_low: Array
    ratio_high: Array
    separation: float
    separation_low: float
    separation_high: float


def trajectories(
    logits: ArrayLike,
    labels: ArrayLike,
    *,
    dimensions: int = 3,
    resamples: int = 200,
    seed: int = 0,
) -> Trajectories:
    """Lay out members' training paths together, and measure them.

    With h²(p, q) = mean_n (1 − Σ_c √(p_nc q_nc)) the squared Hellinger distance:

        layout:      `inpca` of the Bhattacharyya divergences −mean_n log Σ_c √(p_nc q_nc)
        path length: Σ_t h(p_it, p_i,t+1); straightness: h(p_i0, p_i,T−1) / path length
        ratio:       √(mean_{i<j} h²(p_it, p_jt) / mean_i h²(p_i,t−1, p_it))

    Early in training members move much farther in an epoch than they are apart: they share one
    path. They have separated when they are farther from each other than from their own positions an
    epoch ago; `separation` is the first epoch from which on this holds. It depends on the learning
    rate (if that decays to zero, steps vanish and every ratio ends large) and, like the length of a
    path, on how often epochs are recorded: compare only studies recorded in the same way.

    Intervals come from a bootstrap over probe items, so they are not about other members: reflected
    for lengths and ratios (see `reflected_interval`), percentiles for the epoch.

    Args:
        logits: [S, T, N, C], S >= 2 members at T >= 2 epochs, in order.
        labels: [N], whole numbers from 0 to C − 1.
        dimensions: k, from 1 to S·T.

    Raises:
        UserError: logits misshapen or not finite; labels that do not fit; an argument out of range.

    Source: Mao et al. 2024, PNAS, "The training process of many deep networks explores the same
    low-dimensional manifold"; `separation` is our own.

    >>> rng = np.random.default_rng(0)
    >>> labels = rng.integers(3, size=100)
    >>> own = rng.normal(size=(4, 1, 100, 3))  # each member's deviation from the truth
    >>> epochs = np.arange(5)[:, None, None]
    >>> paths = trajectories(epochs * np.eye(3)[labels] + (epochs > 2) * own, labels)
    >>> paths.separation, bool((np.diff(paths.progress[:, :3]) > 0).all())
    (3.0, True)
    """
    array = np.asarray(logits)
    if array.ndim != 4 or array.shape[0] < 2 or array.shape[1] < 2:
        raise UserError(
            "logits over training must have shape [S, T, N, C] with at least 2 members and 2 "
            f"epochs; found shape {list(array.shape)}"
        )
    members, epochs, items, classes = array.shape
    points = check_logits(array.reshape(members * epochs, items, classes))
    y = check_labels(labels, "trajectories", items, classes)
    counts = resampled_counts(items, resamples, seed)

    layout = inpca(distance_matrix(points, "bhattacharyya"), dimensions)
    by_item, overlap, at_truth = _by_item(points, y, members)
    affinity = np.clip(np.stack([overlap, at_truth]), COEFFICIENT_FLOOR, 1)  # round-off exceeds 1
    progress = np.array([_progress(a, b, classes) for a, b in zip(overlap, at_truth, strict=True)])

    whole = _measures(by_item.mean(axis=1), members, epochs)
    again = _measures(by_item @ counts.T.astype(np.float64) / items, members, epochs)  # [..., B]
    path_low, path_high = _interval(whole["path_length"], again["path_length"])
    ratio_low, ratio_high = _interval(whole["ratio"], again["ratio"])
    early, late = np.quantile(again["separation"], [0.025, 0.975], method="inverted_cdf")
    return Trajectories(
        embedding=layout,
        coordinates=layout.coordinates.reshape(members, epochs, dimensions),
        landmarks=layout.project(-np.log(affinity).mean(axis=2)),
        progress=progress.reshape(members, epochs),
        path_low=path_low,
        path_high=path_high,
        ratio_low=ratio_low,
        ratio_high=ratio_high,
        separation=float(whole.pop("separation")),
        separation_low=float(early),
        separation_high=float(late),
        **whole,
    )


def progress(logits: ArrayLike, labels: ArrayLike) -> Array:
    """Return how far predictions have come, from 0 (ignorance) to 1 (truth): [..., N, C] -> [...].

    Ignorance P₀ gives every class 1/C, the truth P* gives all to the label. On each item √p is a
    point on a sphere. The shortest path from P₀ to P* rotates every item by the same angle
    θ = arccos(1/√C), and progress is the position of the nearest point on it:

        √p^λ = [sin((1−λ)θ) √p⁰ + sin(λθ) √p*] / sin θ
        progress = argmin_{0≤λ≤1} mean_n arccos Σ_c √(p_nc p^λ_nc)

    The mean is convex in λ, and bisection of its derivative gives the argmin to 1e-9. With
    a = Σ_c √p_nc / √C and b = (√p_{n,y} − a cos θ)/sin θ, the derivative is θ times the mean of
    u / √(1 − a² − b² + u²), u = a sin λθ − b cos λθ. Progress is not accuracy: members that are
    sure but wrong have made little, and so have members that are right but unsure.

    Args:
        logits: [..., N, C], any floating type.
        labels: [N], whole numbers from 0 to C − 1.

    Raises:
        UserError: logits of another shape or not finite; labels that do not fit.

    Source: see `trajectories`.

    >>> progress([[[0.0, 0.0, 0.0]], [[99.0, 0.0, 0.0]]], [0]).round(9)
    array([0., 1.])
    """
    array = np.asarray(logits, dtype=np.float64)
    if array.ndim < 2 or array.size == 0 or array.shape[-1] < 2 or not np.isfinite(array).all():
        raise UserError(
            "logits must be finite and of shape [..., N, C] with at least 2 classes; found shape "
            f"{list(array.shape)}"
        )
    items, classes = array.shape[-2:]
    y = check_labels(labels, "progress", items, classes)
    positions = []
    for f in array.reshape(-1, items, classes):
        root = root_softmax(f.copy())
        overlap, at_truth = root.sum(axis=1) / np.sqrt(classes), root[np.arange(items), y]
        positions.append(_progress(overlap, at_truth, classes))
    reshaped: Array = np.array(positions).reshape(array.shape[:-2])[()]
    return reshaped


def _progress(overlap: Array, at_truth: Array, classes: int) -> float:
    """Return the progress of one point from Σ√p/√C and √p_y, [N] each."""
    theta = np.arccos(1 / np.sqrt(classes))
    a = overlap
    b = (at_truth - a * np.cos(theta)) / np.sin(theta)
    off_plane = np.maximum(1 - a**2 - b**2, 0)  # squared sine of the angle to the path's plane

    def slope(position: float) -> float:
        u = a * np.sin(position * theta) - b * np.cos(position * theta)
        distance = np.sqrt(off_plane + u**2)
        return float(np.divide(u, distance, out=np.zeros_like(u), where=distance > 0).mean())

    low, high = 0.0, 1.0
    if slope(low) >= 0:
        return low
    if slope(high) <= 0:
        return high
    while high - low > 1e-9:
        middle = (low + high) / 2
        low, high = (middle, high) if slope(middle) < 0 else (low, middle)
    return (low + high) / 2


def _measures(means: Array, members: int, epochs: int) -> dict[str, Array]:
    """Return the bootstrapped fields of `Trajectories` from the means [R, ...] of `_by_item`."""
    rest = means.shape[1:]
    between = np.sqrt(means[:epochs])
    steps = means[epochs : epochs + members * (epochs - 1)]
    steps = steps.reshape(members, epochs - 1, *rest)  # [S, T−1, ...]
    path = np.sqrt(steps).sum(axis=1)
    ends = np.sqrt(means[-members:])
    step = np.concatenate([np.full((1, *rest), np.nan), np.sqrt(steps.mean(axis=0))])
    ratio = np.full_like(step, np.nan)
    np.divide(between, step, out=ratio, where=step > 0)
    ratio[(step == 0) & (between > 0)] = np.inf  # members that differ but no longer move
    # Separation is the epoch after the last one with a ratio of at most 1, or NaN as at the first.
    joined = np.where(ratio > 1, -1, np.arange(epochs).reshape(-1, *[1] * len(rest))).max(axis=0)
    return {
        "path_length": path,
        "straightness": np.divide(ends, path, out=np.full_like(path, np.nan), where=path > 0),
        "between": between,
        "step": step,
        "ratio": ratio,
        "separation": np.where(joined == epochs - 1, np.inf, joined + 1.0),
    }


def _by_item(points: Floats, labels: NDArray[np.intp], members: int) -> tuple[Array, Array, Array]:
    """Return every item's contributions, in one pass over the items.

    They are squared Hellinger distances [T + S·(T−1) + S, N], between members at each epoch (mean),
    between each member's consecutive epochs, and between its first and last; Σ_c √p / √C
    [S·T, N]; and √p_y [S·T, N].
    """
    count, items, classes = points.shape
    epochs = count // members
    squared = np.empty((epochs + members * epochs, items))
    overlap, at_truth = np.empty((2, count, items))
    for block in batches(items, _BLOCK // (count * classes)):
        root = root_softmax(points[:, block].astype(np.float64))  # [S·T, n, C]
        overlap[:, block] = root.sum(axis=-1) / np.sqrt(classes)
        at_truth[:, block] = root[:, np.arange(root.shape[1]), labels[block]]
        paths = root.reshape(members, epochs, -1, classes)
        # The mean of ½‖a − b‖² over pairs is Σ_i ‖a_i − ā‖² / (S − 1).
        spread = np.square(paths - paths.mean(axis=0)).sum(axis=(0, -1)) / (members - 1)
        steps = np.square(np.diff(paths, axis=1)).sum(axis=-1) / 2
        ends = np.square(paths[:, -1] - paths[:, 0]).sum(axis=-1) / 2
        squared[:, block] = np.concatenate([spread, steps.reshape(-1, spread.shape[1]), ends])
    return squared, overlap, at_truth


def _interval(value: Array, again: Array) -> tuple[Array, Array]:
    """Return the reflected interval, at least 0, of values [...] from [..., B]; NaN if infinite."""
    known = np.isfinite(value)
    finite = np.where(np.isfinite(again), again, 0.0)
    low, high = reflected_interval(np.where(known, value, np.nan), np.moveaxis(finite, -1, 0))
    return np.maximum(low, 0), high
