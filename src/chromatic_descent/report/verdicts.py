"""What a study shows, question by question: a short answer, an estimate, its interval, and why.

An answer is one of

    yes, partly, no     the null was rejected, and the effect is large, middling or small
    not shown           the null was not rejected: it may be false, these data do not show it
    not computed        the data do not allow an answer; the reason is given

A p-value says whether there is an effect, never how large it is: with 10,000 images the smallest
excess has the smallest p. So rejecting a null is not enough for a "yes" where the question is about
size. The limits are conventions; each question states its rule, which is shown beside the answer.
"""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from chromatic_descent.analysis import Analysis, NotComputed, computed
from chromatic_descent.analysis.maps import DistanceMap
from chromatic_descent.analysis.nulls import NullTest
from chromatic_descent.errors import UserError
from chromatic_descent.report.figures.kind import needed

Answer = Literal["yes", "partly", "no", "not shown", "not computed"]

ALPHA = 0.05  # a p-value above it does not reject
MUCH, SOME = 0.5, 0.1  # of what there is to explain: a large effect, and one worth mentioning
ALIKE = 0.9  # Procrustes r from which two maps are called the same
_FEWEST_FOR_STABILITY = 4  # members


@dataclass(frozen=True)
class Verdict:
    """An answer to one question: the estimate, its interval (or an empty string), and why."""

    key: str
    question: str
    rule: str
    answer: Answer
    estimate: str
    interval: str
    because: str


def verdicts(analysis: Analysis, distance: str) -> list[Verdict]:
    """All questions, answered under one distance."""
    answered = []
    for key, question, answer_to, rule in _QUESTIONS:
        try:
            answer, *texts = answer_to(analysis, distance)
        except UserError as error:
            reason = str(error).rstrip(".")
            answer, texts = "not computed", ["", "", f"{reason[:1].upper()}{reason[1:]}."]
        shown = [_MINUS.sub("−", text) for text in texts]
        answered.append(Verdict(key, question, rule, answer, *shown))
    return answered


def nothing_shown(answered: Sequence[Verdict]) -> bool:
    """Whether there was something to test, and no null hypothesis was rejected."""
    answers = {verdict.answer for verdict in answered}
    return "not shown" in answers and answers <= {"not shown", "not computed"}


Texts = tuple[Answer, str, str, str]
"""Answer, estimate, interval, because; a question without an answer raises UserError with why."""


def low_dimensional(analysis: Analysis, distance: str) -> Texts:
    """Do two axes hold much more than independent errors would give them?"""
    view, test = _map_and_null(analysis, distance)
    dimension = needed(analysis.dimension.find(distance, _ABSENT))
    rows = {row["quantity"]: row for row in dimension.estimates.to_dict("records")}
    share, ratio = rows["top_2_share"], rows["participation_ratio"]
    most, null = len(analysis.members.table) - 1, test.null_mean
    excess = (test.observed - null) / (1 - null) if null < 1 else 0.0
    estimate = f"{share['value']:.1%} of the variance on two axes"
    interval = _interval(share, ".1%", "over images")
    because = (
        f"Members with nothing in common would have {view.top_2_share_equidistant:.1%}, members "
        f"with independent errors {null:.1%}. The participation ratio is {ratio['value']:.1f} of "
        f"at most {most}."
    )
    if test.p_value > ALPHA:
        return "not shown", estimate, interval, f"{because} {_not_rejected(test)}"
    if excess < SOME:
        small = f"More than independent errors give (p = {test.p_value:.2g}), but little more."
        return "no", estimate, interval, f"{because} {small}"
    large = excess >= MUCH and ratio["value"] <= most / 2
    return "yes" if large else "partly", estimate, interval, because


def stable(analysis: Analysis, distance: str) -> Texts:
    """Would other probe images draw the same map?"""
    view = needed(analysis.maps.find(distance, _ABSENT))
    halves, stability = needed(view.split_half), view.stability
    if len(analysis.members.table) < _FEWEST_FOR_STABILITY:
        raise UserError(
            "so few members have the same map whatever the images; train at least "
            f"{_FEWEST_FOR_STABILITY}"
        )
    r, chance = halves.r, halves.r_by_chance
    if not all(map(math.isfinite, (r.mean, chance.high, stability.low))):
        raise UserError("the members are identical under this distance")
    estimate = f"r = {r.mean:.2f} between maps of two halves of the probe"
    interval = f"[{r.low:.2f}, {r.high:.2f}] over splits"
    because = (
        f"Shuffled members give {chance.mean:.2f}, 97.5% of them at most {chance.high:.2f}. "
        f"Resampled probes give r = {stability.mean:.3f} "
        f"[{stability.low:.3f}, {stability.high:.3f}]. Stability is about images, not about seeds, "
        "and does not show a low dimension."
    )
    if r.mean <= chance.high:
        return "not shown", estimate, interval, because
    return "yes" if stability.low >= ALIKE else "partly", estimate, interval, because


