"""How the gradients of members trained together are computed: one by one, or stacked.

An engine holds a chunk of members: those whose activations are in memory at the same time. Its
`backward` leaves in every parameter of a member the gradient of the member's own loss; nothing but
the penalties connects members.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap
from torch.overrides import TorchFunctionMode

from chromatic_descent.data import Batch
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
        self._states: list[list[Tensor]] = []  # of each member's generators

    def start_epoch(self) -> None:
        """Bring each member's random draws to the start of the epoch."""
        self._states = []
        for member in self.members:
            member.on_train_epoch_start()
            self._states.append(_generators(member.device))

    def features(self, images: Tensor, labels: Tensor | None, of: Of) -> list[Tensor]:
        """What repulsion compares, one pass per member: [B, K] for each."""
        parts = []
        for member in self.members:
            with evaluating(member.network):
                run = self._run(member)
                parts.append(features(run, member.network.parameters(), images, labels, of))
        return parts

    def gradients(self, penalties: Sequence[Tensor]) -> list[tuple[Tensor, ...]]:
        """Each penalty's gradient in its member's trained parameters, for measurements."""
        pairs = zip(penalties, self.members, strict=True)
        return [gradient_of(p, trained_parameters(member.network)) for p, member in pairs]

    def backward(
        self, batches: Iterator[Batch], penalties: Sequence[Tensor] | None
    ) -> Iterator[int]:
        """Compute the gradients of each member's loss, plus its penalty, on its batch.

        One forward and backward pass per member. Yields the index in the chunk of each member whose
        gradients are ready.
        """
        for index, member in enumerate(self.members):
            batch = next(batches)
            with self._own_draws(index), self.precision():
                loss = member.loss(batch, member(batch[0]))
            if penalties is not None:
                loss = loss + penalties[index]
            loss.backward()  # type: ignore[no-untyped-call]
            yield index

    def _run(self, member: Classifier) -> Callable[[Tensor], Tensor]:
        def run(images: Tensor) -> Tensor:
            with self.precision():
                logits: Tensor = member(images)
            return logits

        return run

    @contextmanager
    def _own_draws(self, index: int) -> Iterator[None]:
        """Let the member draw as if no other member had drawn in between."""
        device = self.members[index].device
        _restore(self._states[index], device)
        yield
        self._states[index] = _generators(device)


class Stacked:
    """Members as one network with weights [m, ...], by `torch.func.vmap`.

    The members' own parameters and buffers become views into the stacks, so that optimisers,
    checkpoints and recording work on each member as they would alone. Norms keep statistics per
    member. Random draws during training, such as dropout, cannot be a member's own here: see
    `refuses_vmap`.
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
        """What repulsion compares, one pass for all members: [B, K] for each."""
        if of == "weights":
            with torch.enable_grad():  # without it, rows would look like fixed weights
                rows = zip(*(w for w in self._parameters.values() if w.requires_grad), strict=True)
                return [features(self._network, row, images, labels, of) for row in rows]

        def one(parameters: dict[str, Tensor], buffers: dict[str, Tensor]) -> Tensor:
            def run(x: Tensor) -> Tensor:
                with self.precision():
                    return _call(self._network, parameters, buffers, x)

            return features(run, (), images, labels, of)

        with evaluating(self._network):
            compared: Tensor = vmap(one)(self._parameters, self._buffers)  # [m, B, K]
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
            outputs = self._outputs(torch.stack([images for images, _ in own]), 0)
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

    def _outputs(self, images: Tensor, members: int | None) -> Tensor:
        """Images [B, ...] for all, or [m, B, ...] with `members` 0 -> logits [m, B, classes]."""
        outputs: Tensor = vmap(
            lambda *state: _call(self._network, *state),
            in_dims=(0, 0, members),
        )(self._parameters, self._buffers, images)
        return outputs


Chunk = Looped | Stacked  # members that are in memory together


def refuses_vmap(network: nn.Module, shape: Sequence[int], half: bool) -> str | None:
    """Why `network` cannot be trained under vmap on images [C, H, W]; None if it can.

    With `half`, under autocast to bfloat16.

    Networks that draw random numbers while they train, for dropout say, are refused: under vmap
    they would draw other numbers than alone.
    """
    stacks = stack_module_state([network, network])
    images = torch.zeros(2, 2, *shape)
    try:
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            vmap(lambda *state: _call(network, *state))(*stacks, images)
    except RuntimeError as error:
        return str(error).strip().splitlines()[0]
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


def _restore(states: list[Tensor], device: torch.device) -> None:
    torch.set_rng_state(states[0])
    if device.type == "cuda":
        torch.cuda.set_rng_state(states[1], device)
