"""What is logged of repulsion along training."""

import torch
from torch import Tensor


def mean_distances(own: Tensor, others: Tensor) -> dict[str, Tensor]:
    """How far a member's logits [B, C] are from others' [R, B, C], centred: means over the others.

    `logits`: the root of the mean squared difference. `hellinger`: the root of 1 − mean Σ_c √(pq).
    """
    own, others = own.float(), others.float()
    squared = (own - others).square().mean((1, 2))  # [R]
    overlap = ((own.log_softmax(-1) + others.log_softmax(-1)) / 2).exp().sum(-1).mean(-1)  # [R]
    return {
        "logits": squared.sqrt().mean(),
        "hellinger": (1 - overlap).clamp_min(0).sqrt().mean(),
    }


def fitted_temperature(logits: Tensor, labels: Tensor, steps: int = 10) -> Tensor:
    """The T that minimises the cross-entropy of logits / T [B, C] with labels [B].

    By Newton's method on 1/T, in which the cross-entropy is convex, from 1; a step changes it at
    most threefold. Where every answer is right there is no least: T is then as small as the steps
    can make it.
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
