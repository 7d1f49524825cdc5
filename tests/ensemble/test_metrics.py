import numpy as np
import pytest
import torch
from sklearn.metrics import brier_score_loss, log_loss
from torchmetrics.functional.classification import (
    binary_calibration_error,
    multiclass_accuracy,
    multiclass_calibration_error,
)

from chromatic_descent.ensemble import (
    METRICS,
    Metric,
    accuracy,
    brier,
    calibrated_scores,
    classwise_ece,
    ece,
    log_softmax,
    nll,
    selection_curves,
    size_curves,
)
from chromatic_descent.errors import UserError


def predictions(seed=0, lead=(), items=400, classes=5, scale=2.0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(classes, size=items)
    logits = scale * rng.normal(size=(*lead, items, classes)) + np.eye(classes)[labels]
    return log_softmax(logits), labels


@pytest.mark.parametrize("seed", range(3))
def test_matches_torchmetrics_and_scikit_learn(seed):
    log_p, labels = predictions(seed)
    p, y = np.exp(log_p), torch.as_tensor(labels)
    torch_p = torch.as_tensor(p)
    expected = multiclass_accuracy(torch_p, y, 5, average="micro").item()
    assert accuracy(log_p, labels) == pytest.approx(expected)
    assert nll(log_p, labels) == pytest.approx(log_loss(labels, p, labels=range(5)))
    expected = brier_score_loss(labels, p, labels=range(5), scale_by_half=False)
    assert brier(log_p, labels) == pytest.approx(expected)
    for bins in (1, 10, 15):
        of_class = [
            binary_calibration_error(of_c, (y == c).long(), n_bins=bins, norm="l1").item()
            for c, of_c in enumerate(torch_p.T.contiguous())
        ]
        assert classwise_ece(log_p, labels, bins=bins) == pytest.approx(np.mean(of_class), abs=1e-6)
        expected = multiclass_calibration_error(torch_p, y, 5, n_bins=bins, norm="l1").item()
        assert ece(log_p, labels, bins=bins) == pytest.approx(expected, abs=1e-6)  # float32


@pytest.mark.parametrize("metric", METRICS.values())
def test_leading_axes_are_kept(metric):
    log_p, labels = predictions(lead=(3, 2), items=50)
    got = metric(log_p, labels)
    assert got.shape == (3, 2)
    assert got.dtype == np.float64
    each = [[metric(log_p[i, j], labels) for j in range(2)] for i in range(3)]
    np.testing.assert_allclose(got, each)
    assert isinstance(metric(log_p[0, 0], labels), float)


def test_certain_predictions():
    right = log_softmax(np.array([[1e4, -1e4, -1e4], [-1e4, -1e4, 1e4]]))
    assert [float(metric(right, [0, 2])) for metric in METRICS.values()] == [1, 0, 0, 0, 0]
    assert [float(metric(right, [1, 0])) for metric in METRICS.values()] == [0, 2e4, 2, 1, 2 / 3]
    with np.errstate(divide="ignore"):
        impossible = np.log(np.eye(3))
    assert nll(impossible, [0, 1, 0]) == np.inf
    assert brier(impossible, [0, 1, 0]) == pytest.approx(2 / 3)


def test_uniform_predictions():
    log_p = np.log(np.full((8, 4), 0.25))
    labels = np.array([0, 0, 1, 1, 2, 2, 3, 3])
    assert accuracy(log_p, labels) == 0.25  # the first of equals is taken
    assert nll(log_p, labels) == pytest.approx(np.log(4))
    assert brier(log_p, labels) == pytest.approx(0.75)
    assert ece(log_p, labels) == pytest.approx(0, abs=1e-12)


def test_one_item_and_one_class_present():
    assert accuracy(np.log([[0.2, 0.8]]), [1]) == 1
    assert ece(np.log([[0.2, 0.8]]), [1]) == pytest.approx(0.2)
    log_p, _ = predictions()
    assert nll(log_p, np.zeros(400, dtype=int)) == pytest.approx(-log_p[:, 0].mean())


def test_bins_are_closed_above():
    """3/5 = 9/15 belongs below the edge however it was rounded; 1.0 into the last bin."""
    for confidence in (np.nextafter(0.6, 0), 0.6, np.nextafter(0.6, 1)):
        log_p = np.log([[confidence, 1 - confidence], [0.59, 0.41]])
        assert ece(log_p, [0, 1]) == pytest.approx(abs(confidence - 1 + 0.59) / 2)
    log_p = log_softmax(np.array([[1e4, 0.0], [3.0, 0.0]]))  # 1.0 and 0.953
    assert ece(log_p, [1, 0]) == pytest.approx(abs(1 - 1 + 1 / (1 + np.exp(-3))) / 2)


def test_bins_take_probabilities_that_round_out_of_range():
    log_p = np.array([[[5e-7, -20.0]], [[-np.inf, -np.inf]]])  # above 1 by round-off; unnormalised
    np.testing.assert_allclose(ece(log_p, [1]), [1, 0], atol=1e-6)


def test_leaves_its_input_alone():
    log_p, labels = predictions()
    before = log_p.copy()
    for metric in METRICS.values():
        metric(log_p, labels)
    np.testing.assert_array_equal(log_p, before)


@pytest.mark.parametrize("metric", METRICS.values())
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda p, y: (p, y[:-1]), r"400 whole numbers, one per probe item; found shape \[399\]"),
        (lambda p, y: (p, y[:, None]), r"found shape \[400, 1\]"),
        (lambda p, y: (p, y.astype(float)), "whole numbers, .* of dtype float64"),
        (lambda p, y: (p, y - 1), "from 0 to 4, .* found -1 to 3"),
        (lambda p, y: (p, y + 1), "found 1 to 5"),
        (lambda p, y: (p + 5, y), "log_softmax first"),
        (lambda p, y: (p * np.nan, y), "found nan"),
        (lambda p, y: (p[:, 0], y), r"found \[400\]"),
        (lambda p, y: (p[:0], y[:0]), r"found \[0, 5\]"),
    ],
)
def test_mistakes_are_named(metric, change, message):
    with pytest.raises(UserError, match=message):
        metric(*change(*predictions()))


