import errno
import os
import re
import signal
import subprocess
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from chromatic_descent import probe_logits
from chromatic_descent.errors import UserError
from chromatic_descent.files.atomic import atomic_path, write_text
from chromatic_descent.launch.stopping import (
    Terminated,
    exit_code,
    readable_errors,
    sigterm_as_ctrl_c,
)
from chromatic_descent.study import Manifest, Member, Study
from tests.makers import contents

LONG = ("data=synthetic", "model.widths=[8,32]", "trainer.max_epochs=2000", "threads=1")
CODES = {signal.SIGINT: 130, signal.SIGTERM: 143}


def test_sigterm_raises_once_and_the_handler_is_restored():
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Terminated), sigterm_as_ctrl_c():
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(1)
        finally:
            os.kill(os.getpid(), signal.SIGTERM)  # does not disturb the clearing up
    assert signal.getsignal(signal.SIGTERM) is before


def test_sigterm_stays_sigterm_whatever_a_library_makes_of_it():
    with pytest.raises(Terminated), sigterm_as_ctrl_c():
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(1)
        except Terminated:
            raise KeyboardInterrupt from None  # as Ray does
    with pytest.raises(KeyboardInterrupt) as caught, sigterm_as_ctrl_c():
        raise KeyboardInterrupt
    assert not isinstance(caught.value, Terminated)


def test_other_threads_are_left_alone():
    done = []

    def work():
        with sigterm_as_ctrl_c():
            done.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done


@pytest.mark.parametrize("stop", [KeyboardInterrupt(), Terminated()])
@pytest.mark.parametrize("disguise", [SystemExit(1), OSError("could not close the log")])
def test_an_interruption_comes_out_as_an_interruption(stop, disguise):
    with pytest.raises(KeyboardInterrupt) as caught, readable_errors("SEED_0000"):
        try:
            raise stop
        except KeyboardInterrupt:
            raise disguise  # noqa: B904 - as Lightning does
    assert caught.value is stop
    assert (
        exit_code(stop) == CODES[signal.SIGTERM if isinstance(stop, Terminated) else signal.SIGINT]
    )


class OutOfMemoryError(RuntimeError):  # torch's, by its name
    pass


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB."),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried 8 TB"),
    ],
)
def test_a_lack_of_memory_is_one_message_with_advice(error):
    with (
        pytest.raises(UserError, match=r"SEED_0003: out of memory.*data\.eval_batch_size"),
        readable_errors("SEED_0003"),
    ):
        raise error


def test_other_errors_pass():
    error = RuntimeError("shapes do not fit")
    with pytest.raises(RuntimeError) as caught, readable_errors("SEED_0003"):
        raise error
    assert caught.value is error


def interrupted(subprocess_line, study, number, *arguments):
    """Start training, send a signal once a checkpoint exists; (exit code, output)."""
    process = subprocess_line("train", *arguments)
    deadline = time.monotonic() + 60
    while (
        not list(study.path.glob("SEED_*/checkpoints/[!.]*.ckpt")) and time.monotonic() < deadline
    ):
        time.sleep(0.02)
    process.send_signal(number)
    printed = process.communicate(timeout=30)[0]
    return process.returncode, printed


def is_clean(study):
    """No half-written file, no failure recorded, every checkpoint whole, no lock held."""
    import torch

    assert not list(study.path.rglob(".*.tmp*"))
    assert not list(study.path.rglob("failure.txt"))
    for path in study.path.rglob("*.ckpt"):
        torch.load(path, weights_only=True)
    assert {member.status for member in study.members()} == {"interrupted"}
    return True


@pytest.mark.parametrize("number", CODES)
def test_a_stopped_sweep_says_how_to_continue(subprocess_line, tmp_path, number):
    study = Study(tmp_path / "multirun" / "s")
    code, printed = interrupted(
        subprocess_line, study, number, "-m", "seed=range(3)", "study=s", *LONG
    )
    assert code == CODES[number]
    assert "Traceback" not in printed
    assert "Interrupted. multirun/s: 0 of 1 complete.\n  SEED_0000 is interrupted" in printed
    assert "The same command with study=s continues" in printed
    assert [member.name for member in study.members()] == ["SEED_0000"]  # not the next one
    assert is_clean(study)


