import pytest
import torch

from chromatic_descent.errors import UserError
from chromatic_descent.model import PlainCNN, ResNet18, SmallCNN


@pytest.mark.parametrize("network", [SmallCNN, PlainCNN, ResNet18])
@pytest.mark.parametrize(("channels", "size"), [(3, (32, 32)), (1, (28, 28)), (3, (16, 24))])
def test_shapes_and_float32_logits(network, channels, size):
    net = network(in_channels=channels, num_classes=7, image_size=size).eval()
    with torch.autocast("cpu", torch.bfloat16):
        logits = net(torch.randn(2, channels, *size))
    assert logits.shape == (2, 7)
    assert logits.dtype == torch.float32


def test_large_images_keep_imagenets_stem():
    net = ResNet18(in_channels=1, num_classes=3, image_size=(96, 96)).eval()
    assert net.body.conv1.stride == (2, 2)
    assert net(torch.randn(2, 1, 96, 96)).shape == (2, 3)


@pytest.mark.parametrize("network", [SmallCNN, PlainCNN])
def test_too_many_widths_for_the_image(network):
    with pytest.raises(UserError, match=r"model\.widths=\[8, 8, 8, 8\] halves the image 4 times"):
        network(in_channels=1, num_classes=2, image_size=(8, 8), widths=[8, 8, 8, 8])


def test_the_first_layer_whitens_its_patches():
    # Correlated pixels: neighbours share most of their value.
    noise = torch.randn(64, 3, 18, 18, generator=torch.Generator().manual_seed(0))
    images = torch.nn.functional.avg_pool2d(noise, 3, stride=1)
    net = SmallCNN(3, 10, (16, 16), widths=[8])
    net.initialise_from(images, epsilon=0.0)
    out = torch.nn.functional.conv2d(images, net.whiten.weight)  # without its bias
    half = out[:, :12].transpose(0, 1).reshape(12, -1).double()
    second_moments = half @ half.T / half.shape[1]
    torch.testing.assert_close(second_moments, torch.eye(12).double(), rtol=0, atol=1e-3)
    assert torch.equal(net.whiten.weight[:12], -net.whiten.weight[12:])


def test_the_first_layer_is_not_trained_and_the_rest_is():
    net = SmallCNN(3, 10, (16, 16), widths=[8, 8])
    net(torch.randn(4, 3, 16, 16)).sum().backward()
    for name, parameter in net.named_parameters():
        fixed = name.startswith("whiten") or (".norm" in name and name.endswith("weight"))
        assert parameter.requires_grad is not fixed, name
        assert (parameter.grad is None) is fixed, name


def test_convolutions_begin_by_passing_their_input_on():
    net = SmallCNN(3, 10, (16, 16), widths=[8, 16])
    x = torch.randn(1, 8, 5, 5)
    passed = net.groups[1].conv1(x)[:, :8]
    torch.testing.assert_close(passed, x)
