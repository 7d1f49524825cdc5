"""Optimisers and learning-rate schedules.

An option of `configs/optim/` names a function of (network, batch size) that returns an optimiser. A
schedule is a function of the share of steps done; it multiplies every learning rate.
"""

import math
from collections.abc import Callable, Iterable
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam, AdamW, Optimizer

from chromatic_descent.errors import UserError

_MULTIPLY = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.MultiheadAttention)

Schedule = Literal["linear", "cosine", "constant"]


class Muon(Optimizer):
    """Muon for weights that multiply activations, and SGD with Nesterov momentum for the rest.

    With G the gradient of a filter bank as a matrix [out, in·k·k] and M its momentum,

        M <- μ M + G,    W <- √out · W / ‖W‖ − lr · orthogonal(G + μ M)

    where `orthogonal` replaces the singular values by about 1. Fixing ‖W‖ is harmless before a
    BatchNorm and makes `lr` the relative step. Source: K. Jordan et al. 2024, "Muon: an
    optimizer for hidden layers in neural networks", with airbench's weight normalisation.

    Args:
        filters: matrices and filter banks, for Muon.
        others: parameter groups for SGD, each with its own `lr` and `weight_decay`.
        lr, momentum, sgd_momentum: of Muon, and of SGD.
        dtype: the precision of `orthogonal`. In bfloat16, runs that differ by a rounding error
            soon diverge; in float32 they stay together longer, at a higher cost.
    """

    def __init__(
        self,
        filters: Iterable[Tensor],
        others: Iterable[dict[str, Any]],
        lr: float,
        momentum: float,
        sgd_momentum: float,
        dtype: torch.dtype = torch.bfloat16,
    ):
        self.dtype = dtype
        groups = [
            {"params": list(filters), "muon": True, "lr": lr, "momentum": momentum},
            *({**group, "muon": False, "momentum": sgd_momentum} for group in others),
        ]
        super().__init__(groups, {"weight_decay": 0.0})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Take one step."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            lr, momentum = group["lr"], group["momentum"]
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                gradient = parameter.grad
                if group["weight_decay"]:
                    gradient = gradient.add(parameter, alpha=group["weight_decay"])
                state = self.state[parameter]
                if "momentum" not in state:
                    state["momentum"] = torch.zeros_like(parameter)
                buffer = state["momentum"].mul_(momentum).add_(gradient)
                update = gradient.add(buffer, alpha=momentum)
                if group["muon"]:
                    size = parameter.norm().clamp_min(1e-12)  # some parameters start at zero
                    parameter.mul_(len(parameter) ** 0.5 / size)
                    matrix = update.reshape(len(update), -1)
                    update = orthogonalise(matrix, dtype=self.dtype).view(update.shape)
                parameter.add_(update, alpha=-lr)
        return loss


def orthogonalise(matrix: Tensor, steps: int = 3, dtype: torch.dtype = torch.bfloat16) -> Tensor:
    """Bring the singular values of `matrix` [m, n] near 1 by Newton–Schulz iterations in `dtype`.

    X <- a X + (b X Xᵀ + c (X Xᵀ)²) X with (a, b, c) = (3.4445, −4.7750, 2.0315), from X = G / ‖G‖:
    the quintic whose slope at 0 is largest for values that stay near 1 (roughly 0.7 to 1.2 after
    five steps; three are enough here). Source: as `Muon`.
    """
    a, b, c = 3.4445, -4.7750, 2.0315
    x = matrix.to(dtype)
    x = x / (x.norm() + 1e-7)
    tall = len(x) > x.shape[1]
    if tall:  # the Gram matrix of the shorter side
        x = x.T
    for _ in range(steps):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    result: Tensor = (x.T if tall else x).to(matrix.dtype)
    return result


def muon(
    network: nn.Module,
    batch_size: int,
    *,
    lr: float,
    momentum: float,
    bias_lr: float,
    head_lr: float,
    sgd_momentum: float,
    weight_decay: float,
    orthogonalise_in: Literal["bfloat16", "float32"] = "bfloat16",
) -> Muon:
    """Muon for the filters of `network`, SGD for its biases and its head.

    Filters are the weights of convolutions, attention and linear layers, except the last linear
    layer, which is the head. A position embedding is trained like a bias.

    `bias_lr` and `head_lr` are per example, as in airbench: the loss here is a mean over the batch,
    so they are multiplied by the batch size. They are meant for a network that scales its head's
    outputs by 1/W, where W is the number of the head's inputs, and has an attribute `output_scale`.
    Any other network gets `head_lr`/W² and `bias_lr`/W, the same step in function space.
    `weight_decay` is the relative shrinkage of SGD's weights, per example at the initial rate.

    Raises UserError for any other `orthogonalise_in`.
    """
    layers = [layer for layer in network.modules() if isinstance(layer, _MULTIPLY)]
    named = [pair for layer in layers for pair in layer.named_parameters(recurse=False)]
    weights = {weight for name, weight in named if name.endswith("weight")}
    last = {layer.weight for layer in [m for m in layers if isinstance(m, nn.Linear)][-1:]}
    trained = trained_parameters(network)
    head = [p for p in trained if p in last]
    filters = [p for p in trained if p in weights - last]
    biases = [p for p in trained if p not in weights]

    if not hasattr(network, "output_scale"):
        width = next((weight.shape[1] for weight in last), 512)  # the head may not be linear
        bias_lr, head_lr = bias_lr / width, head_lr / width**2

    others = [
        {"params": parameters, "lr": rate, "weight_decay": weight_decay * batch_size / rate}
        for parameters, rate in [(biases, bias_lr * batch_size), (head, head_lr * batch_size)]
    ]
    if orthogonalise_in not in ("bfloat16", "float32"):
        raise UserError(
            f"optim.optimizer.orthogonalise_in={orthogonalise_in}: expected bfloat16 or float32."
        )
    dtype = getattr(torch, orthogonalise_in)
    return Muon(filters, others, lr, momentum, sgd_momentum, dtype)


def sgd(network: nn.Module, batch_size: int, **options: Any) -> SGD:
    """torch's SGD on every parameter; biases and norms are not decayed."""
    return SGD(_decayed_or_not(network, options.pop("weight_decay", 0.0)), **options)


def adamw(network: nn.Module, batch_size: int, **options: Any) -> AdamW:
    """torch's AdamW on every parameter; biases and norms are not decayed."""
    return AdamW(_decayed_or_not(network, options.pop("weight_decay", 0.01)), **options)


def adam(network: nn.Module, batch_size: int, **options: Any) -> Adam:
    """torch's Adam on every parameter."""
    return Adam(trained_parameters(network), **options)


def trained_parameters(network: nn.Module) -> list[nn.Parameter]:
    """The parameters that training changes, in the network's order."""
    return [p for p in network.parameters() if p.requires_grad]


def scale(schedule: Schedule, warmup: float, done: float) -> float:
    """The factor of every learning rate after the share `done` in [0, 1] of all steps.

    It rises linearly from 0 to 1 over the first `warmup` share; then `linear` falls to 0, `cosine`
    falls as (1 + cos πt)/2, and `constant` stays.
    """
    if done < warmup:
        return done / warmup
    left = (1 - done) / (1 - warmup)  # from 1 to 0
    if schedule == "linear":
        return left
    if schedule == "cosine":
        return (1 - math.cos(math.pi * left)) / 2
    return 1.0


def _decayed_or_not(network: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    trained = trained_parameters(network)
    return [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
    ]