def beyond_independent_errors(analysis: Analysis, distance: str) -> Texts:
    """Do members differ by something that they carry from image to image?"""
    _, test = _map_and_null(analysis, distance)
    points = 100 * (test.observed - test.null_mean)
    low, high = (100 * (test.observed - bound) for bound in (test.null_high, test.null_low))
    tests = [results.find(_NULL) for results in analysis.nulls.values()]
    p_values = [other.p_value for other in tests if computed(other)]
    rejected = sum(p_value <= ALPHA for p_value in p_values)
    effect = f"{test.effect:+.1f} of its SDs, " if math.isfinite(test.effect) else ""
    because = (
        f"Top-2 share {test.observed:.3f} where the null gives {test.null_mean:.3f}; "
        f"{effect}p = {test.p_value:.2g} of {test.draws} draws. Rejected under "
        f"{rejected} of {len(p_values)} distances."
    )
    estimate = f"{points:+.1f} points of variance"
    interval = f"[{low:+.1f}, {high:+.1f}] over the null"
    if test.p_value > ALPHA:
        return "not shown", estimate, interval, f"{because} {_not_rejected(test)}"
    return "yes", estimate, interval, because


def temperature(analysis: Analysis, distance: str) -> Texts:
    """Do the first two axes show how confident members are?"""
    correlated = needed(analysis.drivers.find(distance, _ABSENT))
    table, interventions = correlated.table, correlated.interventions
    rows = table[(table["driver"] == "temperature") & (table["axis"] <= 2)]
    rows = rows.dropna(subset=["r", "p_holm"])
    removals = interventions[interventions["intervention"] == "temperature"]
    if rows.empty or removals["removed"].isna().any() or removals.empty:
        raise UserError("all members have the same temperature")
    removal = removals.iloc[0]
    row = min(rows.to_dict("records"), key=lambda row: (row["p_holm"], -abs(row["r"])))
    estimate = f"r = {row['r']:+.2f} with axis {row['axis']}"
    interval = _interval(row, "+.2f", "over members")
    removed = f"{removal['removed']:.1%} [{removal['low']:.1%}, {removal['high']:.1%}]"
    farther = ": less than nothing, members move farther apart" if removal["high"] < 0 else ""
    because = (
        f"p = {row['p_holm']:.2g} after Holm's correction. Of the first two axes' variance, "
        f"matching temperatures removes {removed}{farther}."
    )
    answers: tuple[Answer, Answer, Answer] = ("not shown", "partly", "yes")
    answer = answers[int(row["p_holm"] <= ALPHA) + int(removal["low"] >= SOME)]
    return answer, estimate, interval, because


def apart(analysis: Analysis, distance: str) -> Texts:
    """Do members of different recipes, or studies, lie in different places?"""
    table = needed(needed(analysis.factors).find(distance, _ABSENT))
    rows = table.to_dict("records")
    row = min(rows, key=lambda row: (row["p_value"], -row["r_squared"]))
    p = min(1.0, len(rows) * row["p_value"])
    chance = (row["levels"] - 1) / (len(analysis.members.table) - 1)
    because = (
        f"The {row['levels']} levels of {row['factor']} would have {chance:.1%} by chance; "
        f"p = {p:.2g}{f', corrected for {len(rows)} factors' if len(rows) > 1 else ''}."
    )
    estimate = f"{row['r_squared']:.1%} of the variance by {row['factor']}"
    return "yes" if p <= ALPHA else "not shown", estimate, "", because