def test_stopped_members_trained_together_say_how_to_continue(subprocess_line, tmp_path):
    options = ("population=joint", "population.members=2", "study=s", *LONG)
    study = Study(tmp_path / "multirun" / "s")
    code, printed = interrupted(subprocess_line, study, signal.SIGTERM, *options)
    assert code == 143
    assert "Traceback" not in printed
    assert "SEED_0001 is interrupted" in printed
    assert is_clean(study)


def test_the_advice_after_an_interruption_can_be_followed(subprocess_line, tmp_path):
    options = (*LONG[:2], "trainer.max_epochs=60", LONG[3])
    root = tmp_path / "outputs"
    process = subprocess_line("train", *options)
    while process.poll() is None and not list(root.glob("*/SEED_0000/checkpoints/last.ckpt")):
        time.sleep(0.005)
    process.send_signal(signal.SIGTERM)
    printed = process.communicate(timeout=30)[0]
    assert process.returncode == 143
    (study,) = root.iterdir()
    advice = f"study={study.name} paths.multirun=outputs"
    assert f"The same command with {advice} continues" in printed
    again = subprocess_line("train", *options, *advice.split())
    assert again.wait(timeout=100) == 0
    again.stdout.close()
    assert probe_logits.read_record(study / "artifacts/probes/SEED_0000.npz")["continued"]


def test_a_task_of_a_cluster_job_trains_and_writes_like_any_other(
    subprocess_line, tmp_path, monkeypatch
):
    for name, value in {
        "SLURM_JOB_ID": "7",
        "SLURM_JOB_NAME": "train",
        "SLURM_NTASKS": "4",
        "SLURM_PROCID": "3",
        "SLURM_LOCALID": "3",
        "SLURM_NODEID": "0",
        "LOCAL_RANK": "3",
    }.items():
        monkeypatch.setenv(name, value)
    process = subprocess_line(
        "train", "study=s", "data=synthetic", "trainer.max_epochs=1", "threads=1"
    )
    printed = process.communicate(timeout=60)[0]
    assert process.returncode == 0, printed
    member = Member(Study(tmp_path / "multirun" / "s"), "SEED_0000")
    assert member.status == "complete"
    assert member.checkpoint.exists()
    assert "train/loss" in (member.folder / "metrics" / "version_0" / "metrics.csv").read_text()


@pytest.fixture
def small_disk(tmp_path):
    """Mount a file system of a given size, where that is allowed."""
    folder = tmp_path / "disk"
    folder.mkdir()

    def mount(options):
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
        try:
            done = subprocess.run(command, capture_output=True)
        except FileNotFoundError:
            pytest.skip("there is no `mount` here")
        if done.returncode:
            pytest.skip("file systems cannot be mounted here (that takes root)")
        return folder

    yield mount
    subprocess.run(["umount", "--lazy", str(folder)], capture_output=True)


def fill(folder):
    """Leave no room at all."""
    try:
        with (folder / "fill").open("wb", buffering=0) as file:
            while True:
                file.write(b"\0" * 4096)
    except OSError:
        pass


def save_checkpoint(path):
    import torch

    from chromatic_descent.training.checkpoint import AtomicCheckpointIO

    AtomicCheckpointIO().save_checkpoint({"weights": torch.ones(100_000)}, path)


def save_arrays(path):
    with atomic_path(path) as temporary:
        np.savez(temporary, ones=np.ones(100_000))


@pytest.mark.parametrize(
    "save", [save_checkpoint, save_arrays, lambda p: write_text(p, "x" * 200_000)]
)
def test_on_a_full_disk_existing_files_stay_and_the_path_is_named(small_disk, save):
    folder = small_disk("size=64k")
    path = folder / "file.npz"
    write_text(path, "before")
    with pytest.raises(OSError, match="No space left") as caught:
        save(path)
    assert caught.value.filename == str(path)
    assert path.read_text() == "before"
    assert list(folder.iterdir()) == [path]


