import numpy as np
import pytest

from chromatic_descent.errors import UserError
from chromatic_descent.geometry import bootstrap_layouts
from chromatic_descent.geometry.distances.items import weighted_distances
from chromatic_descent.geometry.resampling import reflected_interval, resampled_counts


def test_counts_are_those_of_the_bootstrap():
    """The same seed resamples the same items everywhere."""
    counts = resampled_counts(40, 3, seed=5)
    rng = np.random.default_rng(5)
    for row in counts:
        assert row.tolist() == np.bincount(rng.integers(40, size=40), minlength=40).tolist()
    logits = np.random.default_rng(0).normal(size=(4, 40, 3))
    layouts = bootstrap_layouts(logits, "hellinger", resamples=3, seed=5).layouts
    for squared, layout in zip(
        weighted_distances(logits, "hellinger", counts), layouts, strict=True
    ):
        spread = np.square(layout[:, None] - layout).sum(-1)
        assert np.corrcoef(spread.ravel(), squared.ravel())[0, 1] > 0.5
    with pytest.raises(UserError, match="resamples must be at least 1"):
        resampled_counts(40, 0, seed=5)


def test_reflection_takes_out_what_resampling_adds():
    """Of a squared mean: E (mean)² is too large by its variance, and a resample's twice."""
    rng = np.random.default_rng(0)
    covered, percentiles = [], []
    for _ in range(400):
        x = rng.normal(size=(60, 30))  # many means, all 0
        value = np.square(x.mean(axis=0)).sum()
        again = np.array(
            [np.square(x[rng.integers(60, size=60)].mean(axis=0)).sum() for _ in range(99)]
        )
        low, high = reflected_interval(np.array(value), again)
        covered.append(low <= 0 <= high)
        percentiles.append(np.quantile(again, 0.025) <= 0)
    assert np.mean(covered) > 0.85
    assert np.mean(percentiles) == 0
