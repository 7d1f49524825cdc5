"""Is the structure more than temperature and bias? The last rung of the ladder of nulls."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chromatic_descent.errors import UserError
from chromatic_descent.geometry.checks import Array, Floats, Logits
from chromatic_descent.geometry.distances.definition import Distance
from chromatic_descent.geometry.nulls import testing
from chromatic_descent.geometry.nulls.testing import NullTest, gram_of, null_test

_FAINT = 0.01  # the smallest usable scale, as a share of the mean scale


def temperature_and_bias(
    logits: Logits,
    distance: str | Distance,
    *,
    draws: int = 199,
    seed: int = 0,
    dimensions: int = 2,
) -> NullTest:
    """Compare the top-k explained share with that of members that differ in scale and class bias.

    Every member is decomposed into its class bias b_i (the mean logit of each class), a multiple
    s_i of the part F that all members share, and a residual:

        f_in = b_i + s_i (F_n + r_in),  f centred over classes (as it is for `logit_mse`)
        null: f'_in = b_i + s_i (F_n + r_π_n(i)n), π_n as in `independent_errors`

    F is the mean over members of (f_i − b_i)/s_i, and s_i is the least-squares slope of f_i on F,
    both fitted together; scales act on the residual as well, as a temperature does. r is dealt out
    among members item by item, and each member's own scale and bias are applied again. By chance,
    dealing changes a member's scale and bias a little, which would make the null vary where the
    data cannot. That part is fitted and removed, and the rest of r is enlarged to its former sum of
    squares. The test is not exact, but nearly so for N ≫ 1.

    It rejects that apart from a temperature and a class bias members are exchangeable on every
    item, independently across items. A small p shows that something else is shared across items.
    It does not show what, nor that two axes suffice; a bias that depends on the true class (a
    confusion) is enough. Arguments are as in `independent_errors`.

    Raises:
        UserError: as `independent_errors`; members have nothing in common, or one of them has
            nothing in common with the others (its scale is not positive).

    >>> rng = np.random.default_rng(0)
    >>> logits = rng.normal(size=(200, 4)) + 0.5 * rng.normal(size=(6, 200, 4))
    >>> surer = logits * np.linspace(0.5, 2, 6)[:, None, None]  # one axis, and it is temperature
    >>> temperature_and_bias(surer, "logit_mse", draws=39).p_value > 0.05
    True
    """
    logits, distance, observed, unit = testing.observed_share(logits, distance, dimensions, draws)
    fit = _fit(logits, raw=distance.sees_shift)
    members, items, classes = logits.shape
    blocks = testing.shuffle_blocks(members, items, classes)
    # The features of b + s F, less their mean over members: no distance sees the mean, and the rest
    # is small enough for float32.
    offsets: list[Array] = []  # [K, n] each
    fixed = np.zeros((members, members))
    for block in blocks:
        phi = distance.features(fit.bias[:, None] + fit.scale[:, None, None] * fit.shared[block])
        offsets.append(phi.mean(axis=0).T)
        fixed += gram_of(((phi - offsets[-1].T) / unit).astype(np.float32))
    weight = fit.scale * (fit.unit / unit) / np.sqrt(classes)
    if distance.temperature is not None:
        weight = weight / distance.temperature

    rng = np.random.default_rng(seed)
    null = np.empty(draws)
    for draw in range(draws):
        dealt = [testing.deal_out(fit.residual[block], rng) for block in blocks]  # [S, n, C] each
        refit = _refit(dealt, fit, blocks)
        if distance.of_logits:
            # b + s F lies in the span of the fit, and the residual is orthogonal to it.
            gram = fixed + np.outer(weight, weight) * refit.enlarge**2 * refit.gram
        else:
            gram = np.zeros((members, members))
            for r, offset, block in zip(dealt, offsets, blocks, strict=True):
                phi = distance.features(_null_logits(r, fit, refit, block))
                centred = phi.transpose(0, 2, 1) - offset  # [S, K, n]
                gram += gram_of((centred / unit).astype(np.float32))
        null[draw] = testing.uncentred_shares(gram[None], dimensions)[0]
    hypothesis = "apart from a scale and a class bias, members are exchangeable on every item"
    return null_test(observed, null, hypothesis, testing.TIE * observed)


@dataclass(frozen=True, eq=False)
class _Fit:
    """The decomposition f_i = b_i + s_i (F + r_i)."""

    scale: Array  # [S], s, of mean 1
    bias: Array  # [S, C], b
    shared: Array  # [N, C], F, with a mean of zero over items
    size: float  # ‖F‖
    direction: NDArray[np.float32]  # [N, C], F / ‖F‖
    unit: float  # the root mean square of r
    residual: NDArray[np.float32]  # [N, S, C], r / unit, with means of zero over members and items


def _fit(logits: Floats, *, raw: bool) -> _Fit:
    """Fit scales and biases to the logits, centred over classes unless `raw`."""
    members, items, classes = logits.shape
    blocks = testing.shuffle_blocks(members, items, classes)

    def member_logits(block: slice) -> Array:
        f = logits[:, block].astype(np.float64)
        return f if raw else f - f.mean(axis=-1, keepdims=True)

    bias = sum(member_logits(block).sum(axis=1) for block in blocks) / items  # [S, C]
    gram = np.zeros((members, members))
    for block in blocks:
        flat = (member_logits(block) - bias[:, None]).reshape(members, -1)
        gram += flat @ flat.T
    scale = _scales(gram, float(items * np.sum(bias**2)))

    def unscaled(block: slice) -> Array:
        logits_of_one_scale: Array = (member_logits(block) - bias[:, None]) / scale[:, None, None]
        return logits_of_one_scale

    shared = np.concatenate([unscaled(block).mean(axis=0) for block in blocks])
    size = float(np.linalg.norm(shared))
    rest = [np.linalg.norm(unscaled(block) - shared[block]) for block in blocks]
    unit = float(np.linalg.norm(rest)) / np.sqrt(logits.size)
    unit = unit or 1.0  # without a residual, members are scaled versions of each other
    residual = np.empty((items, members, classes), dtype=np.float32)
    for block in blocks:
        residual[block] = testing.by_item((unscaled(block) - shared[block]) / unit)
    return _Fit(scale, bias, shared, size, (shared / size).astype(np.float32), unit, residual)


def _scales(gram: Array, constant: float) -> Array:
    """Return s [S] such that s_i is the slope of f_i on F = mean_j f_j / s_j, from ⟨f_i, f_j⟩.

    With w = 1/s the slope is S (Gw)_i / wᵀGw. F is the mean of *unscaled* members: the plain mean
    contains more of the louder members' noise, which would make their scales too large.
    """
    members = len(gram)
    if gram.sum() <= 1e-26 * members * constant:  # round-off, compared with the constant part
        raise UserError(
            "the mean member gives all probe items the same logits: there is nothing that members "
            "could be scaled versions of"
        )
    scale = np.ones(members)
    for _ in range(200):
        weight = 1 / scale
        slope = members * (gram @ weight) / (weight @ gram @ weight)
        slope /= slope.mean()
        if slope.min() < _FAINT:
            member = int(slope.argmin())
            raise UserError(
                f"member {member} is not a scaled version of the others' mean (scale "
                f"{slope[member]:.3g}): has it collapsed? Leave it out"
            )
        step = np.sqrt(slope / scale)  # half the step, or it may oscillate
        scale = scale * step
        if np.abs(step - 1).max() < 1e-12:
            break
    result: Array = scale / scale.mean()
    return result


@dataclass(frozen=True, eq=False)
class _Refit:
    """α F/‖F‖ + β, which dealt residuals contain by chance; in units of `_Fit`."""

    scale: Array  # [S], α
    bias: Array  # [S, C], β
    gram: Array  # [S, S], of the residuals without that part
    enlarge: float  # the factor that restores their sum of squares


def _refit(dealt: Sequence[NDArray[np.float32]], fit: _Fit, blocks: list[slice]) -> _Refit:
    """Fit α F/‖F‖ + β to dealt residuals r [S, n, C], block by block."""
    items, members, classes = fit.residual.shape
    gram = np.zeros((members, members))
    along, total = np.zeros(members), np.zeros((members, classes))
    for r, block in zip(dealt, blocks, strict=True):
        gram += gram_of(r)
        along += r.reshape(members, -1) @ fit.direction[block].ravel()
        total += np.ones(r.shape[1], dtype=np.float32) @ r
    before = np.trace(gram)
    bias = total / items
    gram -= np.outer(along, along) + items * bias @ bias.T
    after = np.trace(gram)
    return _Refit(along, bias, gram, float(np.sqrt(before / after)) if after > 0 else 1.0)


def _null_logits(r: NDArray[np.float32], fit: _Fit, refit: _Refit, block: slice) -> Array:
    """Return b + s (F + enlarge · (r − α F/‖F‖ − β)), [S, n, C], items contiguous for speed."""
    own = (refit.enlarge * fit.unit * fit.scale)[:, None]
    along = fit.scale[:, None] - own * refit.scale[:, None] / fit.size
    constant = fit.bias - own * refit.bias
    f = np.multiply(r.transpose(0, 2, 1), own[:, :, None], order="C", dtype=np.float64)
    f += along[:, :, None] * fit.shared[block].T
    f += constant[:, :, None]
    return f.transpose(0, 2, 1)
