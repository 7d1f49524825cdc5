"""The analysis in words and tables: Markdown for a file, a short table for the terminal.

Both are functions of what `analysis.json` holds (docs/results.md says what that is).
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table

from chromatic_descent.analysis.maps import FEWEST_FOR_NEIGHBOURS
from chromatic_descent.analysis.results import computed

Cell = Callable[[Any], str]


def markdown(numbers: Mapping[str, Any], figures: Mapping[str, str] | None = None) -> str:
    """A readable summary of an analysis.

    Args:
        numbers: what is in `analysis.json`.
        figures: where those that were drawn are, by name.
    """
    parts = [f"# Study {numbers['study']}", _sentence(numbers)]
    for title, section in _SECTIONS.items():
        parts += [f"## {title}", *section(numbers)]
        shown = [name for name in _FIGURES.get(title, ()) if name in (figures or {})]
        parts += [f"![{name}]({figures[name]})" for name in shown] if figures else []
    return "\n\n".join(parts) + "\n"


def table(numbers: Mapping[str, Any]) -> Table:
    """The main numbers for the terminal."""
    members = numbers["members"]["table"]
    accuracy = [m["accuracy"] for m in members]
    curves = numbers["ensembles"]["curves"]
    first = curves[0]["combiner"]
    full = {
        row["metric"]: row["mean"]
        for row in curves
        if (row["size"], row["stage"], row["combiner"]) == (len(members), "raw", first)
    }
    shown = Table(
        box=SIMPLE_HEAD,
        collapse_padding=True,
        pad_edge=False,
        title=f"{numbers['study']}: {len(members)} members",
        caption=f"accuracy {min(accuracy):.4f} to {max(accuracy):.4f}, ensemble "
        f"{full['accuracy']:.4f} by {first.replace('_', ' ')}, NLL {full['nll']:.3f}\n"
        "p: if members' errors were independent",
    )
    for head in _MAP_HEAD:
        name = head == "distance"
        shown.add_column(head.split(" (")[0], justify="left" if name else "right", no_wrap=name)
    for row in _map_rows(numbers):
        shown.add_row(*row)
    return shown


def _members(numbers: Mapping[str, Any]) -> list[str]:
    scores = ("accuracy", "nll", "brier", "ece", "temperature")
    return [
        _records(numbers["members"]["table"], {"member": str, **dict.fromkeys(scores, _number)})
    ]


_MAP_HEAD = ["distance", "top-2 share", "equidistant", "stability", "split half", "p (independent)"]


def _map_rows(numbers: Mapping[str, Any]) -> list[list[str]]:
    rows = []
    for name, view in _present(numbers["maps"]).items():
        independent = numbers["nulls"].get(name, {}).get("independent_errors", _NOTHING)
        halves = view["split_half"]
        rows.append(
            [
                name,
                _number(view["top_2_share"]),
                _number(view["top_2_share_equidistant"]),
                _number(view["stability"]["mean"], 5),
                _number(halves["r"]["mean"], 3) if computed(halves) else "–",
                _number(independent["p_value"], 3) if computed(independent) else "–",
            ]
        )
    return rows


def _maps(numbers: Mapping[str, Any]) -> list[str]:
    members = len(numbers["members"]["table"])
    if members < 2:
        return ["One member has no distances: train at least two."]
    parts = [
        _table(_MAP_HEAD, _map_rows(numbers)),
        "Stability asks whether other probe images would have drawn the same map, split half "
        "whether two disjoint halves of the probe do; neither shows that two axes are what "
        "matters. Read the top-2 share against that of equidistant members, and p against the "
        "null of independent errors.",
        *_colours(numbers["colours"]),
        *_undefined(numbers["distances"]["matrices"], "distance"),
        *_undefined(numbers["maps"], "map"),
    ]
    views = _present(numbers["maps"]).values()
    if members < FEWEST_FOR_NEIGHBOURS and any(view["neighbours"] for view in views):
        parts.append(f"With {members} members the t-SNE and UMAP layouts mean nothing.")
    if any(view["top_2_share"] is None for view in views):
        parts.append("The members are identical under a distance: there is nothing to explain.")
    return parts


def _colours(found: Mapping[str, Any]) -> list[str]:
    """How far members' colours can be trusted."""
    if found["correlation"] is None:
        return []
    text = (
        f"A member's colour is its place on the first three axes under `{found['distance']}`: over "
        f"pairs, how different two colours look (ΔE OK) follows how far apart their members are by "
        f"Spearman's {found['correlation']:.2f}, stress {found['stress']:.2f}."
    )
    if found["known"] and found["misfit"] > 0.0005:
        text += (
            f" {found['known']} of them have their colour from an earlier analysis; this one alone "
            f"would have put none farther than ΔE {found['misfit']:.3f} from it."
        )
    return [text]


