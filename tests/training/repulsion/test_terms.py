"""Terms against the same formulas written as plain loops in float64."""

import math

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from chromatic_descent.errors import UserError
from chromatic_descent.training.repulsion import terms

B, C, R = 3, 4, 3
NAMES = ("logit_mse", "hellinger", "kl", "rbf", "rbf_hellinger", "svgd", "ncl", "dbat")
LABELS = torch.tensor([0, 3, 1])


def softmax(z):
    e = np.exp(z - z.max())
    return e / e.sum()


def roots(z):
    return np.apply_along_axis(lambda row: np.sqrt(softmax(row)), -1, z)


def by_definition(name, own, others, bandwidth=None):
    """The value of a term for own [B, C], others [R, B, C], and the bandwidth as a constant."""
    points, members = len(own), len(others) + 1
    if name == "rbf_hellinger":
        return by_definition("rbf", roots(own), roots(others), bandwidth)
    if name in ("rbf", "svgd"):
        near = [math.exp(-((own - other) ** 2).mean() / bandwidth) for other in others]
        return math.log(1 + sum(near)) if name == "rbf" else (1 + sum(near)) / members
    total = 0.0
    for b in range(points):
        p, qs = softmax(own[b]), [softmax(other[b]) for other in others]
        if name == "ncl":
            total -= ((p - sum([p, *qs]) / members) ** 2).sum()
            continue
        for q, other in zip(qs, others, strict=True):
            if name == "logit_mse":
                part = 1 / (1 + ((own[b] - other[b]) ** 2).mean())
            elif name == "hellinger":
                part = np.sqrt(p * q).sum()
            elif name == "kl":
                part = 1 / (1 + (p * np.log(p / q)).sum() + (q * np.log(q / p)).sum())
            else:
                c = other[b].argmax()
                part = -math.log(p[c] * (1 - q[c]) + q[c] * (1 - p[c]) + 1e-7)
            total += part / len(others)
    return total / points


def bandwidth_by_definition(own, others):
    members = [own, *others]
    squared = sorted(
        ((members[i] - members[j]) ** 2).mean()
        for i in range(len(members))
        for j in range(i + 1, len(members))
    )
    return squared[(len(squared) - 1) // 2] / math.log(len(members) + 1)


def differences(function, at, step=1e-6):
    """Central finite differences of a scalar function of an array."""
    gradient = np.zeros_like(at)
    for index in np.ndindex(at.shape):
        moved = at.copy()
        moved[index] += step
        ahead = function(moved)
        moved[index] -= 2 * step
        gradient[index] = (ahead - function(moved)) / (2 * step)
    return gradient


def drawn(seed, others=R, spread=1.5):
    rng = np.random.default_rng(seed)
    return spread * rng.normal(size=(B, C)), spread * rng.normal(size=(others, B, C))


def value_and_gradient(name, own, others, labels=LABELS):
    leaf = torch.as_tensor(own).clone().requires_grad_()
    value = getattr(terms, name)(leaf, torch.as_tensor(others), labels)
    (gradient,) = torch.autograd.grad(value, leaf)
    return value.detach(), gradient


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("count", [1, R])
def test_values_and_gradients_are_those_of_the_formula(name, seed, count):
    own, others = drawn(seed, count)
    seen = (roots(own), roots(others)) if name == "rbf_hellinger" else (own, others)
    h = bandwidth_by_definition(*seen)
    expected = differences(lambda z: by_definition(name, z, others, h), own)
    if name == "svgd":  # the driving part adds to the gradient alone
        expected += driving_by_definition(own, others, h)
    value, gradient = value_and_gradient(name, own, others)
    assert value.dtype == torch.float64
    assert value.item() == pytest.approx(by_definition(name, own, others, h), rel=1e-12)
    np.testing.assert_allclose(gradient.numpy(), expected, rtol=1e-6, atol=1e-9)


def driving_by_definition(own, others, h):
    """(1/S) Σ_j k(g_j, g_i) ∇_j L_j, with finite differences of the cross-entropy."""

    def cross_entropy(z):
        return -sum(math.log(softmax(z[b])[LABELS[b]]) for b in range(B)) / B

    members = [own, *others]
    total = np.zeros_like(own)
    for each in members:
        k = math.exp(-((own - each) ** 2).mean() / h)
        total += k * differences(cross_entropy, each) / len(members)
    return total


def test_svgd_is_minus_the_stein_direction():
    own, others = drawn(7)
    h = bandwidth_by_definition(own, others)

    def kernel(g, other):
        return math.exp(-((g - other) ** 2).mean() / h)

    expected = driving_by_definition(own, others, h)
    for each in [own, *others]:  # − ∇_j k(g_j, g_i)
        expected -= differences(lambda g: kernel(g, own), each) / (R + 1)
    _, gradient = value_and_gradient("svgd", own, others)
    np.testing.assert_allclose(gradient.numpy(), expected, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_others_are_constants(name):
    own, others = (torch.as_tensor(x).requires_grad_() for x in drawn(0))
    value = getattr(terms, name)(own, others, LABELS)
    assert torch.autograd.grad(value, others, allow_unused=True) == (None,)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float32])
