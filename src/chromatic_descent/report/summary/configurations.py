"""Configurations against each other."""

import pandas as pd

from chromatic_descent.analysis import Analysis, NotComputed, computed
from chromatic_descent.analysis.output import Run
from chromatic_descent.report.names import words
from chromatic_descent.report.summary import blocks
from chromatic_descent.report.summary.blocks import Block, Section, Table, records

_COMPARED = (  # quantities whose differences the summary shows
    *("member_accuracy", "member_calibrated_nll", "temperature"),
    *("ensemble_accuracy", "ensemble_calibrated_nll", "accuracy_gain", "nll_gain"),
    *("normalised_disagreement", "logit_mse_matched", "hellinger", "distance_outside"),
    *("ensemble_shifted_accuracy", "ensemble_shifted_nll"),
)


def _blocks(analysis: Analysis, _: Run) -> list[Block]:
    groups = analysis.groups
    if isinstance(groups, NotComputed):
        return blocks.not_computed(groups)
    scores = (
        *("member_accuracy", "member_nll", "temperature", "ensemble_accuracy", "ensemble_nll"),
        *("ensemble_calibrated_nll", "ensemble_ece", "accuracy_gain"),
    )
    others = ("normalised_disagreement", "hellinger", "seconds")
    parts: list[Block] = [
        f"One row per configuration; the baseline is `{groups.baseline}`. Seconds are of "
        "training, for a member.",
        records(groups.table, ("group", "members"), scores, others),
    ]
    if computed(groups.differences):
        parts += [
            f"Differences from `{groups.baseline}`, over the seeds that both have:",
            _differences(groups.differences),
            "Not corrected for the number of comparisons. Over seeds: other seeds, these images. "
            "Over images: other images, these members.",
        ]
    if computed(groups.directions):
        shares = ("outside", "outside_by_chance", "outside_alone", "outside_alone_by_chance")
        amounts = ("distance_outside", "distance_outside_by_chance", "participation_ratio")
        parts += [
            "What lies outside the span of the baseline's members (as a share of variance, and as "
            "a squared Hellinger distance), beside the same for the baseline's own members:",
            records(groups.directions, ("group", "seeds"), shorts=(*shares, *amounts)),
        ]
    if computed(groups.foreign):
        seen = ("entropy", "mutual_information", "auroc_entropy", "auroc_max_probability")
        parts += ["On other data:", records(groups.foreign, ("group", "data"), shorts=seen)]
    if computed(groups.left_out):
        rows = groups.left_out.to_dict("records")
        lines = [f"{row['group']}, {row['what']}: {row['reason']}" for row in rows]
        parts.append(blocks.Lines("Left out:", lines))
    return parts


def _differences(table: pd.DataFrame) -> Table:
    """A row per group and quantity, with its intervals over seeds and over images."""
    rows, chosen = [], table[table["quantity"].isin(_COMPARED)]
    for (group, quantity), part in chosen.groupby(["group", "quantity"], sort=False):
        spans = {r["over"]: f"{r['low']:+.3g} to {r['high']:+.3g}" for r in part.to_dict("records")}
        over = [spans.get(kind, "–") for kind in ("seeds", "images")]
        estimate, seeds = f"{part['value'].iloc[-1]:+.3g}", str(part["seeds"].iloc[-1])
        rows.append([str(group), words(quantity), estimate, *over, seeds])
    head = ["group", "quantity", "difference", "95% over seeds", "95% over images", "seeds"]
    return Table(head, rows)


SECTION = Section("configurations", "Configurations", _blocks)
