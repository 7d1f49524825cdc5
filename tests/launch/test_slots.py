"""Slots: what each process of a parallel sweep may use."""

import os
import subprocess
import sys
import threading

import pytest
import torch

from chromatic_descent.errors import UserError
from chromatic_descent.launch import slots
from chromatic_descent.training import hardware

# a process that takes a slot, prints which, and keeps it until its input is closed
TAKES = """
import os, sys
from chromatic_descent.launch.slots import own_slot
slot = own_slot()
print(os.environ.get("CUDA_VISIBLE_DEVICES"), slot.threads, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def takers(tmp_path):
    """Start processes that take slots; `readline` gives each one's device."""
    started = []

    def start(count):
        new = [
            subprocess.Popen(
                [sys.executable, "-c", TAKES],
                env={**os.environ, "CHROMATIC_SLOTS": str(tmp_path)},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for _ in range(count)
        ]
        started.extend(new)
        return new

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_each_process_has_its_own_device_and_a_dead_ones_is_free(tmp_path, takers):
    slots.lay_out(tmp_path, 2, ["3", "GPU-b"])
    processes = takers(2)
    found = [process.stdout.readline().split()[0] for process in processes]
    assert sorted(found) == ["3", "GPU-b"]
    processes[1].kill()
    (last,) = takers(1)
    assert last.stdout.readline().split()[0] == found[1]


def test_a_process_waits_until_a_slot_is_free(tmp_path):
    slots.lay_out(tmp_path, 1, ["3"])
    first, found = slots.take(tmp_path), []
    waits = threading.Thread(target=lambda: found.append(slots.take(tmp_path)), daemon=True)
    waits.start()
    waits.join(1)
    assert not found
    first.lock.release()
    waits.join(10)
    assert found[0].device == "3"


def test_several_on_each_device_fill_them_evenly(tmp_path):
    slots.lay_out(tmp_path, 6, ["0", "1"])
    taken = [slots.take(tmp_path) for _ in range(6)]
    assert [slot.device for slot in taken] == ["0", "1"] * 3
    taken[3].lock.release()
    assert slots.take(tmp_path).device == "1"


def test_without_devices_a_slot_is_some_of_the_cores(tmp_path, monkeypatch):
    monkeypatch.setattr(slots, "_cores", lambda: 8)
    slots.lay_out(tmp_path, 3, [])
    slot = slots.take(tmp_path)
    assert (slot.device, slot.threads) == (None, 2)
    slots.lay_out(tmp_path, 20, [])
    assert slots.take(tmp_path).threads == 1


def test_no_process_has_a_slot_where_none_are_laid_out(monkeypatch):
    monkeypatch.delenv("CHROMATIC_SLOTS", raising=False)
    assert slots.own_slot.__wrapped__() is None


@pytest.mark.parametrize(
    ("gpus", "threads", "each", "wanted"),
    [(0, None, 1, 8), (0, 2, 1, 4), (0, 3, 5, 2), (0, 99, 1, 1), (4, None, 1, 4), (4, 2, 3, 12)],
)
def test_how_many_at_a_time(monkeypatch, gpus, threads, each, wanted):
    monkeypatch.setattr(slots, "_cores", lambda: 8)
    monkeypatch.setattr(slots, "_has_mps", lambda accelerator: False)
    monkeypatch.setattr(slots, "devices", lambda accelerator: [str(n) for n in range(gpus)])
    assert slots.at_once("auto", threads, each) == wanted


@pytest.mark.parametrize(
    ("accelerator", "visible", "wanted"),
    [
        ("auto", None, ["0", "1"]),
        ("gpu", "3, 7", ["3", "7"]),
        ("cuda", "GPU-a,GPU-b,-1,4", ["GPU-a", "GPU-b"]),
        ("cpu", "3,7", []),
        ("mps", None, []),
    ],
)
def test_devices_are_those_left_visible(monkeypatch, accelerator, visible, wanted):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert slots.devices(accelerator) == wanted


def test_the_share_of_a_gpu_that_a_cluster_is_asked_for(monkeypatch):
    monkeypatch.setattr(slots, "devices", lambda accelerator: [])
    assert slots.gpu_share("auto", 1) == 0
    assert slots.gpu_share("gpu", 4) == 0.25  # whoever launches need not have one
    monkeypatch.setattr(slots, "devices", lambda accelerator: ["0"])
    assert slots.gpu_share("auto", 2) == 0.5


@pytest.mark.parametrize("wrong", [0, -1, 1.5, True, "two"])
def test_a_wrong_number_of_members_is_refused(wrong):
    with pytest.raises(UserError, match=r"members_per_gpu is .*: expected a whole number from 1"):
        slots.gpu_share("gpu", wrong)


@pytest.fixture
def torch_threads():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_threads_are_those_asked_for_or_the_slots(monkeypatch, torch_threads):
    torch.set_num_threads(2)
    monkeypatch.setattr(hardware, "own_slot", lambda: slots.Slot(None, 5, None))
    hardware.use_threads(None)
    assert torch.get_num_threads() == 2  # OMP_NUM_THREADS has said less
    hardware.use_threads(3)
    assert torch.get_num_threads() == 3
    monkeypatch.setattr(hardware, "own_slot", lambda: slots.Slot(None, 1, None))
    hardware.use_threads(None)
    assert torch.get_num_threads() == 1
