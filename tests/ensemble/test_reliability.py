import numpy as np
import pytest

from chromatic_descent.ensemble import (
    ece,
    log_softmax,
    reliability,
)
from chromatic_descent.errors import UserError


def population(seed=0, lead=(4,), items=300, classes=5, scale=2.0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(classes, size=items)
    logits = rng.normal(size=(*lead, items, classes)) + np.eye(classes)[labels]
    return scale * logits, labels


@pytest.mark.parametrize("lead", [(), (3,)])
def test_reliability(lead):
    logits, labels = population(lead=lead)
    log_p = log_softmax(logits)
    diagram = reliability(log_p, labels, bins=10)
    assert diagram.counts.shape == (*lead, 10)
    assert (diagram.counts.sum(-1) == len(labels)).all()
    np.testing.assert_allclose(diagram.edges, np.arange(11) / 10)
    empty = diagram.counts == 0
    assert empty.any()  # no top class of five is below 0.2
    np.testing.assert_array_equal(np.isnan(diagram.accuracy), empty)
    np.testing.assert_array_equal(np.isnan(diagram.confidence), empty)
    gaps = np.abs(diagram.accuracy - diagram.confidence) * diagram.counts / len(labels)
    np.testing.assert_allclose(np.nansum(gaps, axis=-1), ece(log_p, labels, bins=10))

    top, right = np.exp(log_p.max(-1)), log_p.argmax(-1) == labels
    member = (0,) * len(lead)
    inside = (top[member] > 0.5) & (top[member] <= 0.6)
    assert diagram.counts[(*member, 5)] == inside.sum()
    assert diagram.accuracy[(*member, 5)] == pytest.approx(right[member][inside].mean())
    assert diagram.confidence[(*member, 5)] == pytest.approx(top[member][inside].mean())
    with pytest.raises(UserError, match="bins must be at least 1"):
        reliability(log_p, labels, bins=0)
