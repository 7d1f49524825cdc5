import pytest
import torch
from torch import nn

from chromatic_descent.errors import UserError
from chromatic_descent.model import SmallCNN
from chromatic_descent.training.joint.memory import Need, available, fit, needs

NEED = Need(member=100, active=50, once=20)


@pytest.mark.parametrize(
    ("members", "chunk", "room", "expected"),
    [
        (4, None, 10_000, 4),
        (4, None, (20 + 400 + 100) / 0.9 + 1, 2),
        (4, 1, 10_000, 1),
        (4, 9, 10_000, 4),
        (4, None, (20 + 400 + 50) / 0.9 + 1, 1),
    ],
)
def test_as_many_as_fit(members, chunk, room, expected):
    assert fit(NEED, members, chunk, room) == expected


def test_what_does_not_fit_is_told_with_what_would():
    with pytest.raises(UserError, match=r"Use population\.chunk=2, a smaller"):
        fit(NEED, 4, 4, (20 + 400 + 100) / 0.9 + 1)
    with pytest.raises(UserError, match=r"population\.members=1000, .* Use population\.members=8"):
        fit(NEED, 1000, None, 1000)
    with pytest.raises(UserError, match=r"Use a smaller data\.batch_size"):
        fit(NEED, 2, None, 10)


def test_needs_count_weights_and_what_a_pass_keeps():
    net = nn.Sequential(nn.Flatten(), nn.Linear(48, 100), nn.ReLU(), nn.Linear(100, 2))
    weights = 4 * (48 * 100 + 100 + 200 + 2)
    need = needs(net, (3, 4, 4), images=10, points=0, stacked=False)
    assert need.member == 3 * weights
    assert need.active == 0
    # kept by each image: itself and what ReLU gives
    kept = 4 * (48 + 100)
    assert need.once == pytest.approx(weights + 10 * (kept + 2 * 4 * 48), rel=0.05)
    stacked = needs(net, (3, 4, 4), images=10, points=5, stacked=True)
    assert stacked.once == 0
    assert stacked.active > need.once


def test_the_network_is_left_as_it_is():
    net = SmallCNN(3, 10, (16, 16), widths=[8])
    before = {k: v.clone() for k, v in net.state_dict().items()}
    torch.manual_seed(0)
    drawn = torch.rand(1)
    torch.manual_seed(0)
    needs(net, (3, 16, 16), images=10, points=0, stacked=False)
    assert torch.equal(torch.rand(1), drawn)
    assert all(torch.equal(v, before[k]) for k, v in net.state_dict().items())


def test_some_memory_is_available():
    assert available(torch.device("cpu")) > 2**20
