"""Repulsion terms: functions that are minimised, times a strength, to push a member from others.

Each is a `Term`. The others are constants: gradients do not reach them. Everything is computed in
float32 (in float64 if `own` is), whatever the inputs' type, with autocast too.
"""

import math
from typing import Protocol

import torch
from torch import Tensor

from chromatic_descent.errors import UserError

__all__ = ["Term", "dbat", "hellinger", "kl", "logit_mse", "ncl", "rbf", "rbf_hellinger", "svgd"]

_SAME = 1e-12  # mean squared difference below which a bandwidth treats members as identical
_FLOOR = 1e-7  # the smallest probability of disagreeing, as in the code of D-BAT's authors


class Term(Protocol):
    """A pure function of a member's features, the other members' features, and labels.

        term(own [B, K], others [R, B, K], labels [B] or None) -> scalar

    B points, R other members. The features are logits, K = C classes, unless a term says otherwise.
    The value is smaller where members are farther apart, and is a mean over points, so that a
    strength means the same for any number of points.
    """

    def __call__(self, own: Tensor, others: Tensor, labels: Tensor | None = None) -> Tensor:
        """The penalty, a scalar, before its strength."""


def logit_mse(
    own: Tensor, others: Tensor, labels: Tensor | None = None, *, scale: float = 1.0
) -> Tensor:
    """Mean squared logit difference, saturating: mean over points and others of s / (s + d²).

    d² = mean_c (f_ic − f_jc)² at one point. In (0, 1]: 1 where the members agree. Each point's
    force fades once d² is well beyond s = `scale`, in logits²: growing logits soon gain little.
    """
    own, others = _wide(own, others)
    return _saturating((own - others).square().mean(-1), scale).mean()


def hellinger(own: Tensor, others: Tensor, labels: Tensor | None = None) -> Tensor:
    """Bhattacharyya's coefficient, 1 less the squared Hellinger distance: mean Σ_c √(p_ic p_jc).

    In [0, 1]. Blind to a shift of the logits; once members are confident in different classes the
    term cannot fall further.
    """
    log_p, log_q = (x.log_softmax(-1) for x in _wide(own, others))
    return ((log_p + log_q) / 2).exp().sum(-1).mean()


def kl(own: Tensor, others: Tensor, labels: Tensor | None = None, *, scale: float = 1.0) -> Tensor:
    """Symmetric Kullback–Leibler divergence, saturating: mean over points and others of s/(s + d).

    d = KL(p_i‖p_j) + KL(p_j‖p_i) at one point, in nats. The divergence itself is unbounded: one
    point on which two confident members differ would outweigh all others. s/(s + d) is in (0, 1]
    and falls as the divergence grows, ever more slowly beyond s = `scale`, in nats.
    """
    log_p, log_q = (x.log_softmax(-1) for x in _wide(own, others))
    divergence = ((log_p.exp() - log_q.exp()) * (log_p - log_q)).sum(-1)  # [R, B]
    return _saturating(divergence, scale).mean()


def rbf(own: Tensor, others: Tensor, labels: Tensor | None = None) -> Tensor:
    """The log kernel density estimate at a member, log Σ_j k(g_i, g_j), itself included.

    k(g, g') = exp(−d²/h), d² = mean over points and features of (g − g')², and the bandwidth
    h = median(d²) / log(S + 1) over the pairs of the S = R + 1 members, a constant in the gradient.
    In [0, log S], since a member's kernel with itself is 1. On logits this is the repulsive force
    of function-space Wasserstein gradient descent, and on other features, [B, K], the same force in
    their space (D'Angelo & Fortuin 2021, "Repulsive deep ensembles are Bayesian").

    With one other member, h follows the distance: the value is constant, but its gradient repels.
    Where all members are identical the gradient is 0.
    """
    return _kernel(*_wide(own, others)).sum().log1p()


def rbf_hellinger(own: Tensor, others: Tensor, labels: Tensor | None = None) -> Tensor:
    """`rbf` on √p, so that d² is in proportion to the squared Hellinger distance.

    In [0, log S]. On logits a member can move far from all others by enormous logits at a few
    points, which hardly changes its predictions, and the bandwidth follows; here a point counts
    for at most 1.
    """
    return rbf(*((x.log_softmax(-1) / 2).exp() for x in _wide(own, others)))


