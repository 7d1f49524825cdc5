from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_dir
from lightning import Trainer
from omegaconf import OmegaConf

from chromatic_descent import config
from chromatic_descent.data import ImageData, sources
from chromatic_descent.probe_logits.identity import config_hash
from chromatic_descent.study import Member, Study
from chromatic_descent.training.alone import build_trainer, solo
from chromatic_descent.training.build import build_module
from chromatic_descent.training.joint import joint
from chromatic_descent.training.repulsion import from_config

CONFIGS = Path(config.configs_folder())


def composed(*overrides, name="train"):
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        return compose(name, overrides=list(overrides))


def options(group):
    return sorted(path.stem for path in (CONFIGS / group).glob("*.yaml"))


# What options leave to the user to name.
NAMED = {
    "data=own": ["data.source._target_=chromatic_descent.data.sources.synthetic"],
    "model=own": ["model._target_=chromatic_descent.model.ResNet18"],
    "model=torchvision": ["model.name=mobilenet_v3_small"],
    "model=timm": ["model.name=resnet10t"],
    "optim=own": ["optim.optimizer._target_=chromatic_descent.training.optim.adam"],
}


def test_every_group_of_the_design_is_there():
    groups = {path.name for path in CONFIGS.iterdir() if path.is_dir()}
    wanted = "data model optim population repulsion trainer logger callbacks experiment debug paths hydra launcher"
    assert groups == set(wanted.split())


@pytest.mark.parametrize("name", options("data"))
def test_data(name, monkeypatch):
    cfg = composed(f"data={name}", *NAMED.get(f"data={name}", []))
    if (
        "name" in cfg.data.source or name == "folder"
    ):  # not on every machine: a stand-in of its kind
        grey = name in ("mnist", "fashion_mnist")
        made = sources.synthetic(image_size=28 if grey else 32, train_images=64, test_images=64)
        if grey:
            made = sources.Images(
                made.name,
                made.classes,
                made.train_images[..., :1].contiguous(),
                made.train_labels,
                made.test_images[..., :1].contiguous(),
                made.test_labels,
            )
        data = config.instantiate(cfg.data, source=lambda: made)
    else:
        data = config.instantiate(cfg.data)
    assert isinstance(data, ImageData)
    data.setup("fit")
    images, labels = next(data.batches(0))
    assert images.shape[1:] == (data.channels, *data.image_size)
    assert len(images) == len(labels)


@pytest.mark.parametrize("optim", options("optim"))
@pytest.mark.parametrize(
    "model",
    [
        pytest.param(model, marks=pytest.mark.extras if model == "timm" else ())
        for model in options("model")
    ],
)
def test_models_and_optimisers(model, optim, tmp_path):
    chosen = (f"model={model}", f"optim={optim}")
    named = [override for option in chosen for override in NAMED.get(option, [])]
    cfg = composed(*chosen, *named, "data=synthetic", "logger=none")
    data = config.instantiate(cfg.data)
    module = build_module(cfg, data)
    optimizer = config.instantiate(cfg.optim.optimizer)(module.network, cfg.data.batch_size)
    held = {id(p) for group in optimizer.param_groups for p in group["params"]}
    trained = {id(p) for p in module.network.parameters() if p.requires_grad}
    assert held == trained  # each once, none forgotten
    assert sum(len(g["params"]) for g in optimizer.param_groups) == len(trained)


@pytest.mark.parametrize("group", ["trainer", "logger", "callbacks", "repulsion", "paths"])
def test_what_makes_a_trainer(group, tmp_path):
    for name in options(group):
        if name in ("tensorboard", "wandb", "mlflow"):
            continue  # extras: tests/training/test_loggers.py
        cfg = composed(f"{group}={name}", "trainer.accelerator=cpu")
        trainer = build_trainer(cfg, Member(Study(tmp_path), "SEED_0000"))
        assert isinstance(trainer, Trainer)


@pytest.mark.parametrize("name", options("repulsion"))
def test_repulsion(name):
    repulsion = from_config(composed(f"repulsion={name}").repulsion)
    if name == "none":
        assert repulsion is None
        return
    own, others = torch.randn(4, 10), torch.randn(3, 4, 10)
    assert repulsion.term(own, others, torch.arange(4)).isfinite()
    assert repulsion.joint or repulsion.sequential


def test_population():
    makers = {"solo": solo, "joint": joint}
    for name in options("population"):
        made = config.instantiate(composed(f"population={name}").population)
        assert made.func is makers[name]


@pytest.mark.parametrize("debug", options("debug"))
@pytest.mark.parametrize("experiment", options("experiment"))
def test_experiments_and_debugging_resolve_in_full(experiment, debug):
    cfg = composed(f"experiment={experiment}", f"debug={debug}")
    assert OmegaConf.to_container(cfg, resolve=True, throw_on_missing=True)


def test_the_default_is_the_standard_study():
    default, named = composed(), composed("experiment=standard")
    assert config_hash(config.identity(default)) == config_hash(config.identity(named))


@pytest.mark.parametrize("name", ["analyze", "studies", "import"])
def test_the_other_commands_resolve_in_full(name):
    assert OmegaConf.to_container(composed(name=name), resolve=True, throw_on_missing=True)


def test_what_is_not_identity_exists_in_the_config():
    cfg = composed("population=joint")
    known = {"trainer.logger", "trainer.callbacks", "trainer.default_root_dir"}  # Lightning's
    for key in set(config.NOT_IDENTITY) - known:
        assert key.split(".")[0] in cfg
        parent, _, leaf = key.rpartition(".")
        assert leaf in (OmegaConf.select(cfg, parent) if parent else cfg), key
