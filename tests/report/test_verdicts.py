from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from chromatic_descent.analysis import Each, NotComputed
from chromatic_descent.analysis.configurations import is_repelled
from chromatic_descent.analysis.drivers import AxisDrivers
from chromatic_descent.analysis.nulls import NullTest
from chromatic_descent.analysis.results import Interval
from chromatic_descent.report.verdicts import nothing_shown, verdicts
from tests.report.cases import CASES, analysed

MEMBERS = 11


def make_analysis(
    share=0.65, null=0.2, p=0.01, ratio=2.5, halves=0.99, chance=0.6, stability=0.95, **more
):
    """The parts that verdicts read, of 11 members: clearly low-dimensional by default."""
    test = NullTest(
        observed=share,
        null_mean=null,
        null_low=null - 0.01,
        null_high=null + 0.01,
        effect=5.0,
        p_value=p,
        draws=more.pop("draws", 99),
        null=np.array([null]),
        rejects="members err independently",
    )
    view = SimpleNamespace(
        top_2_share_equidistant=0.2,
        stability=Interval(stability, stability, 1.0),
        split_half=SimpleNamespace(
            r=Interval(halves, halves - 0.1, halves),
            r_by_chance=Interval(chance / 2, 0.0, chance),
        ),
    )
    estimates = [
        {"quantity": "top_2_share", "value": share, "low": 0.5, "high": 0.7},
        {"quantity": "participation_ratio", "value": ratio, "low": 2, "high": 3},
    ]
    parts = {
        "members": SimpleNamespace(table=range(MEMBERS)),
        "maps": Each({"hellinger": view}),
        "nulls": {"hellinger": Each({"independent_errors": test})},
        "dimension": Each({"hellinger": SimpleNamespace(estimates=pd.DataFrame(estimates))}),
        "drivers": Each({"hellinger": make_drivers()}),
        "factors": NotComputed("no recipe factor varies, and no seed repeats"),
        "provenance": SimpleNamespace(repelled=0),
        "groups": NotComputed("all members share one configuration"),
    }
    return SimpleNamespace(**{**parts, **more})


def make_drivers(r=0.9, p=0.01, removed=0.5, low=0.4, high=0.6):
    rows = [
        ("temperature", 1, r, r - 0.1, r + 0.1, p),
        ("temperature", 2, 0.1, -0.4, 0.5, 1.0),
        ("accuracy", 1, 1.0, 1.0, 1.0, 0.0001),
    ]
    row = {"intervention": "temperature", "removed": removed, "low": low, "high": high}
    return AxisDrivers(
        table=pd.DataFrame(rows, columns=["driver", "axis", "r", "low", "high", "p_holm"]),
        groups=pd.DataFrame(),
        permutations=999,
        left_out=[],
        interventions=pd.DataFrame([row]),
    )


def make_repelled(*bounds, repelled=4):
    """Repelled configurations, each with the interval of one difference; and a plain, wider one."""
    names = [f"strength_{k}" for k in range(len(bounds))]
    quantities = ("outside_alone", "ensemble_calibrated_nll")
    intervals = dict(zip(names, bounds, strict=True)) | {"wide": (5, 6)}
    differences = [
        {
            **{"group": name, "quantity": quantity, "over": over, "seeds": 4},
            **{"value": (low + high) / 2, "low": low, "high": high},
        }
        for name, (low, high) in intervals.items()
        for quantity in quantities
        for over in ("seeds", "images")
    ]
    return {
        "provenance": SimpleNamespace(repelled=repelled),
        "groups": SimpleNamespace(
            baseline="default", repelled=names, differences=pd.DataFrame(differences)
        ),
    }


def answered(analysis):
    return {verdict.key: verdict for verdict in verdicts(analysis, "hellinger")}


@pytest.mark.parametrize(
    ("changes", "answer"),
    [
        ({}, "yes"),
        ({"ratio": 6.0}, "partly"),  # as many axes as half of S - 1
        ({"share": 0.3}, "partly"),  # an eighth of what is left
        ({"share": 0.21, "p": 0.01}, "no"),  # sure, and tiny
        ({"share": 0.9, "p": 0.06}, "not shown"),
    ],
)
def test_low_dimension_is_a_matter_of_size_and_not_of_p(changes, answer):
    verdict = answered(make_analysis(**changes))["low"]
    assert verdict.answer == answer
    assert f"{changes.get('share', 0.65):.1%} of the variance" in verdict.estimate
    assert verdict.interval == "[50.0%, 70.0%] over images"
    assert "20.0%" in verdict.because
    assert ("Not rejected: p = 0.06" in verdict.because) == (answer == "not shown")


@pytest.mark.parametrize(
    ("changes", "answer"),
    [
        ({}, "yes"),
        ({"stability": 0.8}, "partly"),
        ({"chance": 0.99}, "not shown"),
        ({"halves": 0.5, "stability": 1.0}, "not shown"),
    ],
)
def test_stability_is_held_against_shuffled_members(changes, answer):
    assert answered(make_analysis(**changes))["stable"].answer == answer


@pytest.mark.parametrize(("p", "answer"), [(0.05, "yes"), (0.051, "not shown")])
def test_independent_errors_are_rejected_or_not(p, answer):
    verdict = answered(make_analysis(p=p, share=0.22))["independent"]
    assert verdict.answer == answer
    assert verdict.estimate == "+2.0 points of variance"
    assert verdict.interval == "[+1.0, +3.0] over the null"
    assert f"under {int(answer == 'yes')} of 1 distances" in verdict.because


