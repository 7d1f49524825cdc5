"""The memory that members trained together need, and the memory available."""

import copy
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from chromatic_descent.errors import UserError

_STATES = 2  # values that an optimiser keeps per weight, as Adam does; others keep fewer
_SHARE = 0.9  # share of the available memory to use
_SAMPLE = 2  # images with which activations are measured; a norm needs more than one


@dataclass(frozen=True)
class Need:
    """Bytes that members need."""

    member: int  # each member, all the time
    active: int  # in addition, each active member
    once: int  # for all members together


def needs(
    network: nn.Module, shape: Sequence[int], images: int, points: int, stacked: bool
) -> Need:
    """Estimate the memory of a member, in float32, from a forward pass of two images.

    Args:
        network: a member's; it is not changed.
        shape: [C, H, W], of an image.
        images: number in a training batch.
        points: number of points of repulsion in a step.
        stacked: whether members are trained at the same time, not one after another.
    """
    weights = sum(t.nbytes for t in (*network.parameters(), *network.buffers()))
    trained = sum(p.nbytes for p in network.parameters() if p.requires_grad)
    one = _activations(network, shape) + 2 * 4 * math.prod(shape)
    step, held = trained + int(one * images), int(one * points)
    member = weights + _STATES * trained
    return Need(member, held + step, 0) if stacked else Need(member, held, step)


def available(device: torch.device) -> int:
    """Free bytes on the GPU, or in RAM within the limits of this process's control group."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    limits = [_free_ram()]
    try:  # in a container
        group = Path("/sys/fs/cgroup")
        most, used = ((group / f"memory.{n}").read_text().strip() for n in ("max", "current"))
        if most != "max":
            limits.append(int(most) - int(used))
    except (OSError, ValueError):
        pass
    return max(0, min(limits))


def fit(need: Need, members: int, chunk: int | None, room: int) -> int:
    """The number of members with activations in memory at once: `chunk`, or (None) as many as fit.

    Raises UserError if the need exceeds 0.9 of `room`, the bytes available.
    """
    budget = int(room * _SHARE) - need.once
    fitting = max(0, budget - members * need.member) // max(1, need.active)
    active = min(members, chunk or max(1, fitting))
    if active <= fitting:
        return active
    total = need.once + members * need.member + active * need.active
    fewer = max(0, budget - need.active) // need.member
    ways = [f"population.chunk={fitting}"] if fitting else []
    ways += [f"population.members={fewer}"] if 0 < fewer < members else []
    raise UserError(
        f"population.members={members}, {active} of them at a time, need about {_size(total)} "
        f"({_size(need.member)} for the weights and optimiser of each, {_size(need.active)} more "
        f"for each active one, {_size(need.once)} once); {_size(room)} are available. Use "
        f"{', '.join([*ways, 'a smaller data.batch_size'])}, or train them one after another "
        "(population=solo)."
    )


def _activations(network: nn.Module, shape: Sequence[int]) -> float:
    """Bytes per image that a forward pass keeps for the backward pass, in float32."""
    twin = copy.deepcopy(network).train()
    weights = {t.untyped_storage().data_ptr() for t in (*twin.parameters(), *twin.buffers())}
    kept: dict[int, Tensor] = {}  # by address; kept alive, so that addresses are not reused

    def keep(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.detach()
        return tensor

    images = torch.zeros(_SAMPLE, *shape)
    with (
        torch.random.fork_rng(devices=[]),
        torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor),
    ):
        twin(images)
    sizes = (t.untyped_storage().nbytes() for address, t in kept.items() if address not in weights)
    return sum(sizes) / _SAMPLE


def _free_ram() -> int:
    try:
        for line in Path("/proc/meminfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError):
        pass
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")  # all memory


def _size(size: int) -> str:
    return f"{size / 2**30:.3g} GiB" if size >= 2**30 else f"{size / 2**20:.3g} MiB"
