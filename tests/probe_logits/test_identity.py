"""Identities of members: their hash, and configs that earlier releases wrote."""

import copy

import pytest

from chromatic_descent.probe_logits import identity
from chromatic_descent.probe_logits.identity import Identity, config_hash, differences, upgraded

SOLO = {"_target_": "chromatic_descent.training.population.solo", "_partial_": True}
EARLIER = {
    "data": {"probe_size": 20, "probe_seed": 1, "probe_foreign": None, "batch_size": 5},
    "population": SOLO,
    "probe": {"size": 20},
}
TODAY = {
    "data": {
        "batch_size": 5,
        "probe": {
            "_target_": "chromatic_descent.data.Probe",
            "size": 20,
            "seed": 1,
            "foreign": None,
        },
    },
    "population": {**SOLO, "_target_": "chromatic_descent.training.alone.solo"},
    "probe": {"size": 20},
}


def test_an_identity_is_a_record_of_who_a_member_is():
    one, other = Identity("SEED_0001", 1, {"b": 1, "a": [2]}), Identity("x", 2, {"a": [2], "b": 1})
    assert one.config_hash == other.config_hash == config_hash({"a": [2], "b": 1})
    assert one.record() == {
        "member": "SEED_0001",
        "seed": 1,
        "config": {"b": 1, "a": [2]},
        "config_hash": one.config_hash,
    }


def test_a_config_of_an_earlier_release_becomes_todays_with_its_hash():
    earlier = copy.deepcopy(EARLIER)
    record = upgraded({"config": earlier, "config_hash": config_hash(earlier), "seed": 3})
    assert record == {"config": TODAY, "config_hash": config_hash(TODAY), "seed": 3}
    assert earlier == EARLIER  # not changed in place
    assert upgraded(record) is record


@pytest.mark.parametrize(
    "config",
    [
        TODAY,
        {},
        None,
        [],
        {"data": None},
        {"data": {"probe_size": 1, "probe": 2}},
        {"_target_": []},
    ],
)
def test_anything_else_stays_as_it_is(config):
    record = {"config": config, "config_hash": "as given"}
    assert upgraded(record) is record


def test_differences_name_the_keys():
    assert differences(EARLIER, {**EARLIER, "probe": {"size": 9, "tta": True}}) == [
        "probe.size: 20 -> 9",
        "probe.tta: absent -> True",
    ]


def test_a_config_without_a_key_that_its_option_gained_has_the_former_value(monkeypatch):
    monkeypatch.setattr(identity, "_GAINED", {"x.adam": {"amsgrad": False}})
    optimiser = {"_target_": "x.adam", "lr": 0.1}
    today = {"optim": {"optimizer": {**optimiser, "amsgrad": False}}, "other": {"_target_": "x.b"}}
    earlier = {"optim": {"optimizer": optimiser}, "other": {"_target_": "x.b"}}
    assert upgraded({"config": earlier})["config_hash"] == config_hash(today)
    chosen = {"config": {"optim": {"optimizer": {**optimiser, "amsgrad": True}}}}
    assert upgraded(chosen) is chosen
