import platform
import subprocess
import sys

import pytest
import torch

from chromatic_descent.training.hardware import describe_versions, resolve_precision


@pytest.mark.parametrize(
    ("features", "expected"),
    [
        ({"avx512_bf16": True, "amx_bf16": False}, "bf16-mixed"),
        ({"avx512_bf16": False, "amx_bf16": True}, "bf16-mixed"),
        ({"avx512_bf16": False, "amx_bf16": False}, "32-true"),
        ({}, "32-true"),
    ],
)
def test_auto_is_bfloat16_where_the_processor_has_it(monkeypatch, features, expected):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: features)
    assert resolve_precision("auto", "cpu") == expected
    assert resolve_precision("auto", "auto") == expected


@pytest.mark.parametrize(("supported", "expected"), [(True, "bf16-mixed"), (False, "32-true")])
def test_auto_on_cuda(monkeypatch, supported, expected):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: supported)
    assert resolve_precision("auto", "auto") == expected
    assert resolve_precision("auto", "gpu") == expected


def test_what_is_asked_for_is_kept():
    assert resolve_precision("16-mixed", "cpu") == "16-mixed"


def test_versions_name_what_decides_the_bits():
    assert {"python", "torch", "lightning", "chromatic-descent"} <= describe_versions().keys()


def page_faults(preparation: str) -> int:
    """Of tensors made and dropped in a process of its own."""
    script = f"""
import resource
import torch
from chromatic_descent.training.hardware import keep_freed_memory
{preparation}
def step():
    tensors = [torch.zeros(2**20) for _ in range(32)]  # 128 MiB
step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return int(run.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="a remedy for glibc")
def test_freed_memory_is_there_for_the_next_step():
    assert page_faults("keep_freed_memory()") < page_faults("") / 10