def _nulls(numbers: Mapping[str, Any]) -> list[str]:
    rows, reasons = [], {}
    for name, ladder in numbers["nulls"].items():
        if not computed(ladder):
            reasons[name] = ladder
            continue
        for rung, test in ladder.items():
            if not computed(test):
                reasons[f"{name}, {rung}"] = test
                continue
            span = f"{_number(test['null_low'])} to {_number(test['null_high'])}"
            rows.append(
                [
                    *(name, rung.replace("_", " "), _number(test["observed"]), span),
                    *(_number(test["effect"], 1), _number(test["p_value"], 3)),
                ]
            )
    head = ["distance", "null", "top-2 share", "null's 95%", "effect (SDs)", "p"]
    shown = [_table(head, rows)] if rows else []
    return [*shown, *_undefined(reasons, "test")]


def _dimension(numbers: Mapping[str, Any]) -> list[str]:
    rows = [
        {"distance": name, **row}
        for name, view in numbers["dimension"].items()
        if computed(view)
        for row in view["estimates"]
    ]
    columns: dict[str, Cell] = {"distance": str, "quantity": str}
    columns |= dict.fromkeys(("value", "low", "high"), _short)
    shown = [_records(rows, columns)] if rows else []
    return [*shown, *_undefined(numbers["dimension"], "distance")]


def _drivers(numbers: Mapping[str, Any]) -> list[str]:
    found = {name: view for name, view in numbers["drivers"].items() if computed(view)}
    strongest = [
        {"distance": name, **row}
        for name, view in found.items()
        for axis in (1, 2)
        for row in sorted(
            (row for row in view["table"] if row["axis"] == axis), key=lambda row: -abs(row["r"])
        )[:3]
    ]
    removed = [
        {"distance": name, **row} for name, view in found.items() for row in view["interventions"]
    ]
    if not found:
        return _undefined(numbers["drivers"], "distance")
    columns: dict[str, Cell] = {"distance": str, "axis": str, "driver": str}
    columns |= dict.fromkeys(("r", "low", "high", "p_holm"), _short)
    taken: dict[str, Cell] = {"distance": str, "intervention": str}
    taken |= dict.fromkeys(("removed", "low", "high", "removed_total", "correlation"), _short)
    return [
        "The three strongest candidates for each axis:",
        _records(strongest, columns),
        "What an intervention on the logits takes from the variance of the first two axes:",
        _records(removed, taken),
        *_undefined(numbers["drivers"], "distance"),
    ]


def _factors(numbers: Mapping[str, Any]) -> list[str]:
    found = numbers["factors"]
    if not computed(found):
        return [f"Not computed: {found['not_computed']}."]
    rows = [
        {"distance": name, **row} for name, view in found.items() if computed(view) for row in view
    ]
    columns: dict[str, Cell] = {"distance": str, "factor": str, "levels": str}
    columns |= dict.fromkeys(("pseudo_f", "r_squared", "p_value"), _short)
    shown = [_records(rows, columns)] if rows else []
    return [*shown, *_undefined(found, "distance")]


