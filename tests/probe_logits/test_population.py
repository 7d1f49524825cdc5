import numpy as np
import pytest

from chromatic_descent import probe_logits
from chromatic_descent.errors import ArtefactError, UserError
from chromatic_descent.probe_logits import ProbeSliceLogits
from tests.makers import make_member


def test_stack_keeps_order_and_names():
    population = probe_logits.stack([make_member("SEED_0002", 2), make_member("SEED_0000", 0)])
    assert population.logits.shape == (2, 6, 3)
    assert population.names == ["SEED_0002", "SEED_0000"]
    assert population.seeds == [2, 0]
    assert population.classes == ["a", "b", "c"]


def test_slices_are_stacked_if_every_member_has_the_same_images():
    members = [make_member(f"SEED_000{seed}", seed) for seed in range(3)]
    shifted = ProbeSliceLogits(np.ones((2, 3), np.float32), np.arange(2), np.arange(2))
    members[0].slices["shift-contrast-1"] = members[1].slices["shift-contrast-1"] = shifted
    assert set(probe_logits.stack(members).slices) == {"train"}  # the third has not the other
    stacked = probe_logits.stack(members[:2]).slices
    assert set(stacked) == {"train", "shift-contrast-1"}
    assert stacked["shift-contrast-1"].logits.shape == (2, 2, 3)
    assert stacked["train"].labels.tolist() == members[0].slices["train"].labels.tolist()
    members[1].record["slice_hashes"] = {"train": "other images"}
    assert set(probe_logits.stack(members[:2]).slices) == {"shift-contrast-1"}
    assert probe_logits.from_arrays(np.ones((3, 5, 2)), np.zeros(5, int)).slices == {}


def test_different_probes_are_never_mixed_and_are_named():
    members = [make_member("SEED_0000", 0), make_member("SEED_0001", 1, probe_hash="b" * 64)]
    with pytest.raises(ArtefactError, match=r"a{12}: SEED_0000\n  b{12}: SEED_0001"):
        probe_logits.stack(members)


def test_altered_labels_under_the_same_probe_hash_are_refused():
    members = [make_member("SEED_0000"), make_member("SEED_0001")]
    members[1].labels[0] = 2
    with pytest.raises(ArtefactError, match="SEED_0001 and SEED_0000 name the same probe"):
        probe_logits.stack(members)


def test_nothing_to_stack():
    with pytest.raises(ArtefactError, match="no member"):
        probe_logits.stack([])


def test_arrays_of_any_origin_are_a_population(tmp_path):
    logits = np.random.default_rng(0).normal(size=(3, 2, 5, 4)).astype(np.float32)
    labels = np.array([0, 1, 2, 3, 0])
    np.save(tmp_path / "logits.npy", logits)
    np.savez(tmp_path / "both.npz", logits=logits[:, -1], labels=labels)
    along = probe_logits.from_arrays(tmp_path / "logits.npy", labels)
    ends = probe_logits.from_arrays(tmp_path / "both.npz", tmp_path / "both.npz")
    assert np.array_equal(along.logits, ends.logits)
    assert np.array_equal(along.trajectories, logits)
    assert ends.trajectories is None
    assert along.names == ["0", "1", "2"]
    assert along.classes == ["0", "1", "2", "3"]
    assert isinstance(along.trajectories, np.memmap)  # read where it is used


@pytest.mark.parametrize(
    ("logits", "labels", "complaint"),
    [
        (np.ones((3, 5)), np.zeros(5, int), "logits are float64"),
        (np.ones((3, 5, 2)), np.zeros(4, int), "expected a whole number for each of the 5 images"),
        (np.ones((3, 5, 2)), np.zeros(5), "labels are float64"),
        (np.ones((3, 5, 2)), np.full(5, 2), "labels are 2 to 2: expected 0 to 1"),
    ],
)
def test_arrays_that_do_not_fit(logits, labels, complaint):
    with pytest.raises(UserError, match=complaint):
        probe_logits.from_arrays(logits, labels)


def test_no_array_is_unpickled(tmp_path):
    np.save(tmp_path / "evil.npy", np.array([{}], dtype=object))
    with pytest.raises(UserError, match=r"logits=.*evil.npy cannot be read as an array"):
        probe_logits.from_arrays(tmp_path / "evil.npy", np.zeros(5, int))
    with pytest.raises(UserError, match=r"labels=.*missing.npy cannot be read"):
        probe_logits.from_arrays(np.ones((3, 5, 2)), tmp_path / "missing.npy")
    np.savez(tmp_path / "other.npz", outputs=np.ones(3))
    with pytest.raises(UserError, match=r"holds \['outputs'\]: expected an array 'logits'"):
        probe_logits.from_arrays(tmp_path / "other.npz", np.zeros(5, int))
