import math

import pytest
import torch
from torch import nn

from chromatic_descent.errors import UserError
from chromatic_descent.model import SmallCNN
from chromatic_descent.training.optim import Muon, muon, orthogonalise, scale


@pytest.mark.parametrize("shape", [(16, 216), (64, 64), (64, 16)])
def test_orthogonalise_brings_singular_values_near_one(shape):
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    u, _, vt = torch.linalg.svd(matrix, full_matrices=False)
    values = torch.linalg.svdvals(orthogonalise(matrix, steps=5).float())
    assert values.max() < 1.3
    assert values.median() > 0.6
    # and it is the polar factor that it goes to
    cosine = (orthogonalise(matrix, steps=5) * (u @ vt)).sum() / (u @ vt).norm()
    assert cosine / orthogonalise(matrix, steps=5).norm() > 0.95


def test_orthogonalise_forgets_the_scale():
    matrix = torch.randn(8, 8, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(
        orthogonalise(matrix), orthogonalise(1000 * matrix), rtol=0.02, atol=0.02
    )


def test_in_float32_a_rounding_error_stays_one():
    matrix, noise = torch.randn(2, 64, 576, generator=torch.Generator().manual_seed(0))
    near = matrix * (1 + 1e-6 * noise)
    apart = {
        dtype: (orthogonalise(matrix, dtype=dtype) - orthogonalise(near, dtype=dtype)).abs().max()
        for dtype in (torch.bfloat16, torch.float32)
    }
    assert apart[torch.float32] < 1e-5
    assert apart[torch.bfloat16] > 1e-3  # what float32 is there for


def test_another_type_to_orthogonalise_in_is_refused():
    options = {"lr": 0.2, "momentum": 0.6, "bias_lr": 0.05, "head_lr": 0.6, "sgd_momentum": 0.8}
    with pytest.raises(UserError, match=r"orthogonalise_in=float16: expected bfloat16 or float32"):
        muon(nn.Linear(2, 2), 10, weight_decay=0.0, orthogonalise_in="float16", **options)


def test_the_rest_is_torchs_sgd_with_nesterov_momentum():
    ours, theirs = (nn.Linear(3, 2) for _ in range(2))
    theirs.load_state_dict(ours.state_dict())
    group = {"params": list(ours.parameters()), "lr": 0.1, "weight_decay": 0.01}
    a = Muon([], [group], lr=0.0, momentum=0.0, sgd_momentum=0.85)
    b = torch.optim.SGD(
        theirs.parameters(), lr=0.1, momentum=0.85, nesterov=True, weight_decay=0.01
    )
    x = torch.randn(5, 3)
    for _ in range(4):
        for net, optimizer in ((ours, a), (theirs, b)):
            optimizer.zero_grad()
            net(x).square().sum().backward()
            optimizer.step()
    for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(p, q)


def test_a_filters_step_is_lr_times_an_orthogonal_matrix_from_unit_norm():
    filters = nn.Parameter(torch.randn(8, 4, 3, 3))
    before = filters.detach() * math.sqrt(8) / filters.detach().norm()
    optimizer = Muon([filters], [], lr=0.1, momentum=0.6, sgd_momentum=0.0)
    filters.square().sum().backward()
    optimizer.step()
    step = (before - filters.detach()).reshape(8, -1) / 0.1
    values = torch.linalg.svdvals(step)
    assert values.min() > 0.2
    assert values.max() < 1.3


def test_rates_are_per_example():
    net = SmallCNN(3, 10, (16, 16), widths=[8])
    options = {"lr": 0.2, "momentum": 0.6, "bias_lr": 0.05, "head_lr": 0.6, "sgd_momentum": 0.8}
    small, large = (muon(net, n, weight_decay=1e-6, **options) for n in (100, 200))
    for a, b in zip(small.param_groups, large.param_groups, strict=True):
        assert b["lr"] == a["lr"] * (1 if a["muon"] else 2)
        assert b["lr"] * b["weight_decay"] == pytest.approx(2 * a["lr"] * a["weight_decay"])


def test_a_head_that_is_not_scaled_steps_as_if_it_were():
    """With v = w/W, the step of v that a step of w makes: 1/W² of the rate."""
    scaled = SmallCNN(3, 10, (16, 16), widths=[8])
    plain = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Flatten(), nn.Linear(8, 10))
    options = {"lr": 0.2, "momentum": 0.6, "bias_lr": 0.05, "head_lr": 0.6, "sgd_momentum": 0.8}
    one, other = (muon(n, 10, weight_decay=1e-6, **options) for n in (scaled, plain))
    rates = [[group["lr"] for group in o.param_groups] for o in (one, other)]
    assert rates[0] == pytest.approx([0.2, 0.5, 6.0])
    assert rates[1] == pytest.approx([0.2, 0.5 / 8, 6.0 / 64])


class Attentive(nn.Module):
    """One of each kind of parameter."""

    def __init__(self):
        super().__init__()
        self.position = nn.Parameter(torch.zeros(1, 5, 8))  # 3-d, and multiplies nothing
        self.table = nn.Parameter(torch.zeros(9, 2))  # 2-d, multiplies nothing either
        self.signal = nn.Conv1d(3, 8, 3)
        self.patches = nn.Conv2d(3, 8, 2, bias=False)
        self.attention = nn.MultiheadAttention(8, 2)
        self.norm = nn.LayerNorm(8)
        self.fixed = nn.Linear(8, 8).requires_grad_(False)
        self.hidden = nn.Linear(8, 8)
        self.head = nn.Linear(8, 3)


def test_muon_is_for_what_multiplies_activations():
    net = Attentive()
    options = {"lr": 0.2, "momentum": 0.6, "bias_lr": 0.05, "head_lr": 0.6, "sgd_momentum": 0.8}
    groups = muon(net, 10, weight_decay=0.0, **options).param_groups
    names = {id(parameter): name for name, parameter in net.named_parameters()}
    filters, biases, head = ({names[id(p)] for p in group["params"]} for group in groups)
    assert filters == {
        *("signal.weight", "patches.weight", "hidden.weight"),
        *("attention.in_proj_weight", "attention.out_proj.weight"),
    }
    assert head == {"head.weight"}
    trained = {name for name, parameter in net.named_parameters() if parameter.requires_grad}
    assert biases == trained - filters - head


def test_a_filter_that_starts_at_zero_takes_a_step():
    filters = nn.Parameter(torch.zeros(4, 4))
    optimizer = Muon([filters], [], lr=0.1, momentum=0.6, sgd_momentum=0.0)
    filters.sum().backward()
    optimizer.step()
    assert filters.isfinite().all()
    assert filters.norm() > 0.05


def test_schedules():
    assert scale("constant", 0.0, 0.7) == 1
    assert [scale("linear", 0.0, t) for t in (0, 0.25, 1)] == [1, 0.75, 0]
    assert scale("cosine", 0.0, 0.5) == pytest.approx(0.5)
    assert scale("cosine", 0.0, 1.0) == pytest.approx(0)
    assert [scale("linear", 0.2, t) for t in (0, 0.1, 0.2, 0.6, 1)] == pytest.approx(
        [0, 0.5, 1, 0.5, 0]
    )
