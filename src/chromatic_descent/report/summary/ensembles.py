"""What ensembles are worth, by combiner and size, and why."""

from chromatic_descent.analysis import Analysis, computed
from chromatic_descent.analysis.output import Run
from chromatic_descent.report.names import words
from chromatic_descent.report.summary.blocks import Block, Section, Table, number


def _blocks(analysis: Analysis, _: Run) -> list[Block]:
    parts: list[Block] = [
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
        parts.append(Table(["diversity", "mean over pairs", "standard error"], rows))
    decompositions = analysis.ensembles.decompositions
    if computed(decompositions):
        rows = [
            [loss, split.combiner, *map(number, (split.members, split.diversity, split.ensemble))]
            for loss, split in decompositions.items()
        ]
        parts.append(Table(["loss", "combiner", "members", "diversity", "ensemble"], rows))
        parts.append("Ensemble = members − diversity, exactly.")
    return parts


def _curves(analysis: Analysis) -> Table:
    """Every metric of every combiner at some sizes."""
    curves = analysis.ensembles.curves
    metrics = list(curves["metric"].unique())
    sizes = {1, 2, 4, 5, 8, 10, len(analysis.members.table)}
    shown = curves[curves["size"].isin(sizes) & (curves["combiner"] != "oracle")]
    rows = []
    for (combiner, stage, size), part in shown.groupby(["combiner", "stage", "size"]):
        means = dict(zip(part["metric"], part["mean"], strict=True))
        values = [number(means[metric]) if metric in means else "–" for metric in metrics]
        rows.append([words(combiner), str(stage), str(size), *values])
    return Table(["combiner", "stage", "members", *metrics], rows)


SECTION = Section("ensembles", "Ensembles", "Ensembles", _blocks)
