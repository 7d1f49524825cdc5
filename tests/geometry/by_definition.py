"""Every distance from its definition, pair by pair in float64: slow, but obviously right."""

import numpy as np
from scipy.special import log_softmax, softmax
from scipy.stats import entropy


def distances(logits, name, *, labels=None, temperature=None, weights=None):
    f = np.asarray(logits, dtype=np.float64)
    members, items, _ = f.shape
    w = np.ones(items) if weights is None else np.asarray(weights, dtype=np.float64)
    t = np.ones(members) if temperature is None else np.asarray(temperature)
    predicted = np.asarray(logits).argmax(-1)
    out = np.zeros((members, members))
    for i in range(members):
        for j in range(members):
            if i == j:
                continue
            if name == "cka":
                out[i, j] = 1 - debiased_cka(f[i], f[j])
                continue
            counted = w
            if name == "error_disagreement":
                counted = w * (predicted[i] != labels) * (predicted[j] != labels)
            by_item = [
                item_distance(f[i, n], f[j, n], name, t[i], t[j]) if counted[n] else 0.0
                for n in range(items)
            ]
            out[i, j] = np.average(by_item, weights=counted)
    return out


def item_distance(f, g, name, t_f, t_g):
    """One item, two members: [C] and [C]."""
    if name == "logit_mse":
        return np.mean((f - g) ** 2)
    if name.endswith("disagreement"):
        return float(f.argmax() != g.argmax())
    f, g = f - f.mean(), g - g.mean()
    if name == "logit_mse_centred":
        return np.mean((f - g) ** 2)
    if name == "logit_mse_matched":
        return np.mean((f / t_f - g / t_g) ** 2)
    if name == "logit_cosine":
        u, v = (x / np.linalg.norm(x) if x.any() else x for x in (f, g))
        return np.sum((u - v) ** 2) / 2
    p, q = softmax(f), softmax(g)
    if name == "hellinger":
        return np.sum((np.sqrt(p) - np.sqrt(q)) ** 2) / 2
    if name == "bhattacharyya":
        return -np.log(max(np.sum(np.exp((log_softmax(f) + log_softmax(g)) / 2)), 1e-30))
    if name == "kl_symmetric":
        return np.sum((p - q) * (log_softmax(f) - log_softmax(g)))
    if name == "jensen_shannon":
        return (entropy(p, (p + q) / 2) + entropy(q, (p + q) / 2)) / 2
    if name == "prob_l2":
        return np.sum((p - q) ** 2)
    raise AssertionError(name)


def debiased_cka(x, y):
    """From N x N kernels and the unbiased HSIC as Song et al. (2012) write it."""

    def hsic(k, m):
        n = len(k)
        k, m = (kernel - np.diag(np.diag(kernel)) for kernel in (k, m))
        one = np.ones(n)
        return (
            np.trace(k @ m)
            + (one @ k @ one) * (one @ m @ one) / ((n - 1) * (n - 2))
            - 2 / (n - 2) * (one @ k @ m @ one)
        )

    k, m = x @ x.T, y @ y.T
    return hsic(k, m) / np.sqrt(hsic(k, k) * hsic(m, m))
