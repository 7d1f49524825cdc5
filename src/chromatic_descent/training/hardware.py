"""The numerics of a training process: precision, threads, memory, versions, device."""

import ctypes
import os
import platform
from importlib.metadata import version
from typing import Any

import torch
from lightning import Trainer

from chromatic_descent.launch.slots import own_slot

_RECORDED = ("chromatic-descent", "torch", "torchvision", "lightning", "numpy", "hydra-core")
_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # of mallopt(3)


def resolve_precision(precision: str, accelerator: str) -> str:
    """Lightning's name for `precision`; `auto` is bfloat16 where the hardware computes in it.

    CUDA devices that support it do, and CPUs with AVX512-BF16 or AMX. Elsewhere bfloat16 is
    emulated, and slower than float32.
    """
    if precision != "auto":
        return precision
    native = False
    if resolve_device(accelerator).type == "cuda":
        native = torch.cuda.is_bf16_supported(including_emulation=False)
    elif accelerator in ("auto", "cpu") and not torch.backends.mps.is_available():
        features = torch.cpu.get_capabilities()
        native = bool(features.get("avx512_bf16") or features.get("amx_bf16"))
    return "bf16-mixed" if native else "32-true"


def resolve_device(accelerator: str) -> torch.device:
    """The device whose memory Lightning's `accelerator` uses: a CUDA device or the CPU."""
    cuda = accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available()
    return torch.device("cuda" if cuda else "cpu")


def keep_freed_memory() -> None:
    """Let the process keep freed memory for its next step, if the C library is glibc.

    By default glibc returns it to the system at each step: a seventh of a step's time on a CPU.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if os.name == "posix" else None
    if mallopt is not None:
        mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)
        mallopt(_M_MMAP_MAX, 0)


def use_threads(threads: int | None) -> None:
    """Let torch use `threads` on the CPU; None: the cores of this process's slot, or all cores."""
    slot = own_slot()
    if threads is None and slot is not None:
        threads = min(slot.threads, torch.get_num_threads())
    if threads is not None:
        torch.set_num_threads(threads)


def describe_hardware(trainer: Trainer) -> dict[str, Any]:
    """Device, processor and threads, for the probe artefact's record."""
    device = trainer.strategy.root_device
    name = torch.cpu.get_capabilities().get("cpu_name")
    processor = str(name or platform.processor() or "unknown")
    return {
        "accelerator": device.type,
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else processor,
        "threads": torch.get_num_threads(),
        "cores": os.cpu_count(),
        "machine": platform.machine(),
        "system": f"{platform.system()} {platform.release()}",
    }


def describe_versions() -> dict[str, str]:
    """Versions of Python and of the packages that a member's bits depend on."""
    return {"python": platform.python_version(), **{name: version(name) for name in _RECORDED}}
