import importlib.util
import json
from urllib.error import URLError

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import torchvision

from chromatic_descent import probe_logits
from chromatic_descent.errors import UserError
from chromatic_descent.model import timm_network, torchvision_network
from chromatic_descent.study import Member, Study

SMALL = ["resnet18", "mobilenet_v3_small", "shufflenet_v2_x0_5", "squeezenet1_1", "googlenet"]


def make(name="shufflenet_v2_x0_5", channels=3, size=(32, 32), **options):
    return torchvision_network(channels, 7, size, name=name, **options)


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize(("channels", "size"), [(3, (32, 32)), (1, (28, 28))])
def test_shapes_and_float32_logits(name, channels, size):
    net = make(name, channels, size)
    assert net.training
    with torch.autocast("cpu", torch.bfloat16):
        trained = net(torch.randn(2, channels, *size))
        logits = net.eval()(torch.randn(2, channels, *size))
    for found in (trained, logits):
        assert found.shape == (2, 7)
        assert found.dtype == torch.float32
    if name != "squeezenet1_1":  # whose logits are all 0 at the start
        assert not torch.equal(logits, logits.bfloat16().float())  # and of more digits


def test_grey_images_are_shown_three_times():
    net = make(channels=1).eval()
    grey = torch.randn(2, 1, 32, 32)
    assert torch.equal(net(grey), net.body(grey.repeat(1, 3, 1, 1)))


def test_images_are_scaled_within_the_network():
    net = make(size=(24, 32), resize=64).eval()
    images = torch.randn(2, 3, 24, 32)
    larger = F.interpolate(images, (64, 64), mode="bilinear")
    torch.testing.assert_close(net(images), net.body(larger), rtol=1e-4, atol=1e-5)


def test_the_body_keeps_its_librarys_names():
    theirs = torchvision.models.shufflenet_v2_x0_5(num_classes=7)
    net = make().eval()
    net.body.load_state_dict(theirs.state_dict())
    images = torch.randn(2, 3, 32, 32)
    assert torch.equal(net(images), theirs.eval()(images))


def test_initialisation_is_a_function_of_the_seed():
    nets = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        nets.append(make().state_dict())
    same, other = (all(torch.equal(nets[0][key], nets[k][key]) for key in nets[0]) for k in (1, 2))
    assert same
    assert not other


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": None}, r"model\.name=null: torchvision has no .* expected one such as resnet18"),
        ({"name": "resnet81"}, r"resnet81: .* is it one of .*resnet18"),
        ({"name": "fasterrcnn_resnet50_fpn"}, "no classification network of that name"),
        ({"name": "inception_v3"}, r"cannot take images of 32x32 pixels \(.*model\.resize=PIXELS"),
        ({"name": "alexnet", "size": (16, 16)}, r"cannot take images of 16x16 pixels"),
        ({"name": "vit_b_32", "size": (24, 32)}, "takes square images, these have 24x32"),
        ({"name": "vit_b_32", "size": (20, 20)}, r"cannot take images of 20x20 pixels"),
        ({"channels": 4}, "takes images of 1 or 3 channels, these have 4"),
        ({"resize": 0}, r"model\.resize=0: expected a number of pixels"),
        ({"weights": "BEST"}, r"model\.weights=BEST: expected one of IMAGENET1K_V1, DEFAULT"),
    ],
)
def test_each_mistake_is_one_message(arguments, message):
    with pytest.raises(UserError, match=message):
        make(**arguments)


def test_pretrained_weights_come_by_torchvisions_own_way(monkeypatch):
    theirs = torchvision.models.shufflenet_v2_x0_5()  # of 1,000 classes
    asked = []

    def downloaded(url, **options):
        asked.append(url)
        return theirs.state_dict()

    monkeypatch.setattr(torchvision.models._api, "load_state_dict_from_url", downloaded)
    net = make(weights="DEFAULT")
    assert "shufflenetv2" in asked[0]
    own, wanted = net.body.state_dict(), theirs.state_dict()
    differing = {key for key in wanted if own[key].shape != wanted[key].shape}
    assert differing == {"fc.weight", "fc.bias"}
    assert all(torch.equal(own[key], wanted[key]) for key in wanted.keys() - differing)
    assert net(torch.randn(2, 3, 32, 32)).shape == (2, 7)