def _ensembles(numbers: Mapping[str, Any]) -> list[str]:
    count = len(numbers["members"]["table"])
    sizes = {1, 2, 4, 5, 8, 10, count}
    rows: dict[tuple[str, str, int], dict[str, str]] = {}
    for row in numbers["ensembles"]["curves"]:
        if row["size"] in sizes and row["combiner"] != "oracle":
            key = (row["combiner"], row["stage"], row["size"])
            rows.setdefault(key, {})[row["metric"]] = _number(row["mean"])
    metrics = list(dict.fromkeys(row["metric"] for row in numbers["ensembles"]["curves"]))
    parts = [
        _table(
            ["combiner", "stage", "members", *metrics],
            [
                [combiner.replace("_", " "), stage, str(size), *(m.get(k, "–") for k in metrics)]
                for (combiner, stage, size), m in sorted(rows.items())
            ],
        ),
        "Means over subsets of these members; intervals are in ensembles-curves.csv.",
    ]
    diversity = numbers["ensembles"]["diversity"]
    if computed(diversity):
        means, errors = diversity["means"], diversity["standard_errors"]
        rows_of = [
            [k.replace("_", " "), _number(v), _number(errors.get(k))] for k, v in means.items()
        ]
        oracle = ["oracle accuracy", _number(diversity["oracle_accuracy"]), "–"]
        parts.append(_table(["diversity", "mean over pairs", "standard error"], [*rows_of, oracle]))
    split = numbers["ensembles"]["decompositions"]
    if computed(split):
        columns = ("members", "diversity", "ensemble")
        parts.append(
            _table(
                ["loss", "combiner", *columns],
                [
                    [loss, d["combiner"], *(_number(d[k]) for k in columns)]
                    for loss, d in split.items()
                ],
            )
        )
        parts.append("Ensemble = members − diversity, exactly.")
    return parts


_COMPARED = (  # of all differences, those in the summary
    *("member_accuracy", "member_calibrated_nll", "temperature"),
    *("ensemble_accuracy", "ensemble_calibrated_nll", "accuracy_gain", "nll_gain"),
    *("normalised_disagreement", "logit_mse_matched", "hellinger", "distance_outside"),
    *("ensemble_shifted_accuracy", "ensemble_shifted_nll"),
)


def _groups(numbers: Mapping[str, Any]) -> list[str]:
    found = numbers["groups"]
    if not computed(found):
        return [f"Not computed: {found['not_computed']}."]
    scored = (
        *("member_accuracy", "member_nll", "temperature", "ensemble_accuracy", "ensemble_nll"),
        *("ensemble_calibrated_nll", "ensemble_ece", "accuracy_gain"),
    )
    columns: dict[str, Cell] = {"group": str, "members": str, **dict.fromkeys(scored, _number)}
    columns |= dict.fromkeys(("normalised_disagreement", "hellinger", "seconds"), _short)
    parts = [
        f"One row per configuration; the baseline is `{found['baseline']}`. Seconds are of "
        "training, for a member.",
        _records(found["table"], columns),
    ]
    if computed(found["differences"]):
        rows: dict[tuple[str, str], dict[str, Any]] = {}
        for row in found["differences"]:
            if row["quantity"] in _COMPARED:
                over = f"{row['low']:+.3g} to {row['high']:+.3g}"
                shown = rows.setdefault((row["group"], row["quantity"]), {})
                shown |= {"value": row["value"], "seeds": row["seeds"], f"over {row['over']}": over}
        head = ["group", "quantity", "difference", "95% over seeds", "95% over images", "seeds"]
        cells = [
            [
                *(group, quantity.replace("_", " "), f"{row['value']:+.3g}"),
                *(row.get(over, "–") for over in ("over seeds", "over images")),
                str(row["seeds"]),
            ]
            for (group, quantity), row in rows.items()
        ]
        parts += [
            f"Differences from `{found['baseline']}`, over the seeds that both have:",
            _table(head, cells),
            "Not corrected for their number. Over seeds: other seeds, these images. Over images: "
            "other images, these members.",
        ]
    shown_columns: dict[str, Cell] = {"group": str, "seeds": str}
    shares = ("outside", "outside_by_chance", "outside_alone", "outside_alone_by_chance")
    amounts = ("distance_outside", "distance_outside_by_chance", "participation_ratio")
    shown_columns |= dict.fromkeys((*shares, *amounts), _short)
    if computed(found["directions"]):
        parts += [
            "What lies outside the span of the baseline's members (as a share of variance, and as "
            "a squared Hellinger distance), beside the same for the baseline's own:",
            _records(found["directions"], shown_columns),
        ]
    if computed(found["foreign"]):
        seen = ("entropy", "mutual_information", "auroc_entropy", "auroc_max_probability")
        other: dict[str, Cell] = {"group": str, "data": str, **dict.fromkeys(seen, _short)}
        parts += ["On other data:", _records(found["foreign"], other)]
    if computed(found["left_out"]):
        lines = [f"- {r['group']}, {r['what']}: {r['reason']}" for r in found["left_out"]]
        parts.append("\n".join(["Left out:", *lines]))
    return parts