def leave(folder, room):
    """Fill the disk except for so many bytes."""
    fill(folder)
    os.truncate(folder / "fill", max(0, (folder / "fill").stat().st_size - room))


def is_whole(study):
    """Every file can be read, and none is a temporary one."""
    import torch

    assert not list(study.path.rglob(".*.tmp*"))
    for path in study.path.rglob("*.ckpt"):
        torch.load(path, weights_only=True)
    for path in study.path.rglob("*.npz"):
        probe_logits.load(path)
    for path in study.path.rglob("member.json"):
        assert Member(study, path.parent.name).read_manifest()
    for path in study.path.rglob(".hydra/*.yaml"):
        assert path.read_bytes().endswith(b"\n")
    return True


ROOMS = {  # bytes left, and the file in the middle of which they are used up
    0: "member.json",
    4096: "config.yaml",
    16384: "config_tree.txt",
    65536: "last.ckpt",
}


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # logs, not flushed
def test_a_disk_that_fills_up_at_any_moment_costs_nothing_complete(small_disk, command_line):
    """Each time it fills up while a different file is being written."""
    root = small_disk("size=4m")
    options = ("data=synthetic", "model.widths=[8,32]", "trainer.max_epochs=2", "threads=1")
    options = ("-m", *options, "logger=none")
    assert command_line("train", *options, "study=calm", "seed=range(3)")[0] == 0
    calm = Study(Path("multirun") / "calm")
    options += ("study=s", f"paths.multirun={root}")
    assert command_line("train", *options, "seed=0")[0] == 0
    study = Study(root / "s")
    before = {path: path.read_bytes() for path in study.probes.iterdir()}
    options += ("seed=range(3)",)
    for room, unwritten in ROOMS.items():
        leave(root, room)
        code, printed = command_line("train", *options)
        assert code == 1
        assert "Traceback" not in printed
        assert re.search(rf"No space left on device: '\S+/{unwritten}'", printed), printed
        assert all(path.read_bytes() == content for path, content in before.items())
        assert is_whole(study)
        (root / "fill").unlink()
    code, printed = command_line("train", *options)
    assert code == 0, printed
    for path in calm.probes.iterdir():
        assert contents(study.probes / path.name) == contents(path)


def test_a_read_only_folder_is_one_message(small_disk, command_line):
    root = small_disk("size=4m")
    study = Study(root / "s")
    Member(study, "SEED_0000").write_manifest(Manifest(0, {}, "hash"))
    subprocess.run(["mount", "-o", "remount,ro", str(root)], check=True)
    code, printed = command_line(
        "train", "-m", *LONG, "seed=0,1", f"paths.multirun={root}", "study=s"
    )
    assert code == 1
    assert "Read-only file system" in printed
    assert str(root) in printed
    assert "Traceback" not in printed
    assert [member.status for member in study.members()] == ["interrupted"]


def test_a_full_disk_while_the_artefact_is_written(command_line, tmp_path, monkeypatch):
    """The same where nothing can be mounted, by NumPy's error."""
    options = (
        "data=synthetic",
        "model.widths=[8,32]",
        "trainer.max_epochs=1",
        "threads=1",
        "study=s",
    )
    real = np.savez

    def full(file, **arrays):
        Path(file).write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    code, printed = command_line("train", *options)
    assert code == 1
    assert "SEED_0000.npz: No space left on device" in printed
    assert "make room" in printed
    member = Member(Study(tmp_path / "multirun" / "s"), "SEED_0000")
    assert member.status == "failed"
    assert not list(member.study.path.rglob(".*.tmp*"))
    monkeypatch.setattr(np, "savez", real)
    assert command_line("train", *options)[0] == 0
    assert probe_logits.read_record(member.artefact)["continued"]