def test_weights_that_cannot_be_downloaded_say_where_to_put_them(monkeypatch):
    def fails(url, **options):
        raise URLError("no network")

    monkeypatch.setattr(torchvision.models._api, "load_state_dict_from_url", fails)
    with pytest.raises(UserError, match=r"could not be downloaded .*put shufflenetv2\S+ into \S+"):
        make(weights="DEFAULT")


@pytest.mark.skipif(importlib.util.find_spec("timm") is not None, reason="timm is installed")
def test_timm_is_an_extra():
    with pytest.raises(UserError, match=r"pip install 'chromatic-descent\[timm\]'"):
        timm_network(3, 7, (32, 32), name="resnet18")


@pytest.mark.extras
@pytest.mark.parametrize(
    ("name", "channels", "size"),
    [("resnet10t", 1, (28, 28)), ("vit_tiny_patch16_224", 3, (32, 32)), ("lcnet_035", 5, (32, 32))],
)
def test_timms_networks(name, channels, size):
    net = timm_network(channels, 7, size, name=name)
    with torch.autocast("cpu", torch.bfloat16):
        logits = net(torch.randn(2, channels, *size))
    assert logits.shape == (2, 7)
    assert logits.dtype == torch.float32


@pytest.mark.extras
def test_timms_mistakes():
    with pytest.raises(UserError, match=r"model\.name=resnet81: timm .* is it one of"):
        timm_network(3, 7, (32, 32), name="resnet81")
    with pytest.raises(UserError, match=r"model\.weights=best: expected one of DEFAULT, "):
        timm_network(3, 7, (32, 32), name="resnet18", weights="best")
    with pytest.raises(UserError, match="cannot take images of 8x8"):
        timm_network(3, 7, (8, 8), name="vit_tiny_patch16_224")


@pytest.mark.slow
@pytest.mark.parametrize("name", torchvision.models.list_models(module=torchvision.models))
def test_every_network_of_torchvisions_is_built_or_says_what_to_do(name):
    weights = torchvision.models.get_model_weights(name)
    if weights.DEFAULT.meta["num_params"] > 1e8:
        pytest.skip("more than 100 million parameters")
    try:
        net = make(name, 1, (28, 28))
    except UserError as error:
        assert "model.resize=PIXELS" in str(error)
        net = make(name, 1, (28, 28), resize=224)
    logits = net(torch.randn(2, 1, 28, 28))
    assert logits.shape == (2, 7)
    logits.sum().backward()
    assert all(p.grad is not None for p in net.parameters() if p.requires_grad)


QUICK = ("distances=[hellinger]", "maps=[hellinger]", "combiners=[mean_logit]", "tsne=0")
QUICK += ("bootstrap=5", "draws=9", "permutations=9", "splits=2", "subsets=3", "figures=[]")
MOBILE = (
    *("data=synthetic", "model=torchvision", "model.name=mobilenet_v3_small", "optim=adamw"),
    *("data.train_size=64", "data.batch_size=32", "probe.size=40", "threads=1", "logger=none"),
    *("trainer.max_epochs=2", "trainer.precision=32-true"),
)


def test_members_alone_and_together_are_the_same_and_are_analysed(command_line, tmp_path):
    """Dropout, norms and squeeze-and-excitation: what each draws is its own."""
    alone = command_line("train", "-m", "seed=0,1", "study=alone", *MOBILE)
    assert alone[0] == 0, alone[1]
    joint = ("population=joint", "population.members=2", "study=together")
    code, printed = command_line("train", *MOBILE, *joint)
    assert code == 0, printed
    one, other = (Study(tmp_path / "multirun" / name) for name in ("alone", "together"))
    for name in ("SEED_0000", "SEED_0001"):
        a, b = (probe_logits.load(Member(study, name).artefact) for study in (one, other))
        assert np.array_equal(a.logits, b.logits)
        checkpoint = torch.load(Member(one, name).checkpoint, weights_only=True)
        assert "network.body.features.0.0.weight" in checkpoint["state_dict"]
    code, printed = command_line("analyze", "study=alone", *QUICK)
    assert code == 0, printed
    page = (one.reports / "report.html").read_text()
    assert "mobilenet_v3_small networks trained on synthetic" in page
    assert json.loads((one.reports / "analysis.json").read_text())["members"]["table"]


@pytest.mark.slow
def test_repulsion_takes_them(command_line, tmp_path):
    repelled = ("repulsion=hellinger", "repulsion.batch_size=16", "trainer.max_epochs=1")
    code, printed = command_line("train", "-m", "seed=0,1", "study=r", *MOBILE, *repelled)
    assert code == 0, printed
