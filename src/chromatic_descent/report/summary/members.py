"""Members alone and combined, and where they come from."""

from collections.abc import Mapping
from typing import Any

from chromatic_descent.analysis import Analysis, computed
from chromatic_descent.analysis.output import Run
from chromatic_descent.report.names import SCORES, words
from chromatic_descent.report.summary.blocks import Block, Section, Table, number, records

_SIZES = {1, 2, 4, 5, 8, 10}  # of ensembles in the table, beside that of all members


def _members(analysis: Analysis, _: Run) -> list[Block]:
    return [records(analysis.members.table, ("member",), (*SCORES, "temperature"))]


def _ensembles(analysis: Analysis, _: Run) -> list[Block]:
    blocks: list[Block] = [
        _curves(analysis),
        "Means over subsets of these members; intervals are in ensembles-curves.csv.",
    ]
    diversity = analysis.ensembles.diversity
    if computed(diversity):
        rows = [
            [words(name), number(mean), number(diversity.standard_errors.get(name, float("nan")))]
            for name, mean in diversity.means.items()
        ]
        rows.append(["oracle accuracy", number(diversity.oracle_accuracy), "–"])
        blocks.append(Table(["diversity", "mean over pairs", "standard error"], rows))
    decompositions = analysis.ensembles.decompositions
    if computed(decompositions):
        rows = [
            [loss, split.combiner, *map(number, (split.members, split.diversity, split.ensemble))]
            for loss, split in decompositions.items()
        ]
        blocks.append(Table(["loss", "combiner", "members", "diversity", "ensemble"], rows))
        blocks.append("Ensemble = members − diversity, exactly.")
    return blocks


def _curves(analysis: Analysis) -> Table:
    """Every metric of every combiner at some sizes."""
    curves = analysis.ensembles.curves
    metrics = list(curves["metric"].unique())
    sizes = _SIZES | {len(analysis.members.table)}
    shown = curves[curves["size"].isin(sizes) & (curves["combiner"] != "oracle")]
    rows = []
    for (combiner, stage, size), part in shown.groupby(["combiner", "stage", "size"]):
        means = part.set_index("metric")["mean"].reindex(metrics)
        rows.append([words(combiner), str(stage), str(size), *map(number, means)])
    return Table(["combiner", "stage", "members", *metrics], rows)


def _provenance(analysis: Analysis, run: Run) -> list[Block]:
    source = analysis.provenance
    lines = [f"- probe hash: `{source.probe_hash}`"]
    if source.config_hashes and source.trained_with and source.hardware:
        lines += [
            f"- config hashes: {', '.join(f'`{h[:12]}`' for h in source.config_hashes)}",
            f"- trained with: {_pairs(source.trained_with)}",
            f"- on: {_pairs(source.hardware)}; precision {', '.join(source.precisions or ())}",
            f"- training time: {source.training_seconds:.0f} s in all",
        ]
    lines.append(f"- analysed {run.created} with chromatic-descent {run.version}, `{run.command}`")
    return ["\n".join(lines)]


def _pairs(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in values.items())


MEMBERS = Section("members", "Members", _members, rank=-1)
ENSEMBLES = Section("ensembles", "Ensembles", _ensembles)
PROVENANCE = Section("provenance", "Provenance", _provenance, rank=2)