def svgd(own: Tensor, others: Tensor, labels: Tensor | None = None) -> Tensor:
    """Stein variational gradient descent in function space (Liu & Wang 2016).

    The gradient with respect to `own` is minus the Stein direction,

        (1/S) Σ_j [ k(g_j, g_i) ∇_j L_j − ∇_j k(g_j, g_i) ]

    over all S = R + 1 members, L_j the cross-entropy of member j at the points, which needs labels:
    near members share their gradients and repel each other. The kernel is that of `rbf`. The value
    is the repulsive part alone, (1/S) Σ_j k, in [1/S, 1]; the driving part adds only its gradient.
    """
    if labels is None:
        raise UserError("The term svgd needs labelled points: repulsion.points=train.")
    own, others = _wide(own, others)
    near = _kernel(own, others)  # [R]
    members = len(others) + 1
    truth = _one_hot(labels, own).to(own)  # [B, C]
    # L, like the kernel's distance, is a mean over points: neither depends on their number.
    drive = (others.softmax(-1) - truth) * near.detach()[:, None, None]  # [R, B, C]
    drive = (drive.sum(0) + own.detach().softmax(-1) - truth) / (members * len(own))
    return (1 + near.sum()) / members + (drive * (own - own.detach())).sum()


def ncl(own: Tensor, others: Tensor, labels: Tensor | None = None) -> Tensor:
    """Negative correlation learning: −‖p_i − p̄‖², p̄ the mean over the member and the others.

    In (−2, 0]. Liu & Yao (1999), "Ensemble learning via negative correlation", add
    λ (F_i − F̄) Σ_{j≠i} (F_j − F̄) = −λ (F_i − F̄)² to a regression's loss; here F are probabilities,
    and the term is summed over classes. The gradient is exact, through p̄ too.
    """
    own, others = _wide(own, others)
    p = own.softmax(-1)  # [B, C]
    mean = (p + others.softmax(-1).sum(0)) / (len(others) + 1)
    return -(p - mean).square().sum(-1).mean()


def dbat(own: Tensor, others: Tensor, labels: Tensor | None = None) -> Tensor:
    """Diversity by disagreement: mean over points and others of −log(p(1 − q) + q(1 − p) + ε).

    More than two classes are treated as in the authors' code: the class most probable to the other
    member is set against the rest; q is the other member's probability of it, p this member's.
    ε = 1e-7 bounds the term by 16.2. Source: Pagliardini et al. 2022, "Agree to disagree: diversity
    through disagreement for better transferability".
    """
    own, others = _wide(own, others)
    top = _one_hot(others.argmax(-1), own)  # [R, B, C]
    yes, no = _against_the_rest(own.expand_as(others), top)  # [R, B] each, logarithms
    yes_other, no_other = _against_the_rest(others, top)
    disagree = torch.logaddexp(yes + no_other, yes_other + no)
    return -torch.logaddexp(disagree, disagree.new_tensor(math.log(_FLOOR))).mean()


def _wide(own: Tensor, others: Tensor) -> tuple[Tensor, Tensor]:
    """Both in float32, or float64 if `own` is; the others as constants."""
    kind = torch.promote_types(own.dtype, torch.float32)
    return own.to(kind), others.detach().to(kind)


def _saturating(distance: Tensor, scale: float) -> Tensor:
    """1 at distance 0, 1/2 at `scale`, approaching 0 beyond."""
    return scale / (scale + distance)


def _kernel(own: Tensor, others: Tensor) -> Tensor:
    """k(g_i, g_j) = exp(−d²/h) [R] with the median bandwidth; see `rbf`."""
    squared = (own - others).square().mean((1, 2))  # [R]
    return (-squared / _bandwidth(own.detach(), others)).exp()


def _bandwidth(own: Tensor, others: Tensor) -> Tensor:
    """median(d²) / log(S + 1) over pairs of members; the mean replaces a median of 0, or else 1."""
    members = torch.cat([own[None], others]).flatten(1)  # [S, B·K]
    squared = torch.cat(
        [(members[i + 1 :] - members[i]).square().mean(1) for i in range(len(members) - 1)]
    )  # [S (S − 1) / 2]
    typical = squared.median()
    typical = torch.where(typical > _SAME, typical, squared.mean())
    return torch.where(typical > _SAME, typical, 1.0) / math.log(len(members) + 1)


def _one_hot(classes: Tensor, logits: Tensor) -> Tensor:
    """Classes [...] -> bool [..., C], true at the class."""
    return classes[..., None] == torch.arange(logits.shape[-1], device=logits.device)


def _against_the_rest(logits: Tensor, one_hot: Tensor) -> tuple[Tensor, Tensor]:
    """log p of the class that `one_hot` marks and log(1 − p), exact where p is near 1."""
    log_p = logits.log_softmax(-1)
    yes = log_p.masked_fill(~one_hot, 0.0).sum(-1)
    return yes, log_p.masked_fill(one_hot, -math.inf).logsumexp(-1)
