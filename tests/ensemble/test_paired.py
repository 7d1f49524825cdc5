import numpy as np
import pytest
from scipy import stats

from chromatic_descent.ensemble import jackknife_interval, paired_difference
from chromatic_descent.errors import UserError


@pytest.mark.parametrize("pairs", [3, 4, 9, 20])
def test_the_interval_is_that_of_the_paired_t_test(pairs):
    rng = np.random.default_rng(pairs)
    a, b = rng.normal(size=pairs) + 0.5, rng.normal(size=pairs)
    difference = paired_difference(a, b)
    expected = stats.ttest_rel(a, b).confidence_interval(0.95)
    assert (difference.low, difference.high) == pytest.approx((expected.low, expected.high))
    assert difference.value == pytest.approx((a - b).mean())
    assert difference.pairs == pairs


@pytest.mark.parametrize("pairs", [4, 16])
def test_p_is_that_of_the_sign_flip_test(pairs):
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=pairs) + 0.6, rng.normal(size=pairs)
    expected = stats.permutation_test(
        (a, b), lambda x, y: (x - y).mean(), permutation_type="samples", n_resamples=np.inf
    ).pvalue
    assert paired_difference(a, b).p_value == pytest.approx(expected, abs=0.02 * (pairs > 14))


def test_four_seeds_that_agree_have_a_p_of_an_eighth():
    assert paired_difference([1.1, 1.2, 1.3, 1.4], [0, 0, 0, 0]).p_value == 0.125
    assert paired_difference([1.0, 1.0, 1.0], [1.0, 1.0, 1.0]).p_value == 1


def test_the_jackknife_of_a_mean_is_students_interval():
    x = np.random.default_rng(0).normal(size=7)
    without = [np.delete(x, s).mean() for s in range(7)]
    expected = stats.ttest_1samp(x, 0).confidence_interval(0.95)
    assert jackknife_interval(x.mean(), without) == pytest.approx((expected.low, expected.high))


def test_mistakes_are_named():
    with pytest.raises(UserError, match="at least 3; found 2"):
        paired_difference([1, 2], [1, 2])
    with pytest.raises(UserError, match="at least 3; found 1"):
        jackknife_interval(1.0, [1.0])
    with pytest.raises(UserError, match="one length"):
        paired_difference([1, 2, 3], [1, 2])
    with pytest.raises(UserError, match="must be finite; found NaN"):
        paired_difference([1, 2, np.nan], [1, 2, 3])