def against_baseline(quantity: str, better: int, unit: str, analysis: Analysis, _: str) -> Texts:
    """In how many repelled configurations a difference over seeds is on the better side of 0."""
    if not analysis.provenance.repelled:
        raise UserError("there are no repelled members in this study")
    groups = needed(analysis.groups)
    differences = needed(groups.differences)
    repelled = set(groups.repelled) - {groups.baseline}
    chosen = (differences["quantity"] == quantity) & (differences["over"] == "seeds")
    rows = differences[chosen & differences["group"].isin(repelled)].to_dict("records")
    if not rows:
        raise UserError("no repelled configuration shares enough seeds with the baseline")
    above, below = sum(row["low"] > 0 for row in rows), sum(row["high"] < 0 for row in rows)
    good, bad = (above, below) if better > 0 else (below, above)
    row = max(rows, key=lambda row: better * row["value"])
    several = len(rows) > 1
    because = (
        f"In {good} of {len(rows)} repelled configurations the interval lies on the better side of "
        f"zero, in {bad} on the worse. The estimate is for {'the best, ' if several else ''}"
        f"{row['group']}, against {groups.baseline} over {row['seeds']} seeds"
        f"{', and not corrected for having been picked' if several else ''}."
    )
    estimate, interval = f"{row['value']:+.4f} {unit}", _interval(row, "+.4f", "over seeds")
    answer: Answer = "partly" if good else "not shown"
    if len(rows) in (good, bad):
        answer = "yes" if good else "no"
    return answer, estimate, interval, because


# The key of each question, the question, the function that answers it, and the rule for a yes.
_QUESTIONS: tuple[tuple[str, str, Callable[[Analysis, str], Texts], str], ...] = (
    (
        "low",
        "Low-dimensional?",
        low_dimensional,
        f"Of the variance that independent errors leave to other axes, two axes take at least "
        f"{MUCH:.0%} (yes) or {SOME:.0%} (partly); for a yes the participation ratio is also at "
        "most half of S − 1.",
    ),
    (
        "stable",
        "Stable over images?",
        stable,
        "Two halves of the probe draw maps more alike than 95% of shuffled members (partly), and "
        f"97.5% of resampled probes give the same map at r ≥ {ALIKE} (yes).",
    ),
    (
        "independent",
        "Beyond independent errors?",
        beyond_independent_errors,
        f"The null of independent errors is rejected at p ≤ {ALPHA}, however small the excess.",
    ),
    (
        "temperature",
        "Is it temperature?",
        temperature,
        f"Temperature correlates with axis 1 or 2 at p ≤ {ALPHA} after Holm's correction, and "
        f"matching temperatures removes at least {SOME:.0%} of the first two axes' variance "
        "(both: yes; one of them: partly).",
    ),
    (
        "apart",
        "Do recipes lie apart?",
        apart,
        f"PERMANOVA rejects at p ≤ {ALPHA} for one recipe factor, corrected for their number "
        "(Bonferroni), however small its share.",
    ),
    (
        "directions",
        "Does repulsion open new directions?",
        partial(against_baseline, "outside_alone", 1, "of the way leads out of their plane"),
        "Of the way from the mean of the plain members to a repelled one, the share that leads out "
        "of their plane is larger than for one of their own: the interval over seeds lies above "
        "zero for every repelled configuration (yes) or some (partly). Members that are merely "
        "worse are farther outside as well.",
    ),
    (
        "better",
        "Does repulsion make a better ensemble?",
        partial(against_baseline, "ensemble_calibrated_nll", -1, "nats of the ensemble's NLL"),
        "The interval over seeds of the calibrated NLL of the ensemble, less the baseline's, lies "
        "below zero for every repelled configuration (yes) or some (partly).",
    ),
)

_MINUS = re.compile(r"(?<!\w)-(?=\d)")
_NULL = "independent_errors"
_ABSENT = "it was not asked for"


def _map_and_null(analysis: Analysis, distance: str) -> tuple[DistanceMap, NullTest]:
    """The map and its test against independent errors."""
    view, nulls = needed(analysis.maps.find(distance, _ABSENT)), analysis.nulls.get(distance)
    return view, needed(NotComputed(_ABSENT) if nulls is None else nulls.find(_NULL, _ABSENT))


def _interval(row: dict[Any, Any], form: str, over: str) -> str:
    if not (math.isfinite(row["low"]) and math.isfinite(row["high"])):
        return ""
    return f"[{row['low']:{form}}, {row['high']:{form}}] {over}"


def _not_rejected(test: NullTest) -> str:
    least = 1 / (1 + test.draws)
    text = f"Not rejected: p = {test.p_value:.2g}."
    if least <= ALPHA:
        return text
    return f"{text} With {test.draws} draws it cannot be lower than {least:.2g}."
