"""What a study shows, question by question: a short answer, a number, its interval, and why.

Functions of what `analysis.json` holds. An answer is one of

    yes, partly, no     the null was rejected, and the effect is large, middling or small
    not shown           the null was not rejected: it may be so, these data do not say it
    not computed        there is nothing to say it from; the reason is given

A p-value says whether there is anything, never how much: with 10,000 images the smallest excess has
the smallest p. So a rejected null alone makes no "yes" where the question is about size. The limits
are conventions, written out in `RULES` and shown beside the answers.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from chromatic_descent.analysis.results import computed

Numbers = Mapping[str, Any]
Answer = Literal["yes", "partly", "no", "not shown", "not computed"]

ALPHA = 0.05  # a p-value above it does not reject
MUCH, SOME = 0.5, 0.1  # of what there is to explain: a large effect, and one worth a word
ALIKE = 0.9  # Procrustes r from which two maps are called the same

RULES = {
    "low": f"Of the variance that independent errors leave to other axes, two axes take at least "
    f"{MUCH:.0%} (yes) or {SOME:.0%} (partly); for a yes the participation ratio is also at most "
    "half of S − 1.",
    "stable": "Two halves of the probe draw maps more alike than 95% of shuffled members (partly), "
    f"and 97.5% of resampled probes give the same map at r ≥ {ALIKE} (yes).",
    "independent": f"The null of independent errors is rejected at p ≤ {ALPHA}, however small the "
    "excess.",
    "temperature": f"It correlates with axis 1 or 2 at p ≤ {ALPHA} after Holm's correction, and "
    f"matching temperatures takes at least {SOME:.0%} of the first two axes' variance (both: yes; "
    "one of them: partly).",
    "apart": f"PERMANOVA rejects at p ≤ {ALPHA} for one recipe factor, corrected for their number "
    "(Bonferroni), however small its share.",
    "directions": "Of the way from the mean of the plain members to a repelled one, the share that "
    "leads out of their plane is larger than for one of their own: the interval over seeds lies "
    "above zero for every repelled configuration (yes) or some (partly). Members that are merely "
    "worse are farther outside as well.",
    "better": "The interval over seeds of the calibrated NLL of the ensemble, less the baseline's, "
    "lies below zero for every repelled configuration (yes) or some (partly).",
}


@dataclass(frozen=True)
class Verdict:
    """An answer to one question: what was measured, its interval (or None), and why."""

    key: str  # of `RULES`
    question: str
    answer: Answer
    number: str
    interval: str
    because: str


def verdicts(numbers: Numbers, distance: str) -> list[Verdict]:
    """All questions, answered under one distance of `numbers["maps"]`."""
    answered = []
    for key, (question, answer) in _QUESTIONS.items():
        found, *texts = answer(numbers, distance)
        answered.append(Verdict(key, question, found, *(_MINUS.sub("−", text) for text in texts)))
    return answered


def nothing_shown(answered: Sequence[Verdict]) -> bool:
    """Whether there was something to test, and no null hypothesis was rejected."""
    return {verdict.answer for verdict in answered} <= {"not shown", "not computed"} and any(
        verdict.answer == "not shown" for verdict in answered
    )


Found = tuple[Answer, str, str, str]  # answer, number, interval, because


def _not_computed(reason: str) -> Found:
    return "not computed", "", "", reason[:1].upper() + reason[1:].rstrip(".") + "."


def low_dimensional(numbers: Numbers, distance: str) -> Found:
    """Do two axes hold much more than independent errors would give them?"""
    view, test, why = _map_and_null(numbers, distance)
    estimates = numbers["dimension"].get(distance, _ABSENT)
    if why or not computed(estimates):
        return _not_computed(why or estimates["not_computed"])
    of = {row["quantity"]: row for row in estimates["estimates"]}
    share, ratio = of["top_2_share"], of["participation_ratio"]
    most = len(numbers["members"]["table"]) - 1
    null = test["null_mean"]
    excess = (test["observed"] - null) / (1 - null) if null < 1 else 0.0
    number = f"{share['value']:.1%} of the variance on two axes"
    interval = _interval(share, ".1%", "over images")
    because = (
        f"Members that share nothing would have {view['top_2_share_equidistant']:.1%}, those with "
        f"independent errors {null:.1%}. The participation ratio is {ratio['value']:.1f} of at "
        f"most {most}."
    )
    if test["p_value"] > ALPHA:
        return "not shown", number, interval, f"{because} {_not_rejected(test)}"
    if excess >= MUCH and ratio["value"] <= most / 2:
        return "yes", number, interval, because
    if excess >= SOME:
        return "partly", number, interval, because
    small = f"More than independent errors give (p = {test['p_value']:.2g}), but little more."
    return "no", number, interval, f"{because} {small}"


def stable(numbers: Numbers, distance: str) -> Found:
    """Would other probe images draw the same map?"""
    view = numbers["maps"].get(distance, _ABSENT)
    if not computed(view):
        return _not_computed(view["not_computed"])
    halves, stability = view["split_half"], view["stability"]
    if not computed(halves):
        return _not_computed(halves["not_computed"])
    if len(numbers["members"]["table"]) < 4:
        return _not_computed(
            "so few members have the same map whatever the images; train at least 4"
        )
    r, chance = halves["r"], halves["r_by_chance"]
    if None in (r["mean"], chance["high"], stability["low"]):
        return _not_computed("the members are identical under this distance")
    number = f"r = {r['mean']:.2f} between maps of two halves of the probe"
    interval = _interval(r, ".2f", "over splits")
    because = (
        f"Shuffled members give {chance['mean']:.2f}, 97.5% of them at most {chance['high']:.2f}. "
        f"Resampled probes give r = {stability['mean']:.3f} "
        f"[{stability['low']:.3f}, {stability['high']:.3f}]. It is about images, not about seeds, "
        "and shows no low dimension."
    )
    if r["mean"] <= chance["high"]:
        return "not shown", number, interval, because
    return "yes" if stability["low"] >= ALIKE else "partly", number, interval, because


def beyond_independent_errors(numbers: Numbers, distance: str) -> Found:
    """Do members differ by something that they carry from image to image?"""
    _, test, why = _map_and_null(numbers, distance)
    if why:
        return _not_computed(why)
    points = 100 * (test["observed"] - test["null_mean"])
    low, high = (100 * (test["observed"] - test[bound]) for bound in ("null_high", "null_low"))
    tests = [ladder.get(_NULL, _ABSENT) for ladder in numbers["nulls"].values() if computed(ladder)]
    tests = [test for test in tests if computed(test)]
    rejected = sum(test["p_value"] <= ALPHA for test in tests)
    because = (
        f"Top-2 share {test['observed']:.3f} where the null gives {test['null_mean']:.3f}; "
        f"{_effect(test)}p = {test['p_value']:.2g} of {test['draws']} draws. Rejected under "
        f"{rejected} of {len(tests)} distances."
    )
    number, interval = (
        f"{points:+.1f} points of variance",
        f"[{low:+.1f}, {high:+.1f}] over the null",
    )
    if test["p_value"] > ALPHA:
        return "not shown", number, interval, f"{because} {_not_rejected(test)}"
    return "yes", number, interval, because


def temperature(numbers: Numbers, distance: str) -> Found:
    """Are the first two axes a matter of how sure members are?"""
    found = numbers["drivers"].get(distance, _ABSENT)
    if not computed(found):
        return _not_computed(found["not_computed"])
    rows = [r for r in found["table"] if r["driver"] == "temperature" and r["axis"] <= 2]
    rows = [row for row in rows if row["r"] is not None and row["p_holm"] is not None]
    removed = next((r for r in found["interventions"] if r["intervention"] == "temperature"), None)
    if not rows or removed is None or removed["removed"] is None:
        return _not_computed("all members have one temperature")
    row = min(rows, key=lambda row: (row["p_holm"], -abs(row["r"])))
    number = f"r = {row['r']:+.2f} with axis {row['axis']}"
    interval = _interval(row, "+.2f", "over members")
    taken = f"{removed['removed']:.1%} [{removed['low']:.1%}, {removed['high']:.1%}]"
    drives_apart = ": less than nothing, it drives members apart" if removed["high"] < 0 else ""
    because = (
        f"p = {row['p_holm']:.2g} after Holm's correction. Of the first two axes' variance "
        f"matching temperatures takes {taken}{drives_apart}."
    )
    sure, much = row["p_holm"] <= ALPHA, removed["low"] >= SOME
    answers: dict[int, Answer] = {0: "not shown", 1: "partly", 2: "yes"}
    return answers[sure + much], number, interval, because


def apart(numbers: Numbers, distance: str) -> Found:
    """Do members of different recipes, or studies, lie in different places?"""
    factors = numbers["factors"]
    rows = factors if not computed(factors) else factors.get(distance, _ABSENT)
    if not computed(rows):
        return _not_computed(rows["not_computed"])
    row = min(rows, key=lambda row: (row["p_value"], -row["r_squared"]))
    p = min(1.0, len(rows) * row["p_value"])
    chance = (row["levels"] - 1) / (len(numbers["members"]["table"]) - 1)
    because = (
        f"The {row['levels']} levels of {row['factor']} would have {chance:.1%} by chance; "
        f"p = {p:.2g}{f', corrected for {len(rows)} factors' if len(rows) > 1 else ''}."
    )
    number = f"{row['r_squared']:.1%} of the variance by {row['factor']}"
    return "yes" if p <= ALPHA else "not shown", number, "", because


def new_directions(numbers: Numbers, _: str) -> Found:
    """Do repelled members differ in directions in which plain ones do not?"""
    return _against_baseline(numbers, "outside_alone", 1, "of the way leads out of their plane")


def better_ensemble(numbers: Numbers, _: str) -> Found:
    """Is the ensemble of repelled members better than that of plain ones?"""
    return _against_baseline(numbers, "ensemble_calibrated_nll", -1, "nats of the ensemble's NLL")


_QUESTIONS: dict[str, tuple[str, Callable[[Numbers, str], Found]]] = {
    "low": ("Low-dimensional?", low_dimensional),
    "stable": ("Stable over images?", stable),
    "independent": ("Beyond independent errors?", beyond_independent_errors),
    "temperature": ("Is it temperature?", temperature),
    "apart": ("Do recipes lie apart?", apart),
    "directions": ("Does repulsion open new directions?", new_directions),
    "better": ("Does repulsion make a better ensemble?", better_ensemble),
}

_MINUS = re.compile(r"(?<!\w)-(?=\d)")
_NULL = "independent_errors"
_ABSENT = {"not_computed": "it was not asked for"}


def _map_and_null(numbers: Numbers, distance: str) -> tuple[Numbers, Numbers, str]:
    """The map and its test against independent errors, or why there is none."""
    view = numbers["maps"].get(distance, _ABSENT)
    test = numbers["nulls"].get(distance, _ABSENT)
    test = test.get(_NULL, _ABSENT) if computed(test) else test
    for part in (view, test):
        if not computed(part):
            return {}, {}, part["not_computed"]
    return view, test, ""


def _against_baseline(numbers: Numbers, quantity: str, better: int, what: str) -> Found:
    """In how many repelled configurations a difference over seeds is on the better side of 0."""
    groups = numbers["groups"]
    if not numbers["provenance"]["repelled"]:
        return _not_computed("there are no repelled members in this study")
    if not computed(groups):
        return _not_computed(groups["not_computed"])
    repelled = _repelled(groups["configs"]) - {groups["baseline"]}
    if not computed(groups["differences"]):
        return _not_computed(groups["differences"]["not_computed"])
    rows = [
        row
        for row in groups["differences"]
        if (row["quantity"], row["over"]) == (quantity, "seeds") and row["group"] in repelled
    ]
    if not rows:
        return _not_computed("no repelled configuration shares enough seeds with the baseline")
    good = sum(_beyond_zero(row, better) for row in rows)
    bad = sum(_beyond_zero(row, -better) for row in rows)
    row = max(rows, key=lambda row: better * row["value"])
    several = len(rows) > 1
    because = (
        f"In {good} of {len(rows)} repelled configurations the interval lies on the better side of "
        f"zero, in {bad} on the worse. The number is of {'the best, ' if several else ''}"
        f"{row['group']}, against {groups['baseline']} over {row['seeds']} seeds"
        f"{', and not corrected for having been picked' if several else ''}."
    )
    number, interval = f"{row['value']:+.4f} {what}", _interval(row, "+.4f", "over seeds")
    if good == len(rows):
        return "yes", number, interval, because
    if bad == len(rows):
        return "no", number, interval, because
    return "partly" if good else "not shown", number, interval, because


def _beyond_zero(row: Numbers, side: int) -> bool:
    return bool(row["low"] > 0 if side > 0 else row["high"] < 0)


def _repelled(configs: Sequence[Numbers]) -> set[str]:
    """The groups that have a term, and a strength that is not zero, where these vary."""
    values: dict[str, dict[str, Any]] = {}
    for row in configs:
        values.setdefault(row["group"], {})[row["key"]] = json.loads(row["value"])
    return {
        group
        for group, value in values.items()
        if value.get("repulsion.strength", 1)
        and value.get("repulsion.term._target_", "unvaried") is not None
    }


def _interval(row: Numbers, form: str, over: str) -> str:
    if row["low"] is None or row["high"] is None:
        return ""
    return f"[{row['low']:{form}}, {row['high']:{form}}] {over}"


def _effect(test: Numbers) -> str:
    return "" if test["effect"] is None else f"{test['effect']:+.1f} of its SDs, "


def _not_rejected(test: Numbers) -> str:
    least = 1 / (1 + test["draws"])
    text = f"Not rejected: p = {test['p_value']:.2g}."
    return (
        text
        if least <= ALPHA
        else f"{text} With {test['draws']} draws it cannot be lower than {least:.2g}."
    )