@pytest.mark.parametrize("scale", [1.0, 1e4])
@pytest.mark.parametrize("same", [False, True])
@pytest.mark.parametrize("count", [1, R])
def test_no_value_and_no_gradient_is_ever_nan(name, kind, scale, same, count):
    own, others = drawn(1, count)
    if scale > 1:
        own, others = scale * np.sign(own), scale * np.sign(others)
    if same:
        others = np.stack([own] * count)
    own, others = torch.as_tensor(own).to(kind), torch.as_tensor(others).to(kind)
    value, gradient = value_and_gradient(name, own, others)
    assert value.dtype == torch.float32  # computed in it, whatever comes in
    assert value.isfinite()
    assert gradient.dtype == kind
    assert gradient.isfinite().all()


@pytest.mark.parametrize("name", NAMES)
def test_a_term_is_a_mean_over_points(name):
    own, others = drawn(2)
    once, _ = value_and_gradient(name, own, others)
    twice, _ = value_and_gradient(
        name, np.concatenate([own] * 2), np.concatenate([others] * 2, 1), LABELS.repeat(2)
    )
    assert twice.item() == pytest.approx(once.item(), rel=1e-12)


@pytest.mark.parametrize("name", ["hellinger", "kl", "rbf_hellinger", "ncl", "dbat"])
def test_probabilities_do_not_see_a_shift(name):
    own, others = drawn(3)
    shifted, _ = value_and_gradient(name, own + np.array([[5.0], [-3.0], [1.0]]), others)
    assert shifted.item() == pytest.approx(value_and_gradient(name, own, others)[0].item())


def distance(name, a, b):
    """What a term is written in, between two sets of logits [C] of one point."""
    p, q = softmax(a), softmax(b)
    if name == "logit_mse":
        return ((a - b) ** 2).mean()
    if name == "hellinger":
        return 1 - np.sqrt(p * q).sum()
    if name == "kl":
        return ((p - q) * np.log(p / q)).sum()
    if name == "ncl":
        return ((p - q) ** 2).sum()
    c = b.argmax()
    return p[c] * (1 - q[c]) + q[c] * (1 - p[c])


logits = st.lists(st.floats(-8, 8), min_size=C, max_size=C).map(np.array)


@pytest.mark.parametrize("name", ["logit_mse", "hellinger", "kl", "ncl", "dbat"])
@given(first=logits, second=logits, other=logits)
def test_no_term_increases_with_distance(name, first, second, other):
    near, far = sorted((first, second), key=lambda own: distance(name, own, other))
    term = getattr(terms, name)
    values = [
        term(*(torch.from_numpy(x) for x in (own[None], other[None, None]))) for own in (near, far)
    ]
    assert values[1] <= values[0] + 1e-9


@pytest.mark.parametrize("name", ["rbf", "svgd"])
@given(way=logits, away=st.lists(st.floats(0.01, 5), min_size=1, max_size=4))
def test_no_kernel_term_grows_on_the_way_away_from_all(name, way, away):
    """The bandwidth is a constant in the gradient, so it is the gradient that must not point back."""
    own = np.broadcast_to(way / (np.linalg.norm(way) + 1e-3) + 1e-3, (B, C)).copy()
    others = np.stack([own - step * own for step in away])
    _, gradient = value_and_gradient(name, own, others)
    if name == "svgd":
        bandwidth = bandwidth_by_definition(own, others)
        assume(bandwidth > 0)  # where most others coincide the definition divides by it
        gradient -= torch.from_numpy(driving_by_definition(own, others, bandwidth))
    assert (gradient.numpy() * own).sum() <= 1e-6


BOUNDS = {
    "logit_mse": (0, 1),
    "hellinger": (0, 1),
    "kl": (0, 1),
    "rbf": (0, math.log(3)),
    "rbf_hellinger": (0, math.log(3)),
    "svgd": (1 / 3, 1),
    "ncl": (-2, 0),
    "dbat": (-math.log1p(1e-7), -math.log(1e-7)),
}


@pytest.mark.parametrize("name", NAMES)
@given(seed=st.integers(0, 2**32 - 1), size=st.floats(-6, 4))
def test_bounded_terms_are_bounded(name, seed, size):
    own, others = drawn(seed, 2, spread=10**size)
    value, _ = value_and_gradient(name, own, others)
    low, high = BOUNDS[name]
    assert low - 1e-6 <= value <= high + 1e-6


def test_the_scale_is_where_half_is_gone():
    own, others = torch.zeros(1, 4), torch.full((1, 1, 4), 3.0)
    assert terms.logit_mse(own, others, scale=9.0) == 0.5
    own, others = torch.zeros(1, 2), torch.tensor([[[1.0, 0.0]]])
    d = distance("kl", np.zeros(2), np.array([1.0, 0.0]))
    assert terms.kl(own, others, scale=d).item() == pytest.approx(0.5)


def test_svgd_needs_labels():
    with pytest.raises(UserError, match="svgd needs labelled points"):
        terms.svgd(torch.zeros(1, 2), torch.zeros(1, 1, 2))