@pytest.mark.parametrize("metric", [ece, classwise_ece])
def test_calibration_errors_want_a_bin(metric):
    with pytest.raises(UserError, match="bins must be at least 1"):
        metric(*predictions(), bins=0)


@pytest.mark.parametrize("bins", [1, 2, 15, 40])
def test_classwise_ece_by_its_definition(bins):
    log_p, labels = predictions(items=150, scale=3.0)
    log_p[:5] = np.log([[0.2] * 5] * 5)  # on an edge: 3/15
    labels[labels == 4] = 0  # a class without an item
    p = np.exp(log_p)
    total = 0.0
    for c in range(5):
        for b in range(bins):
            lower = -1 if b == 0 else b / bins + 1e-12
            inside = (p[:, c] > lower) & (p[:, c] <= (b + 1) / bins + 1e-12)
            if inside.any():
                gap = abs((labels[inside] == c).mean() - p[inside, c].mean())
                total += inside.mean() * gap / 5
    assert classwise_ece(log_p, labels, bins=bins) == pytest.approx(total, abs=1e-12)


def test_classwise_ece_of_two_classes_from_one():
    """With two classes the gaps of one mirror those of the other, where no p is on an edge."""
    log_p, labels = predictions(classes=2)
    one = binary_calibration_error(
        torch.as_tensor(np.exp(log_p[:, 1]).copy()), torch.as_tensor(labels), n_bins=15, norm="l1"
    )
    assert classwise_ece(log_p, labels) == pytest.approx(one.item(), abs=1e-6)


def test_a_new_metric_is_one_entry(monkeypatch):
    """It then stands in size curves, in selections and in calibrated scores."""

    def two_best(prediction):
        """Whether the label is one of the two most probable classes: [N]."""
        return (prediction.log_p.argsort(axis=0)[-2:] == prediction.labels).any(axis=0)

    entry = Metric(two_best, "top-2 accuracy", larger_is_better=True)
    monkeypatch.setitem(METRICS, "two_best", entry)
    log_p, labels = predictions(lead=(4,), items=60)
    top = log_p.argsort(axis=-1)[..., -2:]
    expected = (top == labels[:, None]).any(axis=-1).mean(axis=-1)
    np.testing.assert_allclose(METRICS["two_best"](log_p, labels), expected)
    np.testing.assert_allclose(calibrated_scores(log_p, labels)["two_best"], expected)
    curves = size_curves(log_p, labels, combiners=["mean_logit"]).query("metric == 'two_best'")
    one = curves.query("stage == 'raw' and size == 1").iloc[0]
    assert one["mean"] == pytest.approx(expected.mean())
    assert one["item_low"] < one["mean"] < one["item_high"]
    picks = selection_curves(log_p, labels, lambda half: np.ones((4, 4)) - np.eye(4))
    p_values = picks.query("metric == 'two_best' and method != 'random'")["p_value"]
    assert p_values.between(0, 1, inclusive="right").all()


def test_headings():
    headings = ["accuracy", "NLL (nats)", "Brier score", "ECE", "classwise ECE"]
    assert [metric.heading for metric in METRICS.values()] == headings
    assert [name for name, metric in METRICS.items() if metric.larger_is_better] == ["accuracy"]
