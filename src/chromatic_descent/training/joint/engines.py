"""The engines that compute the gradients of members trained together: one by one, or stacked.

An engine holds a chunk: members whose activations are in memory at the same time. Its `backward`
leaves in each parameter the gradient of its own member's loss; only penalties connect members.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap
from torch.overrides import TorchFunctionMode

from chromatic_descent.data import Batch
from chromatic_descent.errors import first_line
from chromatic_descent.training.module import Classifier
from chromatic_descent.training.optim import trained_parameters
from chromatic_descent.training.repulsion import evaluating, features
from chromatic_descent.training.repulsion.features import Of
from chromatic_descent.training.repulsion.measures import gradient_of

_CONVOLUTIONS = (torch.conv1d, torch.conv2d, torch.conv3d)

Precision = Callable[[], AbstractContextManager[None]]  # the context of forward passes


class Looped:
    """Members one after another, exactly as each is trained alone."""

    def __init__(self, members: Sequence[Classifier], precision: Precision):
        self.members, self.precision = members, precision
        self._states: list[list[Tensor]] = []  # of the generators, for each member

    def start_epoch(self) -> None:
        """Bring each member's random draws to the start of the epoch."""
        self._states = []
        for member in self.members:
            member.on_train_epoch_start()
            self._states.append(_generators(member.device))

    def features(self, images: Tensor, labels: Tensor | None, of: Of) -> list[Tensor]:
        """The features that repulsion compares, [B, K] for each member; one pass per member."""

        def run(member: Classifier, images: Tensor) -> Tensor:
            with self.precision():
                logits: Tensor = member(images)
            return logits

        parts = []
        for m in self.members:
            with evaluating(m.network):
                parameters = m.network.parameters()
                parts.append(features(partial(run, m), parameters, images, labels, of))
        return parts

    def gradients(self, penalties: Sequence[Tensor]) -> list[tuple[Tensor, ...]]:
        """Each penalty's gradient in its member's trained parameters, for measurements."""
        pairs = zip(penalties, self.members, strict=True)
        return [gradient_of(p, trained_parameters(member.network)) for p, member in pairs]

    def backward(
        self, batches: Iterator[Batch], penalties: Sequence[Tensor] | None
    ) -> Iterator[int]:
        """Compute the gradients of each member's loss, plus its penalty, on its batch.

        One pass per member. Yields its index in the chunk as soon as its gradients are ready.
        """
        for index, member in enumerate(self.members):
            batch = next(batches)
            with self._own_draws(index), self.precision():
                loss = member.loss(batch, member(batch[0]))
            if penalties is not None:
                loss = loss + penalties[index]
            loss.backward()  # type: ignore[no-untyped-call]
            yield index

    @contextmanager
    def _own_draws(self, index: int) -> Iterator[None]:
        """Let the member draw as if no other member had drawn in between."""
        device = self.members[index].device
        cpu, *cuda = self._states[index]
        torch.set_rng_state(cpu)
        if cuda:
            torch.cuda.set_rng_state(cuda[0], device)
        yield
        self._states[index] = _generators(device)


