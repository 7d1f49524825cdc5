"""The features of a network that repulsion terms compare, and the mode in which they are taken."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

Of = Literal["outputs", "weights", "input_gradients"]


def features(
    run: Callable[[Tensor], Tensor],
    parameters: Iterable[Tensor],
    images: Tensor,
    labels: Tensor | None,
    of: Of,
) -> Tensor:
    """The features that a term compares, [B, K] float32, differentiable in the parameters.

    - `outputs`: logits less their mean over classes, [B, classes]. Softmax ignores the mean, and
      moving it would be the cheapest way to be far apart.
    - `weights`: every trained parameter, in one row, [1, weights]; images are not used.
    - `input_gradients`: ∇_x log p(y|x) at the label y of each point, scaled to length 1,
      [B, C·H·W] (Trinh et al. 2023, "Input-gradient space particle inference for neural network
      ensembles").

    Args:
        run: images [B, C, H, W] -> logits, with the network as in `evaluating`.
        parameters: the network's; fixed parameters are left out.
        images: [B, C, H, W].
        labels: [B]; for `input_gradients`.
        of: the kind of features.
    """
    if of == "weights":
        return torch.cat([p.float().flatten() for p in parameters if p.requires_grad])[None]
    if of == "outputs":
        logits = run(images).float()
        return logits - logits.mean(-1, keepdim=True)
    assert labels is not None
    truth = labels[:, None]

    def log_likelihood(x: Tensor) -> Tensor:
        return run(x).float().log_softmax(-1).gather(1, truth).sum()

    # torch.func's, which works under torch.func.vmap
    gradients: Tensor = torch.func.grad(log_likelihood)(images)
    return F.normalize(gradients.flatten(1).float(), dim=1)


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """The network in evaluation mode, except that BatchNorm uses the statistics of its input.

    Running statistics are neither used nor updated. If repulsion used them, while cross-entropy
    uses those of each batch, members would learn to move apart in evaluation mode and hardly at all
    in training mode. Afterwards every module is in its previous mode.
    """
    training = [module for module in network.modules() if module.training]
    norms = [m for m in network.modules() if isinstance(m, _BatchNorm) and m.track_running_stats]
    for module in training:
        module.training = False
    for norm in norms:
        norm.training, norm.track_running_stats = True, False
    try:
        yield
    finally:
        for norm in norms:
            norm.training, norm.track_running_stats = False, True
        for module in training:
            module.training = True
