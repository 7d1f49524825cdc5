import os
import shutil
import sys

import pytest

from chromatic_descent.study import Manifest, Member, Study, claim


def begin(study, seed, together=None, checkpoint="last.ckpt"):
    member = Member(study, f"SEED_{seed:04d}")
    member.write_manifest(Manifest(seed, {}, "hash", together))
    path = member.folder / "checkpoints" / checkpoint
    path.parent.mkdir()
    path.write_bytes(b"x" * 1000)
    return member


def complete(member):
    member.artefact.parent.mkdir(parents=True, exist_ok=True)
    member.artefact.write_bytes(b"probe")
    return member


@pytest.fixture
def study(tmp_path):
    """Members that are complete, failed and interrupted, and a cache."""
    study = Study(tmp_path / "multirun" / "s")
    complete(begin(study, 0))
    begin(study, 1).failure.write_text("out of luck\n\ntrace")
    begin(study, 2)
    study.cache.mkdir()
    (study.cache / "nulls.npz").write_bytes(b"x" * 500)
    return study


def tree(study):
    return {str(p.relative_to(study.path)) for p in study.path.rglob("*") if p.is_file()}


def rows(printed):
    head, *rest = (line.split("\t") for line in printed.splitlines())
    return [dict(zip(head, row, strict=True)) for row in rest]


def test_every_study_is_listed_with_the_status_of_its_members(command_line, study, tmp_path):
    begin(Study(tmp_path / "multirun" / "young"), 0)  # none complete yet
    (tmp_path / "multirun" / "no study").mkdir()
    with claim(Member(study, "SEED_0002")):
        code, printed = command_line("studies")
    assert code == 0
    old, young = rows(printed)
    assert (old["study"], young["study"]) == ("s", "young")
    counts = ("complete", "running", "failed", "interrupted")
    assert [old[k] for k in counts] == ["1", "1", "1", "0"]
    assert [young[k] for k in counts] == ["0", "0", "0", "1"]
    assert old["size"].endswith("kB")
    assert old["last touched"][:2] == "20"


def test_a_study_is_listed_by_member_with_reasons_and_unchanged(command_line, study):
    before = tree(study)
    code, printed = command_line("studies", "study=s")
    assert code == 0
    assert [row["status"] for row in rows(printed)] == [
        "complete",
        "failed: out of luck",
        "interrupted",
    ]
    assert tree(study) == before  # asking leaves no lock files behind


def test_on_a_terminal_it_is_a_table(study, monkeypatch, command_line):
    monkeypatch.setenv("FORCE_COLOR", "1")
    code, printed = command_line("studies")
    assert code == 0
    assert "\t" not in printed
    assert "interrupted" in printed


def test_nothing_is_removed_without_confirmation(command_line, study):
    before = tree(study)
    code, printed = command_line("studies", "study=s", "clean=[checkpoints,failed,cache]")
    assert code == 0
    for path in ("SEED_0000/checkpoints/last.ckpt", "SEED_0001", "artifacts/cache"):
        assert path in printed
    assert "Nothing was removed. With sure=true" in printed
    assert tree(study) == before


@pytest.mark.parametrize(
    ("clean", "gone"),
    [
        ("checkpoints", {"SEED_0000/checkpoints/last.ckpt"}),
        (
            "failed",
            {f"SEED_0001/{n}" for n in ("member.json", "failure.txt", "checkpoints/last.ckpt")},
        ),
        ("interrupted", {f"SEED_0002/{n}" for n in ("member.json", "checkpoints/last.ckpt")}),
        ("cache", {"artifacts/cache/nulls.npz"}),
    ],
)
def test_only_the_named_kinds_are_removed(command_line, study, clean, gone):
    before = tree(study)
    code, printed = command_line("studies", "study=s", f"clean={clean}", "sure=true")
    assert code == 0, printed
    after = {name for name in tree(study) if not name.endswith(".lock")}
    assert before - after == gone
    assert "artifacts/probes/SEED_0000.npz" in after
    code, printed = command_line("studies", "study=s", f"clean={clean}", "sure=true")
    assert "nothing of that kind" in printed


