"""The analysis in words and tables: Markdown for a file, a short table for the terminal."""

from collections.abc import Sequence
from typing import Any

from rich.table import Table

from chromatic_descent.analysis import FEWEST_FOR_NEIGHBOURS, FEWEST_FOR_NULL

_ORIGIN = (
    "The stability asks only whether other probe images would have drawn the same map, and the "
    "permuted-distances p-value only whether it matters which pair is how far apart; neither shows "
    "that two axes are what matters. Read the top-2 share against that of equidistant members."
)


def markdown(numbers: dict[str, Any]) -> str:
    """A readable summary of `analysis.numbers`, with what the entry point added to it."""
    members, distances = numbers["members"], numbers["distances"]
    parts = [
        f"# Study {numbers['study']}",
        _sentence(numbers),
        "## Members",
        _table(
            ["member", "accuracy", "NLL", "Brier", "ECE", "temperature"],
            [
                [
                    m["member"],
                    *(_number(m[k]) for k in ("accuracy", "nll", "brier", "ece", "temperature")),
                ]
                for m in members
            ],
        ),
        "## Function space",
    ]
    if distances:
        parts += [
            _table(_MAP_HEAD, [_map_row(name, d) for name, d in distances.items()]),
            _ORIGIN,
            *_cautions(len(members), distances),
            "![map](../embeddings/map.png)",
            "![scree](../embeddings/scree.png)",
            "![heatmap](../embeddings/heatmap.png)",
        ]
    else:
        parts.append("One member has no distances: train at least two.")
    parts += [
        "## Ensembles",
        _table(["combiner", "members", "accuracy", "NLL", "Brier", "ECE"], _ensemble_rows(numbers)),
        "Means over subsets of these members; intervals are in ensemble.csv.",
        "![ensemble](ensemble.png)",
        "## Provenance",
        *_provenance(numbers),
    ]
    return "\n\n".join(parts) + "\n"


def table(numbers: dict[str, Any]) -> Table:
    """The main numbers for the terminal."""
    members = numbers["members"]
    accuracy = [m["accuracy"] for m in members]
    full = {e["metric"]: e["mean"] for e in _of_size(numbers, len(members))[0][1]}
    shown = Table(
        title=f"{numbers['study']}: {len(members)} members",
        caption=f"accuracy {min(accuracy):.4f} to {max(accuracy):.4f}, ensemble "
        f"{full['accuracy']:.4f}; NLL of the ensemble {full['nll']:.3f}",
    )
    for head in _MAP_HEAD:
        name = head == "distance"
        shown.add_column(head, justify="left" if name else "right", no_wrap=name)
    for name, distance in numbers["distances"].items():
        shown.add_row(*_map_row(name, distance))
    return shown


_MAP_HEAD = ["distance", "top-2 share", "equidistant", "negative mass", "stability", "p (permuted)"]


def _map_row(name: str, distance: dict[str, Any]) -> list[str]:
    null, stability = distance["permuted_distances"], distance["stability"]
    return [
        name,
        _number(distance["top_2_share"]),
        _number(distance["top_2_share_equidistant"]),
        _number(distance["negative_mass"]),
        _number(stability["mean"], 5),
        "–" if null is None else _number(null["p_value"], 3),
    ]


def _sentence(numbers: dict[str, Any]) -> str:
    members, missing = numbers["members"], numbers["missing"]
    probe, data = numbers["probe"], numbers["dataset"]
    text = (
        f"{len(members)} member{'s' if len(members) > 1 else ''} on a probe of {probe['images']} "
        f"images of {data} with {len(probe['classes'])} classes."
    )
    return f"{text} Not complete and left out: {'; '.join(missing)}." if missing else text


def _cautions(members: int, distances: dict[str, Any]) -> list[str]:
    cautions = []
    if members < FEWEST_FOR_NULL:
        cautions.append(
            f"With {members} members there is no permutation test: it would only rename them."
        )
    if members < FEWEST_FOR_NEIGHBOURS and any(d["seed_spread"] for d in distances.values()):
        cautions.append(f"With {members} members the t-SNE and UMAP layouts mean nothing.")
    if any(d["top_2_share"] is None for d in distances.values()):
        cautions.append("The members are identical under a distance: there is nothing to explain.")
    return cautions


def _ensemble_rows(numbers: dict[str, Any]) -> list[list[str]]:
    count = len(numbers["members"])
    rows = []
    for size in sorted({1, 2, 3, 5, 10, count} & set(range(1, count + 1))):
        for combiner, entries in _of_size(numbers, size):
            mean = {e["metric"]: _number(e["mean"]) for e in entries}
            scores = [mean[k] for k in ("accuracy", "nll", "brier", "ece")]
            rows.append([combiner, str(size), *scores])
    return sorted(rows, key=lambda row: row[0])


def _of_size(numbers: dict[str, Any], size: int) -> list[tuple[str, list[dict[str, Any]]]]:
    """The ensemble scores at one size, by combiner."""
    entries = [e for e in numbers["ensemble"] if e["size"] == size]
    combiners = dict.fromkeys(e["combiner"] for e in entries)
    return [(name, [e for e in entries if e["combiner"] == name]) for name in combiners]


def _provenance(numbers: dict[str, Any]) -> list[str]:
    lines = [
        f"- probe hash: `{numbers['probe']['hash']}`",
        f"- config hashes: {', '.join(f'`{h[:12]}`' for h in numbers['config_hashes'])}",
        f"- trained with: {_pairs(numbers['trained_with'])}",
        f"- on: {_pairs(numbers['hardware'])}; precision {', '.join(numbers['precisions'])}",
        f"- training time: {numbers['training_seconds']:.0f} s in all",
        f"- analysed {numbers['created']} with chromatic-descent {numbers['version']}, "
        f"`{numbers['command']}`",
    ]
    return ["\n".join(lines)]


def _pairs(values: dict[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in values.items())


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    escaped = [[cell.replace("|", "\\|") for cell in line] for line in lines]
    return "\n".join(f"| {' | '.join(line)} |" for line in escaped)


def _number(value: float | None, digits: int = 4) -> str:
    return "–" if value is None else f"{value:.{digits}f}"
