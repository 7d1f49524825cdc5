import pytest
import torch
from hydra import compose, initialize_config_dir
from torch import nn

from chromatic_descent import config
from chromatic_descent.errors import UserError
from chromatic_descent.training.repulsion import evaluating, features, from_config
from tests.makers import make_pool_data


def repulsion(*overrides):
    with initialize_config_dir(config.configs_folder(), version_base="1.3"):
        return from_config(compose("train", list(overrides)).repulsion)


def net():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 3, 2),
        nn.BatchNorm2d(3),
        nn.GELU(),
        nn.Dropout(0.5),
        nn.Flatten(),
        nn.Linear(27, 5),
    )


IMAGES = torch.randn(6, 1, 4, 4, generator=torch.Generator().manual_seed(1))
LABELS = torch.tensor([0, 1, 2, 3, 4, 0])


def test_none_and_strength_zero_are_no_repulsion():
    assert repulsion("repulsion=none") is None
    assert repulsion("repulsion=rbf", "repulsion.strength=0") is None
    assert repulsion("repulsion=rbf") is not None


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("strength=-1", r"repulsion\.strength=-1: expected from 0"),
        ("strength=nan", r"repulsion\.strength=nan"),
        ("strength=strong", r"repulsion\.strength=strong"),
        (
            "schedule=sudden",
            r"repulsion\.schedule=sudden: expected one of constant, warmup, cosine",
        ),
        ("warmup=1.5", r"repulsion\.warmup=1\.5: expected 0 to below 1"),
        ("of=dreams", r"repulsion\.of=dreams: expected one of outputs, weights"),
        ("points=elsewhere", r"repulsion\.points=elsewhere: expected one of train, heldout"),
        ("points=probe", "never trained on"),
        ("pool=0", r"repulsion\.pool=0"),
        ("batch_size=0", r"repulsion\.batch_size=0: expected a number from 1"),
        ("batch_size=5000", r"repulsion\.batch_size=5000: expected at most the 2000 points"),
        ("labels=maybe", r"repulsion\.labels=maybe: expected true or false"),
        (
            "references.choose=best",
            r"repulsion\.references\.choose=best: expected one of random, near",
        ),
        (
            "references.count=0",
            r"repulsion\.references\.count=0: expected a number from 1, or null",
        ),
        ("references.from=null", r"repulsion\.references\.from=None: expected 'study', or another"),
        ("+references.to=x", r"repulsion\.references=.*expected {from, count, choose}"),
    ],
)
def test_bad_options_are_one_message(override, message):
    override = f"+repulsion.{override[1:]}" if override[0] == "+" else f"repulsion.{override}"
    with pytest.raises(UserError, match=message):
        repulsion("repulsion=rbf", override)


def test_terms_that_need_labels_refuse_points_without():
    for name in ("svgd", "input_gradient"):
        with pytest.raises(UserError, match=r"repulsion\.points=noise have no labels"):
            repulsion(f"repulsion={name}", "repulsion.points=noise")


def test_schedules():
    def weights(*overrides):
        r = repulsion("repulsion=rbf", "repulsion.strength=2", "repulsion.warmup=0.2", *overrides)
        return [r.weight(t) for t in (0, 0.1, 0.2, 0.6, 1)]

    assert weights("repulsion.schedule=constant") == [2, 2, 2, 2, 2]
    assert weights("repulsion.schedule=warmup") == pytest.approx([0, 1, 2, 2, 2])
    assert weights("repulsion.schedule=cosine") == pytest.approx([0, 1, 2, 1, 0])


def test_outputs_are_centred_logits():
    network = net().eval()
    seen = features(network, network.parameters(), IMAGES, None, "outputs")
    logits = network(IMAGES)
    torch.testing.assert_close(seen, logits - logits.mean(1, keepdim=True))


def test_weights_are_those_that_are_trained():
    network = net()
    network[0].requires_grad_(False)
    seen = features(network, network.parameters(), IMAGES, None, "weights")
    expected = [network[1].weight, network[1].bias, network[5].weight, network[5].bias]
    assert torch.equal(seen, torch.cat([w.flatten() for w in expected])[None])


def test_input_gradients_are_those_of_the_labels_log_probability_at_length_one():
    network = net().double().eval()
    images = IMAGES.double()
    seen = features(network, network.parameters(), images, LABELS, "input_gradients")
    step = 1e-6
    expected = torch.zeros(6, 16)
    for pixel in range(16):
        moved = torch.zeros(1, 16, dtype=torch.float64)
        moved[0, pixel] = step
        ends = [
            network(images + sign * moved.view(1, 1, 4, 4)).log_softmax(1)[range(6), LABELS]
            for sign in (1, -1)
        ]
        expected[:, pixel] = (ends[0] - ends[1]).detach() / (2 * step)
    expected /= expected.norm(dim=1, keepdim=True)
    torch.testing.assert_close(seen.detach(), expected, rtol=1e-4, atol=1e-5)
    (gradient,) = torch.autograd.grad(seen[0, 0], network[5].weight)  # second derivatives
    assert gradient.abs().max() > 0


def test_a_network_is_left_as_it_was_and_its_statistics_untouched():
    network = net()
    network[3].eval()  # someone's wish
    before = {k: v.clone() for k, v in network.state_dict().items()}
    modes = [m.training for m in network.modules()]
    with evaluating(network):
        first, second = network(IMAGES), network(IMAGES)
        alone = network(IMAGES[:3])
    assert torch.equal(first, second)  # no dropout
    assert not torch.allclose(first[:3], alone)  # BatchNorm by what it is shown
    assert [m.training for m in network.modules()] == modes
    assert network[1].track_running_stats
    assert all(torch.equal(v, before[k]) for k, v in network.state_dict().items())


def test_a_penalty_is_computed_in_float32_under_autocast():
    r = repulsion("repulsion=hellinger")
    own, others = torch.randn(4, 5, dtype=torch.bfloat16), torch.randn(2, 4, 5)
    with torch.autocast("cpu", torch.bfloat16):
        penalty = r.penalty(own, others)
    assert penalty.dtype == torch.float32
    assert penalty == r.term(own, others)


def test_too_few_points_for_a_batch_are_one_message():
    with pytest.raises(UserError, match=r"batch_size=64: there are only 24 points of kind heldout"):
        repulsion("repulsion=rbf", "repulsion.points=heldout").make_pool(make_pool_data())