@pytest.mark.parametrize(("answer", "left"), [("y", False), ("n", True), ("", True)])
def test_it_asks_on_a_terminal(study, monkeypatch, command_line, answer, left):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    monkeypatch.setattr("builtins.input", lambda question: print(question) or answer)
    _, printed = command_line("studies", "study=s", "clean=cache")
    assert "500 B? [y/N]" in printed
    assert study.cache.exists() == left


def test_a_member_that_is_being_trained_is_left_alone(command_line, study):
    with claim(Member(study, "SEED_0002")):
        _, printed = command_line("studies", "study=s", "clean=interrupted", "sure=true")
    assert "nothing of that kind" in printed
    assert Member(study, "SEED_0002").checkpoint.exists()


def test_a_member_that_is_taken_up_after_the_question_is_left_alone(study):
    from chromatic_descent.study.cleaning import removals, remove

    (removal,) = removals(study, ["interrupted"])
    with claim(removal.member):
        assert not remove(removal)
    complete(removal.member)
    assert not remove(removal)
    assert removal.path.exists()


@pytest.mark.parametrize("clean", ["checkpoints", "failed"])
def test_a_checkpoint_that_others_need_stays(command_line, tmp_path, clean):
    study = Study(tmp_path / "multirun" / "together")
    first = begin(study, 0, [0, 1], "joint.ckpt")
    begin(study, 1, [0, 1], "none")
    complete(first) if clean == "checkpoints" else first.failure.write_text("out of luck")
    _, printed = command_line("studies", "study=together", f"clean={clean}", "sure=true")
    assert "nothing of that kind" in printed
    assert first.joint_checkpoint.exists()
    complete(Member(study, "SEED_0001"))
    command_line("studies", "study=together", f"clean={clean}", "sure=true")
    assert not first.joint_checkpoint.exists()


@pytest.mark.parametrize("link", ["SEED_0001", "SEED_0000/checkpoints", "artifacts/cache"])
def test_links_lead_nowhere(command_line, study, tmp_path, link):
    """Everything that is wanted may be a link to what is not the study's."""
    path, precious = study.path / link, tmp_path / "precious"
    path.rename(precious)
    path.symlink_to(precious, target_is_directory=True)
    before = sorted(precious.rglob("*"))
    code, _ = command_line(
        "studies", "study=s", "clean=[checkpoints,failed,interrupted,cache]", "sure=true"
    )
    assert code == 0
    assert sorted(precious.rglob("*")) == before


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes in folders")
def test_a_pipe_in_place_of_a_folder_is_removed_and_not_opened(command_line, study):
    shutil.rmtree(study.cache)
    os.mkfifo(study.cache)
    code, _ = command_line("studies", "study=s", "clean=cache", "sure=true")
    assert code == 0
    assert not study.cache.exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("study=unknown",), "study=unknown was found neither"),
        (("clean=cache",), "clean=cache needs study=NAME"),
        (
            ("study=s", "clean=everything"),
            "clean=everything: expected one or a list of checkpoints",
        ),
        (("study=s", "clean=[]"), "clean=[]: expected"),
        (("nonsense=1",), "Could not override 'nonsense'"),
    ],
)
def test_each_mistake_is_one_message(command_line, study, arguments, message):
    code, printed = command_line("studies", *arguments)
    assert code == 1
    assert message in printed
    assert "Traceback" not in printed


def test_names_and_reasons_cannot_control_a_terminal(command_line, study):
    bad = Member(study, "SEED_0003\x1b]0;owned\x07[red]")
    bad.write_manifest(Manifest(3, {}, "hash"))
    bad.failure.write_bytes(b"\xff\x1b[2J\n")
    empty = Member(study, "SEED_0004")
    empty.write_manifest(Manifest(4, {}, "hash"))
    empty.failure.touch()
    code, printed = command_line("studies", "study=s")
    assert code == 0
    assert "\x1b" not in printed
    assert "[red]" in printed
    assert "SEED_0004\tfailed: no reason was written" in printed


def test_no_study_at_all_is_an_empty_list(command_line, tmp_path):
    code, printed = command_line("studies")
    assert code == 0
    assert len(printed.splitlines()) == 1
    assert not list(tmp_path.iterdir())