def test_a_null_of_few_draws_says_that_it_cannot_reject():
    few = make_analysis(p=0.1, draws=9)
    assert "With 9 draws it cannot be lower than 0.1" in answered(few)["independent"].because


@pytest.mark.parametrize(
    ("changes", "answer"),
    [
        ({}, "yes"),
        ({"p": 0.2}, "partly"),
        ({"low": 0.05}, "partly"),
        ({"p": 0.2, "low": 0.05}, "not shown"),
        ({"p": 0.2, "removed": -1.5, "low": -2.0, "high": -1.0}, "not shown"),
        ({"p": 0.2, "removed": -0.1, "low": -0.2, "high": 0.1}, "not shown"),
    ],
)
def test_temperature_has_to_correlate_and_to_be_missed(changes, answer):
    verdict = answered(make_analysis(drivers=Each({"hellinger": make_drivers(**changes)})))[
        "temperature"
    ]
    assert verdict.answer == answer
    assert verdict.estimate == "r = +0.90 with axis 1"  # its own row, not accuracy's
    assert ("less than nothing" in verdict.because) == (changes.get("high", 1) < 0)
    assert "-" not in verdict.because  # a minus is a minus


@pytest.mark.parametrize(("p", "answer"), [(0.02, "yes"), (0.03, "not shown")])
def test_recipes_lie_apart_if_one_factor_survives_the_correction(p, answer):
    rows = [
        {"factor": "study", "levels": 2, "r_squared": 0.3, "p_value": p},
        {"factor": "lr", "levels": 3, "r_squared": 0.9, "p_value": 0.5},
    ]
    verdict = answered(make_analysis(factors=Each({"hellinger": pd.DataFrame(rows)})))["apart"]
    assert verdict.answer == answer
    assert verdict.estimate == "30.0% of the variance by study"
    assert "would have 10.0% by chance" in verdict.because
    assert f"p = {2 * p:.2g}, corrected for 2 factors" in verdict.because


@pytest.mark.parametrize(
    ("bounds", "directions", "better"),
    [
        ([(0.1, 0.2), (0.3, 0.4)], "yes", "no"),
        ([(-0.2, -0.1), (-0.4, -0.3)], "no", "yes"),
        ([(0.1, 0.2), (-0.4, 0.4)], "partly", "not shown"),
        ([(-0.1, 0.2)], "not shown", "not shown"),
    ],
)
def test_repulsion_is_judged_by_intervals_over_seeds(bounds, directions, better):
    by_key = answered(make_analysis(**make_repelled(*bounds)))
    assert by_key["directions"].answer == directions
    assert by_key["better"].answer == better
    several = len(bounds) > 1
    assert ("not corrected for having been picked" in by_key["directions"].because) == several
    assert "wide" not in by_key["directions"].because  # it is not repelled
    assert f"of {len(bounds)} repelled" in by_key["directions"].because


def test_without_repelled_members_there_is_nothing_to_judge():
    by_key = answered(make_analysis())
    assert by_key["directions"].answer == by_key["better"].answer == "not computed"
    assert by_key["better"].because == "There are no repelled members in this study."
    alone = make_analysis(**{**make_repelled((1, 2)), "groups": NotComputed("one seed each")})
    assert answered(alone)["better"].because == "One seed each."


def test_nothing_shown_is_said_only_when_something_was_tested():
    dull = {"p": 0.5, "chance": 1.0, "drivers": Each({"hellinger": make_drivers(p=1.0, low=0.0)})}
    assert nothing_shown(verdicts(make_analysis(**dull), "hellinger"))
    assert not nothing_shown(verdicts(make_analysis(), "hellinger"))
    nowhere = verdicts(make_analysis(**dull), "logit_mse")
    assert {v.answer for v in nowhere} == {"not computed"}
    assert not nothing_shown(nowhere)


@pytest.mark.parametrize("case", ["one", "two", "three", "identical", "trial"])
def test_every_study_gets_an_answer_or_a_reason(case):
    result, _ = analysed(CASES[case](), maps=["hellinger"])
    for verdict in verdicts(result, "hellinger"):
        assert verdict.rule.endswith(".")
        assert verdict.because.endswith(".")
        assert (verdict.estimate == "") == (verdict.answer == "not computed")
        assert "None" not in verdict.because
        assert "nan" not in verdict.estimate + verdict.interval + verdict.because


def test_a_real_population_of_independent_members_shows_nothing():
    result, _ = analysed(CASES["gaussian"](), maps=["hellinger"])
    assert nothing_shown(verdicts(result, "hellinger"))


def test_planted_axes_are_shown():
    result, _ = analysed(CASES["planted"](), maps=["logit_mse_centred"])
    by_key = {v.key: v.answer for v in verdicts(result, "logit_mse_centred")}
    assert by_key["low"] == "yes"
    assert by_key["stable"] == "yes"
    assert by_key["independent"] == "yes"
    assert np.isfinite(result.dimension["logit_mse_centred"].estimates["value"][0])


def test_a_strength_that_is_not_a_number_is_a_strength():
    assert is_repelled({"repulsion": {"strength": "strong"}})
