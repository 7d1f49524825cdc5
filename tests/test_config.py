import pytest
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf

from chromatic_descent import config
from chromatic_descent.errors import UserError
from chromatic_descent.probe_logits.identity import config_hash, differences


def test_identity_leaves_out_where_and_how_visibly():
    cfg = {
        "seed": 3,
        "study": "s",
        "optim": {"lr": 0.1},
        "trainer": {"max_epochs": 2, "accelerator": "cpu", "enable_progress_bar": True},
        "data": {"source": {"root": "/somewhere", "name": "CIFAR10"}, "eval_batch_size": 10},
    }
    assert config.identity(OmegaConf.create(cfg)) == {
        "optim": {"lr": 0.1},
        "trainer": {"max_epochs": 2},
        "data": {"source": {"name": "CIFAR10"}},
    }


def test_the_hash_ignores_order_and_sees_values():
    a = config_hash({"a": 1, "b": {"c": [1, 2]}})
    assert a == config_hash({"b": {"c": [1, 2]}, "a": 1})
    assert a != config_hash({"a": 1, "b": {"c": [2, 1]}})


def test_differences_name_keys_with_both_values():
    found = {"a": 1, "b": {"c": 2, "d": None}, "e": 5}
    wanted = {"a": 1, "b": {"c": 3, "d": None}, "f": {}}
    assert differences(found, wanted) == [
        "b.c: 2 -> 3",
        "e: 5 -> absent",
        "f: absent -> {}",
    ]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=10,
)


@given(st.dictionaries(st.text("abc", min_size=1, max_size=3), json_values, max_size=4))
def test_nothing_differs_from_itself(tree):
    assert differences(tree, tree) == []


@pytest.mark.parametrize("seed", [0, 1, 10**12])
def test_seeds(seed):
    assert config.check_seed(seed) == seed


@pytest.mark.parametrize("seed", [-1, 1.0, "1", None, True])
def test_a_seed_that_is_not_a_whole_number_is_refused(seed):
    with pytest.raises(UserError, match="expected a whole number from 0"):
        config.check_seed(seed)


def test_a_user_error_inside_a_constructor_comes_out_as_it_is():
    with pytest.raises(UserError, match="nothing to train on"):
        config.instantiate(
            {
                "_target_": "chromatic_descent.data.ImageData",
                "train_size": 0,
                "source": {
                    "_target_": "chromatic_descent.data.sources.synthetic",
                    "_partial_": True,
                },
            }
        )