class Stacked:
    """Members as one network with weights [m, ...], by `torch.func.vmap`.

    The members' own parameters and buffers become views of the stacks, so that optimisers,
    checkpoints and recording treat each member as if it were alone. Norms keep statistics per
    member. Random draws during training, as in dropout, are not possible: see `refuses_vmap`.
    """

    def __init__(self, members: Sequence[Classifier], precision: Precision):
        self.members, self.precision = members, precision
        networks: list[nn.Module] = [member.network for member in members]
        self._network = networks[0]  # only its structure: its weights are replaced by a stack's
        self._parameters, self._buffers = stack_module_state(networks)
        for index, network in enumerate(networks):
            for name, own in network.named_parameters():
                own.data = self._parameters[name].detach()[index]
            for name, buffer in network.named_buffers():
                buffer.data = self._buffers[name][index]

    def start_epoch(self) -> None:
        """Reset each member's metrics."""
        for member in self.members:
            member.on_train_epoch_start()

    def features(self, images: Tensor, labels: Tensor | None, of: Of) -> list[Tensor]:
        """The features that repulsion compares, [B, K] for each member; one pass for all."""
        if of == "weights":
            with torch.enable_grad():  # otherwise rows would look like fixed weights
                rows = zip(*(w for w in self._parameters.values() if w.requires_grad), strict=True)
                return [features(self._network, row, images, labels, of) for row in rows]

        def of_one(parameters: dict[str, Tensor], buffers: dict[str, Tensor]) -> Tensor:
            def run(x: Tensor) -> Tensor:
                with self.precision():
                    return _call(self._network, parameters, buffers, x)

            return features(run, (), images, labels, of)

        with evaluating(self._network):
            compared: Tensor = vmap(of_one)(self._parameters, self._buffers)  # [m, B, K]
        return list(compared)

    def gradients(self, penalties: Sequence[Tensor]) -> list[tuple[Tensor, ...]]:
        """Each penalty's gradient in its member's trained parameters, for measurements."""
        stacks = [stack for stack in self._parameters.values() if stack.requires_grad]
        stacked = gradient_of(torch.stack(list(penalties)).sum(), stacks)
        return list(zip(*stacked, strict=True))

    def backward(
        self, batches: Iterator[Batch], penalties: Sequence[Tensor] | None
    ) -> Iterator[int]:
        """One forward and backward pass for all members, whose losses are summed."""
        own = [next(batches) for _ in self.members]
        with self.precision():
            images = torch.stack([images for images, _ in own])  # [m, B, C, H, W]
            outputs = vmap(partial(_call, self._network))(self._parameters, self._buffers, images)
            losses = [m.loss(b, o) for m, b, o in zip(self.members, own, outputs, strict=True)]
        total = torch.stack([*losses, *(penalties or [])]).sum()
        total.backward()  # type: ignore[no-untyped-call]
        for name, stack in self._parameters.items():
            for index, member in enumerate(self.members):
                parameter = member.network.get_parameter(name)
                if stack.grad is not None:  # a callback's penalty may have reached the view itself
                    gradient = stack.grad[index]
                    before = parameter.grad
                    parameter.grad = gradient if before is None else before + gradient
            stack.grad = None
        yield from range(len(self.members))


Chunk = Looped | Stacked  # members that are in memory together


def refuses_vmap(network: nn.Module, shape: Sequence[int], half: bool) -> str | None:
    """The reason why vmap cannot train `network` on images [C, H, W]; None if it can.

    `half` tries it under autocast to bfloat16. Networks that draw random numbers in training, as in
    dropout, are refused: under vmap their draws would differ from those of a member alone.
    """
    stacks = stack_module_state([network, network])
    images = torch.zeros(2, 2, *shape)
    try:
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            vmap(partial(_call, network))(*stacks, images)
    except RuntimeError as error:
        return first_line(error)
    return None


def _call(
    network: nn.Module, parameters: dict[str, Tensor], buffers: dict[str, Tensor], images: Tensor
) -> Tensor:
    with _MixedPrecision():
        logits: Tensor = functional_call(network, (parameters, buffers), (images,))
    return logits


class _MixedPrecision(TorchFunctionMode):
    """Autocasts these functions under vmap, which decomposes them before autocast sees them."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if func in _CONVOLUTIONS and torch.is_autocast_enabled(args[0].device.type):
            half = torch.get_autocast_dtype(args[0].device.type)
            args = tuple(a.to(half) if isinstance(a, Tensor) else a for a in args)
        elif func is F.batch_norm:  # bfloat16 with statistics in float32
            return func(args[0].float(), *args[1:], **kwargs).to(args[0].dtype)
        return func(*args, **kwargs)


def _generators(device: torch.device) -> list[Tensor]:
    """The state of the global generators that networks draw from on `device`."""
    states = [torch.get_rng_state()]
    if device.type == "cuda":
        states.append(torch.cuda.get_rng_state(device))
    return states
