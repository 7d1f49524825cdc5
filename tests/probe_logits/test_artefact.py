import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chromatic_descent import probe_logits
from chromatic_descent.probe_logits import ArtefactError, Trajectory
from tests.makers import make_member, make_record, with_trajectory


def test_what_is_saved_is_what_is_loaded(tmp_path):
    member, path = make_member(), tmp_path / "probes" / "SEED_0000.npz"
    probe_logits.save(path, member)
    loaded = probe_logits.load(path)
    assert loaded.record == member.record == probe_logits.read_record(path)
    assert np.array_equal(loaded.logits, member.logits)
    assert np.array_equal(loaded.slices["train"].logits, member.slices["train"].logits)
    assert [p.name for p in path.parent.iterdir()] == ["SEED_0000.npz"]  # no temporary file


def test_trajectories_are_kept_and_stacked_if_all_were_recorded_alike(tmp_path):
    members = [with_trajectory(make_member(f"SEED_000{seed}", seed)) for seed in range(2)]
    for member in members:
        probe_logits.save(tmp_path / f"{member.record['member']}.npz", member)
    loaded = [probe_logits.load(path) for path in sorted(tmp_path.glob("*.npz"))]
    together = probe_logits.stack(loaded)
    assert together.trajectories.shape == (2, 2, 6, 3)
    assert together.epochs.tolist() == [0, 2]
    for other in (with_trajectory(make_member(), (0, 1)), make_member()):
        assert probe_logits.stack([loaded[1], other]).trajectories is None


@pytest.mark.parametrize(
    ("member", "complaint"),
    [
        (with_trajectory(make_member(), (2, 0)), "rising"),
        (with_trajectory(make_member(), (-1, 0)), "rising"),
        (with_trajectory(make_member(), dtype=np.float64), "expected float32"),
        (
            dataclasses.replace(
                make_member(),
                trajectory=Trajectory(np.full((1, 6, 3), np.nan, "f4"), np.array([1])),
            ),
            "not finite",
        ),
    ],
)
def test_a_broken_trajectory_is_refused(tmp_path, member, complaint):
    with pytest.raises(ArtefactError, match=complaint):
        probe_logits.save(tmp_path / "SEED_0000.npz", member)


def test_a_diverged_member_is_refused_and_the_old_file_stays(tmp_path):
    path = tmp_path / "SEED_0000.npz"
    probe_logits.save(path, make_member())
    before = path.read_bytes()
    diverged = make_member()
    diverged.logits[0, 0] = np.nan
    with pytest.raises(ArtefactError, match=r"1 of 18 logits are not finite.*diverged"):
        probe_logits.save(path, diverged)
    assert path.read_bytes() == before


@given(st.integers(0, 10**6))
def test_every_truncation_is_named(tmp_path_factory, cut):
    path = tmp_path_factory.mktemp("probes") / "SEED_0000.npz"
    probe_logits.save(path, make_member())
    content = path.read_bytes()
    path.write_bytes(content[: cut % len(content)])
    with pytest.raises(ArtefactError, match=r"SEED_0000\.npz"):
        probe_logits.load(path)


@given(st.binary(max_size=300))
def test_foreign_bytes_are_named(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("probes") / "SEED_0000.npz"
    path.write_bytes(content)
    with pytest.raises(ArtefactError, match=r"SEED_0000\.npz"):
        probe_logits.read_record(path)


@given(st.integers(0, 10**6), st.integers(1, 255))
def test_a_flipped_byte_is_named_or_harmless(tmp_path_factory, place, flip):
    path = tmp_path_factory.mktemp("probes") / "SEED_0000.npz"
    member = make_member()
    probe_logits.save(path, member)
    content = bytearray(path.read_bytes())
    content[place % len(content)] ^= flip
    path.write_bytes(content)
    try:
        loaded = probe_logits.load(path)
    except ArtefactError as error:
        assert "SEED_0000.npz" in str(error)
    else:  # a byte of zip bookkeeping that carries no data
        assert np.array_equal(loaded.logits, member.logits)
        assert loaded.record == member.record


def test_pickles_are_never_loaded(tmp_path):
    path = tmp_path / "SEED_0000.npz"
    np.savez(path, record=np.array(json.dumps(make_record())), logits=np.array([{}], dtype=object))
    with pytest.raises(ArtefactError, match="cannot be read"):
        probe_logits.load(path)


def arrays(**changes):
    member = make_member()
    content = {
        "record": np.array(json.dumps(member.record)),
        "logits": member.logits,
        "labels": member.labels,
        "indices": member.indices,
    }
    return {k: v for k, v in (content | changes).items() if v is not None}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"logits": None}, "has no array"),
        ({"record": None}, "has no array 'record'"),
        ({"record": np.array("{")}, "not JSON"),
        ({"record": np.array("[]")}, "not an object"),
        ({"record": np.array('{"schema_version": 99}')}, "version 99, of a newer release"),
        ({"record": np.array('{"schema_version": 0}')}, "schema version 0: expected 1 to"),
        ({"record": np.array('{"schema_version": true}')}, "schema version True"),
        ({"record": np.array("{}")}, "schema version None"),
        ({"record": np.array('{"schema_version": 1}')}, "lacks member, seed"),
        ({"logits": np.ones((6, 3))}, "float64"),
        ({"logits": np.ones((6, 3, 1), np.float32)}, r"\[6, 3, 1\]"),
        ({"labels": np.full(6, 3)}, r"outside 0\.\.2"),
        ({"labels": np.zeros(5, np.int64)}, r"expected int64 \[6\]"),
        ({"indices": np.zeros(6)}, "indices are float64"),
        ({"logits": np.full((6, 3), np.inf, np.float32)}, "18 of 18 logits are not finite"),
    ],
)
def test_each_way_to_be_wrong_has_its_message(tmp_path, changes, message):
    path = tmp_path / "SEED_0000.npz"
    np.savez(path, **arrays(**changes))
    with pytest.raises(ArtefactError, match=message):
        probe_logits.load(path)
