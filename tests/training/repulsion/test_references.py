import numpy as np
import pytest

from chromatic_descent import probe_logits
from chromatic_descent.errors import UserError
from chromatic_descent.probe_logits.identity import Identity, config_hash
from chromatic_descent.probe_logits.record import SCHEMA_VERSION
from chromatic_descent.study import Manifest, Member, Study
from chromatic_descent.training.repulsion.references import choose, source_study
from chromatic_descent.training.repulsion.repulsion import STUDY, Request

MODEL = {"_target_": "a.Net", "widths": [8]}
CONFIG = {"model": MODEL}
HASH = config_hash(CONFIG)


def complete(study, seed, model=MODEL, probe="probe", checkpoint=True, config_hash=HASH):
    member = Member(study, f"SEED_{seed:04d}")
    record = {
        "schema_version": SCHEMA_VERSION,
        "member": member.name,
        "seed": seed,
        "config": {"model": model},
        "config_hash": config_hash,
        "probe_hash": probe,
        "dataset": {"name": "toy", "fingerprint": "f", "classes": list("abc")},
        "accuracy": 0.5,
        "precision": "32-true",
        **{key: {} for key in ("slice_hashes", "versions", "hardware", "wall_time")},
        "finished": "2026-01-01T00:00:00+00:00",
    }
    logits = np.random.default_rng(seed).normal(size=(4, 3)).astype(np.float32)
    numbers = np.zeros(4, dtype=np.int64)
    probe_logits.save(member.artefact, probe_logits.ProbeLogits(logits, numbers, numbers, record))
    if checkpoint:
        member.checkpoint.parent.mkdir(parents=True, exist_ok=True)
        member.checkpoint.touch()
    return member


def chosen(study, member, *, source=STUDY, count=None, how="random", seed=9, kept=None):
    requested = Request(source, count, how)
    return choose(requested, study, member, Identity(member.name, seed, CONFIG), "probe", kept)


def names(references):
    return [reference.member.name for reference in references]


@pytest.fixture
def study(tmp_path):
    study = Study(tmp_path / "s")
    for seed in range(5):
        complete(study, seed)
    return study


def test_all_complete_members_but_oneself(study):
    Member(study, "SEED_0007").write_manifest(Manifest(7, {}, "hash"))  # begun, not complete
    new = Member(study, "SEED_0009")
    assert names(chosen(study, new)) == [f"SEED_000{i}" for i in range(5)]
    assert names(chosen(study, Member(study, "SEED_0002"))) == [
        f"SEED_000{i}" for i in (0, 1, 3, 4)
    ]
    assert (
        chosen(
            Study(study.path.parent / "empty"),
            Member(Study(study.path.parent / "empty"), "SEED_0000"),
        )
        == []
    )


def test_members_of_another_configuration_count_only_if_their_study_is_named(study, tmp_path):
    complete(study, 5, config_hash="another")
    new = Member(study, "SEED_0009")
    assert "SEED_0005" not in names(chosen(study, new))
    assert "SEED_0005" in names(chosen(study, new, source="s"))
    elsewhere = Member(Study(tmp_path / "new"), "SEED_0009")
    assert len(chosen(study, elsewhere, source="s")) == 6


def test_a_random_choice_is_a_function_of_the_seed(study):
    new = Member(study, "SEED_0009")
    sets = {seed: tuple(names(chosen(study, new, count=2, seed=seed))) for seed in range(8)}
    assert all(len(set(each)) == 2 for each in sets.values())
    assert len(set(sets.values())) > 1
    assert sets == {s: tuple(names(chosen(study, new, count=2, seed=s))) for s in range(8)}


def test_nearest_are_chosen_later_from_all(study):
    assert len(chosen(study, Member(study, "SEED_0009"), count=2, how="nearest")) == 5


def test_early_members_of_a_study_have_fewer_than_were_asked_for(study):
    assert len(chosen(study, Member(study, "SEED_0009"), count=8)) == 5


def test_another_study_must_have_as_many_as_are_asked_for(study, tmp_path):
    new = Member(Study(tmp_path / "new"), "SEED_0000")  # the same name, in another study
    assert len(chosen(study, new, source="s")) == 5
    with pytest.raises(UserError, match=r"references\.count=8: study s has 5 complete members"):
        chosen(study, new, source="s", count=8)


def test_an_earlier_choice_is_repeated(study):
    new = Member(study, "SEED_0009")
    first = chosen(study, new, count=2)
    complete(study, 6)
    again = chosen(study, new, count=4, seed=1, kept=[r.entry for r in first])
    assert again == first
    assert chosen(study, new, kept=[]) == []  # it was the first of its study


def test_a_reference_that_is_gone_or_another_is_named(study):
    new = Member(study, "SEED_0009")
    kept = [r.entry for r in chosen(study, new)]
    complete(study, 1)  # written again with the same logits: allowed
    assert len(chosen(study, new, kept=kept)) == 5
    kept[1]["logits_hash"] = "of another"
    with pytest.raises(UserError, match=r"retrained since: SEED_0001\. Move .*SEED_0009 away"):
        chosen(study, new, kept=kept)
    Member(study, "SEED_0003").artefact.unlink()
    with pytest.raises(
        UserError, match=r"no longer complete in study s: SEED_0003\. Put them back"
    ):
        chosen(study, new, kept=kept)


def test_what_cannot_be_a_reference_is_one_message(study):
    complete(study, 1, model={**MODEL, "widths": [16]})
    complete(study, 2, probe="another")
    Member(study, "SEED_0003").checkpoint.unlink()
    with pytest.raises(UserError) as caught:
        chosen(study, Member(study, "SEED_0009"))
    message = str(caught.value)
    assert r"SEED_0001 has another model (there -> here): model.widths: [16] -> [8]" in message
    assert "SEED_0002 was recorded on another probe" in message
    assert "SEED_0003 has no " in message
    assert "SEED_0000" not in message
    assert "repulsion.references.from" in message


def test_the_source_is_this_study_another_by_name_or_by_path(study, tmp_path):
    new = Member(Study(tmp_path / "new"), "SEED_0000")
    assert source_study(Request(STUDY, None, "random"), new, tmp_path) == new.study
    assert source_study(Request("s", None, "random"), new, tmp_path).path == study.path
    assert source_study(Request(str(study.path), None, "random"), new, tmp_path).path == study.path
    with pytest.raises(UserError, match=r"references\.from=nowhere: .*was found neither in"):
        source_study(Request("nowhere", None, "random"), new, tmp_path)
