import pytest
import torch

from chromatic_descent.data.split import pick, split_training
from chromatic_descent.errors import UserError


def test_pick_is_ascending_fixed_by_its_seed_and_distinct():
    candidates = torch.arange(100, 200)
    picked = pick(candidates, 10, 0, "probe.size")
    assert torch.equal(picked, pick(candidates, 10, 0, "probe.size"))
    assert torch.equal(picked, picked.sort().values)
    assert len(set(picked.tolist())) == 10
    assert not torch.equal(picked, pick(candidates, 10, 1, "probe.size"))
    assert torch.equal(pick(candidates, None, 5, "probe.size"), candidates)


@pytest.mark.parametrize("size", [-1, 101])
def test_too_many_or_negative_names_the_key(size):
    with pytest.raises(UserError, match=rf"probe\.size={size}: expected a number from 0 to 100"):
        pick(torch.arange(100), size, 0, "probe.size")


def test_training_and_heldout_never_overlap():
    train, heldout = split_training(100, None, 30, seed=0)
    assert sorted([*train.tolist(), *heldout.tolist()]) == list(range(100))
    small, same = split_training(100, 10, 30, seed=0)
    assert torch.equal(same, heldout)  # what is held out does not depend on what is trained on
    assert set(small.tolist()) <= set(train.tolist())
    with pytest.raises(UserError, match=r"data\.train_size=80: expected a number from 0 to 70"):
        split_training(100, 80, 30, seed=0)