def _trajectories(numbers: Mapping[str, Any]) -> list[str]:
    found = numbers["trajectories"]
    if not computed(found):
        return [f"Not computed: {found['not_computed']}."]
    return [
        f"InPCA of {len(found['epochs'])} checkpoints a member: the first three axes explain "
        f"{_short(found['explained_stress'][min(2, len(found['explained_stress']) - 1)])} of the "
        "stress.",
    ]


def _provenance(numbers: Mapping[str, Any]) -> list[str]:
    of = numbers["provenance"]
    lines = [f"- probe hash: `{of['probe_hash']}`"]
    if "trained_with" in of:
        lines += [
            f"- config hashes: {', '.join(f'`{h[:12]}`' for h in of['config_hashes'])}",
            f"- trained with: {_pairs(of['trained_with'])}",
            f"- on: {_pairs(of['hardware'])}; precision {', '.join(of['precisions'])}",
            f"- training time: {of['training_seconds']:.0f} s in all",
        ]
    lines.append(
        f"- analysed {numbers['created']} with chromatic-descent {numbers['version']}, "
        f"`{numbers['command']}`"
    )
    return ["\n".join(lines)]


_SECTIONS = {
    "Members": _members,
    "Function space": _maps,
    "Is the structure real?": _nulls,
    "Dimension": _dimension,
    "What drives the axes?": _drivers,
    "Recipe factors": _factors,
    "Ensembles": _ensembles,
    "Configurations": _groups,
    "Trajectories": _trajectories,
    "Provenance": _provenance,
}
_FIGURES = {  # what each section shows, if it was drawn
    "Function space": (
        "chromatic_map",
        "map",
        "spectrum",
        "heatmap",
        "tsne",
        "umap",
        "inpca",
        "mantel",
    ),
    "Is the structure real?": ("nulls",),
    "Dimension": ("dimension",),
    "What drives the axes?": ("drivers", "interventions"),
    "Ensembles": ("ensemble", "reliability"),
    "Configurations": ("configurations", "differences"),
    "Trajectories": ("trajectories",),
}
_NOTHING = {"not_computed": "not asked for"}


def _sentence(numbers: Mapping[str, Any]) -> str:
    members, missing = numbers["members"]["table"], numbers["missing"]
    of = numbers["provenance"]
    text = (
        f"{len(members)} member{'s' if len(members) > 1 else ''} on a probe of {of['images']} "
        f"images of {of['dataset']} with {len(of['classes'])} classes."
    )
    return f"{text} Not complete and left out: {'; '.join(missing)}." if missing else text


def _present(results: Mapping[str, Any]) -> dict[str, Any]:
    """The results that are there."""
    return {name: found for name, found in results.items() if computed(found)}


def _undefined(results: Mapping[str, Any], kind: str) -> list[str]:
    """A line on each result that is not there, and why."""
    if not computed(results):
        return [f"Not computed: {results['not_computed']}."]
    lines = [
        f"- {kind} {name}: {found['not_computed']}"
        for name, found in results.items()
        if not computed(found)
    ]
    return ["\n".join(["Not computed:", *lines])] if lines else []


def _pairs(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in values.items())


def _records(rows: Sequence[Mapping[str, Any]], columns: Mapping[str, Cell]) -> str:
    head = [name.replace("_", " ") for name in columns]
    return _table(head, [[cell(row[name]) for name, cell in columns.items()] for row in rows])


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    escaped = [[cell.replace("|", "\\|") for cell in line] for line in lines]
    return "\n".join(f"| {' | '.join(line)} |" for line in escaped)


def _number(value: float | None, digits: int = 4) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def _short(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g}"
