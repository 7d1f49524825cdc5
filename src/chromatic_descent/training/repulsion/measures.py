"""Measurements of repulsion that are logged during training."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from chromatic_descent.training.module import Classifier
from chromatic_descent.training.optim import trained_parameters


def step_measures(
    penalty: Tensor, member: Classifier, own: Tensor, others: Tensor
) -> dict[str, Tensor]:
    """The measurements of one member in one step that do not need gradients.

    Args:
        penalty: the term, times its strength.
        member: its last batch is this step's.
        own: the member's logits at the points, [b, C].
        others: the other members' logits there, [R, b, C].
    """
    assert member.last is not None
    logits, labels = member.last
    return {
        "penalty": penalty.detach(),
        "cross_entropy": F.cross_entropy(logits, labels, label_smoothing=member.label_smoothing),
        "temperature": fitted_temperature(logits, labels),
        **{f"distance_{key}": value for key, value in mean_distances(own, others).items()},
    }


def gradient_of(penalty: Tensor, parameters: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """The penalty's gradient in each parameter, 0 where it has none; the graph is kept."""
    return torch.autograd.grad(
        penalty, parameters, retain_graph=True, allow_unused=True, materialize_grads=True
    )


def gradient_ratio(network: nn.Module, penalty: Sequence[Tensor]) -> Tensor:
    """The norm of the penalty's gradient over the norm of the rest's, over all parameters.

    `penalty` has its gradient in each trained parameter of `network`. The gradient of the rest of
    the loss is the gradient of the whole loss, which the parameters hold, less the penalty's.
    """
    pairs = zip(trained_parameters(network), penalty, strict=True)
    rest = [p.grad - g for p, g in pairs if p.grad is not None]
    norms = [torch.stack([t.float().norm() for t in part]).norm() for part in (penalty, rest)]
    ratio: Tensor = norms[0] / norms[1]
    return ratio


def mean_distances(own: Tensor, others: Tensor) -> dict[str, Tensor]:
    """Distances of a member's centred logits [B, C] from others' [R, B, C]: means over the others.

    `logits`: root mean squared difference. `hellinger`: the root of 1 − mean Σ_c √(pq).
    """
    own, others = own.float(), others.float()
    squared = (own - others).square().mean((1, 2))  # [R]
    overlap = ((own.log_softmax(-1) + others.log_softmax(-1)) / 2).exp().sum(-1).mean(-1)  # [R]
    hellinger = (1 - overlap).clamp_min(0).sqrt()
    return {"logits": squared.sqrt().mean(), "hellinger": hellinger.mean()}


def fitted_temperature(logits: Tensor, labels: Tensor, steps: int = 10) -> Tensor:
    """The T that minimises the cross-entropy of logits / T [B, C] with labels [B].

    Newton's method from T = 1, on 1/T, in which the cross-entropy is convex; a step changes 1/T at
    most threefold. If every prediction is correct there is no minimum: T then shrinks at each step.
    """
    logits = logits.detach().float()
    true = logits.gather(1, labels[:, None])[:, 0]
    inverse = logits.new_ones(())
    for _ in range(steps):
        p = (inverse * logits).softmax(-1)
        mean = (p * logits).sum(-1)  # [B]
        slope = (mean - true).mean()
        curvature = ((p * logits.square()).sum(-1) - mean.square()).mean().clamp_min(1e-12)
        inverse = torch.clamp(inverse - slope / curvature, inverse / 3, inverse * 3)
    return 1 / inverse
