"""What the page's figures are drawn from, as one JSON object: bulk only, no words.

Numbers are rounded to five digits, which no picture can show; a matrix is its upper triangle.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chromatic_descent.analysis import Analysis
from chromatic_descent.analysis.groups import group_members
from chromatic_descent.analysis.results import computed
from chromatic_descent.report.colour import colours_of
from chromatic_descent.report.panels import NOTHING, member_names, present, title_of

Numbers = Mapping[str, Any]
_DIGITS = 5
_SYMBOLS = {  # matplotlib's markers in plotly's words
    **{"o": "circle", "s": "square", "D": "diamond", "^": "triangle-up", "v": "triangle-down"},
    **{"P": "cross", "X": "x", "*": "star", "p": "pentagon", "h": "hexagon"},
    **{"<": "triangle-left", ">": "triangle-right", "d": "diamond-tall"},
}
_AXES = 3
DIFFERENCES = ("member_accuracy", "ensemble_accuracy", "ensemble_calibrated_nll", "hellinger")


def figure_data(
    numbers: Numbers, analysis: Analysis, distance: str, recipes: list[str]
) -> dict[str, Any]:
    """Everything that the scripts draw; see `docs/results.md` for what each number is.

    Args:
        numbers: what is in `analysis.json`.
        analysis: whose arrays are needed beside them.
        distance: the one that is shown first.
        recipes: what sets each member's config apart, in words; "" where nothing does.
    """
    results, colours = analysis.results, colours_of(analysis)
    table = numbers["members"]["table"]
    data: dict[str, Any] = rounded(
        {
            "members": {
                "name": analysis.population.names,
                "label": member_names(analysis),
                "tag": member_names(analysis, beside_shapes=True),
                "accuracy": [row["accuracy"] for row in table],
                "temperature": [row["temperature"] for row in table],
                "recipe": recipes,
                "hex": colours.hex,
                "safe": colours.safe,
                "symbol": [_SYMBOLS.get(marker, "circle") for marker in colours.markers],
            },
            "shaped": len(group_members(analysis.population)) > 1,
            "classes": analysis.population.classes,
            "distance": distance,
            "distances": {
                name: _view(numbers, analysis, name) for name in present(results["maps"])
            },
            "inpca": _inpca(results["inpca"]),
            "mantel": _mantel(numbers),
            "trajectories": _trajectories(results["trajectories"]),
            "ensembles": _ensembles(numbers),
            "groups": _groups(numbers),
            "differences": _differences(numbers),
            "class_accuracy": results["answers"]["class_accuracy"],
            "confusion": _confusion(results["answers"]["confusion"]),
        }
    )
    return data


def rounded(value: Any) -> Any:
    """Plain data of five digits: arrays as lists, what is not finite as None."""
    if isinstance(value, Mapping):
        return {str(key): rounded(inner) for key, inner in value.items()}
    if isinstance(value, np.ndarray):
        return rounded(value.tolist())
    if isinstance(value, (list, tuple)):
        return [rounded(inner) for inner in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return float(f"{value:.{_DIGITS}g}") if np.isfinite(value) else None
    return value


def _view(numbers: Numbers, analysis: Analysis, name: str) -> dict[str, Any]:
    """All figures of one distance."""
    found = analysis.results["maps"][name]
    share = np.nan_to_num(np.diff(found["explained"], prepend=0.0))
    squared = analysis.results["distances"]["matrices"][name]["squared"]
    return {
        "title": title_of(name).replace("\n", " "),
        "layouts": layouts(found, share),
        "ellipses": found["ellipses"][["x", "y", "half_axis_1", "half_axis_2", "angle"]].to_numpy(),
        "heatmap": _heatmap(squared),
        "spectrum": {"share": share, "bands": _bands(analysis, name)},
        "nulls": _nulls(analysis, name),
        "nulls_reason": _reason(numbers["nulls"].get(name, NOTHING)),
        "dimension": _curve(numbers, name),
        "dimension_reason": _reason(numbers["dimension"].get(name, NOTHING), "curve"),
        "drivers": _drivers(numbers, name),
    }


def _reason(found: Any, part: str | None = None) -> str:
    """Why there is no result (or no such part of it, or none of any part), or ""."""
    if computed(found):
        parts = [found[part]] if part else list(found.values())
        if not parts or any(computed(one) for one in parts):
            return ""
        found = parts[0]
    return str(found["not_computed"])


def _heatmap(squared: NDArray[np.float64]) -> dict[str, Any]:
    """Distances above the diagonal, row by row, in the order of a tree; and the tree."""
    from scipy.cluster.hierarchy import dendrogram, linkage
    from scipy.spatial.distance import squareform

    distances = np.sqrt(np.maximum(squared, 0))
    members = len(distances)
    if members < 2:
        return {"order": list(range(members)), "upper": [], "tree": []}
    condensed = squareform(distances, checks=False)
    # An optimal order takes S³ steps.
    joined = linkage(condensed, "average", optimal_ordering=members < 300)
    tree = dendrogram(joined, no_plot=True)
    order = np.array(tree["leaves"])
    across = (np.array(tree["icoord"]) - 5) / 10  # leaves at 0, 1, 2, …
    return {
        "order": order,
        "upper": distances[np.ix_(order, order)][np.triu_indices(members, 1)],
        "tree": np.stack([across, np.array(tree["dcoord"])], axis=1),
    }


def layouts(found: Numbers, share: NDArray[np.float64]) -> dict[str, dict[str, Any]]:
    """By name: title, coordinates by axis, names of the axes, and a note on what to make of it."""
    coordinates = found["coordinates"][:, :_AXES]
    axes = range(coordinates.shape[1])
    placed: dict[str, dict[str, Any]] = {
        "mds": {
            "title": "classical MDS",
            "xyz": list(coordinates.T),
            "axes": [f"axis {k + 1} ({share[k]:.1%})" for k in axes],
            "note": f"Two axes hold {share[:2].sum():.1%} of the variance; members that are all "
            f"equally far apart would give them {found['top_2_share_equidistant']:.1%}.",
        }
    }
    smacof = found["smacof"]
    for layout, those in found["layouts"].groupby("layout", sort=False):
        if layout == "mds":
            continue
        kind, _, seed = str(layout).partition(" ")
        title = {"smacof": "SMACOF", "tsne": "t-SNE", "umap": "UMAP"}.get(kind, kind)
        note = (
            f"Keeps distances as well as a plane can: stress {smacof['stress']:.2f}, 0 is perfect. "
            "Axes have no meaning of their own."
            if kind == "smacof"
            else _neighbour_note(found["neighbours"][kind], int(seed))
        )
        placed[str(layout)] = {
            "title": f"{title}, seed {seed}" if seed else title,
            "xyz": [those["x"].to_numpy(), those["y"].to_numpy()],
            "axes": ["", ""],
            "note": note,
        }
    return placed


def _neighbour_note(found: Numbers, seed: int) -> str:
    trust, spread = found["trustworthiness"][seed], found["r_between_seeds"]
    note = "Keeps neighbours, not distances: gaps and sizes of clusters mean nothing."
    if computed(trust):
        note += f" Trustworthiness {trust:.2f}."
    if computed(spread):
        note += f" Layouts of other seeds agree at r = {spread:.2f}."
    return f"{note} With so few members it means nothing." if found["means_nothing"] else note


def _bands(analysis: Analysis, name: str) -> dict[str, Any]:
    found = analysis.results["dimension"].get(name, NOTHING)
    return dict(found["null_bands"]) if computed(found) else {}


def _nulls(analysis: Analysis, name: str) -> list[dict[str, Any]]:
    ladder = analysis.results["nulls"].get(name, NOTHING)
    return [
        {
            "title": null.replace("_", " "),
            "observed": test["observed"],
            "p": test["p_value"],
            "draws": test["null"],
        }
        for null, test in present(ladder).items()
    ]


def _curve(numbers: Numbers, name: str) -> list[list[Any]]:
    """Rows of over, size, quantity, mean, low, high."""
    found = numbers["dimension"].get(name, NOTHING)
    if not computed(found) or not computed(found["curve"]):
        return []
    columns = ("over", "size", "quantity", "mean", "low", "high")
    return [
        [row[column] for column in columns]
        for row in found["curve"]
        if row["quantity"] in ("participation_ratio", "top_2_share")
    ]


def _drivers(numbers: Numbers, name: str) -> dict[str, Any]:
    found = numbers["drivers"].get(name, NOTHING)
    if not computed(found):
        return {"reason": found["not_computed"]}
    strongest: dict[str, float] = {}
    for row in found["table"]:
        strongest[row["driver"]] = max(strongest.get(row["driver"], 0), abs(row["r"] or 0))
    kept = sorted(strongest, key=lambda driver: -strongest[driver])[:20]
    columns = ("axis", "driver", "r", "low", "high", "p_holm")
    taken = ("intervention", "removed", "low", "high")
    return {
        "order": kept,
        "table": [
            [row[c] for c in columns]
            for row in found["table"]
            if row["driver"] in kept and row["axis"] <= 2
        ],
        "interventions": [[row[c] for c in taken] for row in found["interventions"]],
    }


def _inpca(found: Any) -> dict[str, Any] | None:
    if not computed(found):
        return None
    values = found["eigenvalues"]
    xyz = found["coordinates"][:, :_AXES]
    stress = found["explained_stress"]
    return {
        "title": "InPCA (Bhattacharyya)",
        "note": "The Bhattacharyya distance, whatever distance is chosen above: the first two axes "
        f"explain {stress[min(1, len(stress) - 1)]:.0%} of the stress, which is no share of "
        "variance. Along imaginary axes squared distances count as negative.",
        "xyz": list(xyz.T),
        "axes": [
            f"axis {k + 1}{' (imaginary)' if values[k] < 0 else ''}" for k in range(xyz.shape[1])
        ],
    }


def _mantel(numbers: Numbers) -> dict[str, Any] | None:
    found = numbers["distances"].get("mantel", NOTHING)
    if not computed(found):
        return None
    return {"names": [n.replace("_", " ") for n in found["names"]], "r": found["r"]}


def _trajectories(found: Any) -> dict[str, Any] | None:
    if not computed(found):
        return None
    kept = ("epochs", "landmarks", "progress", "ratio", "ratio_low", "ratio_high")
    return {
        **{key: found[key] for key in kept},
        "xy": found["coordinates"][:, :, :2],
        "stress": found["explained_stress"],
    }


def _ensembles(numbers: Numbers) -> dict[str, Any]:
    found = numbers["ensembles"]
    curve = ("combiner", "stage", "size", "metric", "mean", "low", "high")
    pick = ("method", "metric", "size", "mean", "low", "high")
    bins = ("of", "calibrated", "confidence", "accuracy", "count")
    rows = {"curves": curve, "selection": pick, "reliability": bins}
    data: dict[str, Any] = {
        part: [[row[c] for c in columns] for row in found[part]] if computed(found[part]) else []
        for part, columns in rows.items()
    }
    gain = found["gain"]
    data["gain"] = (
        [[row["spread"], row["accuracy_gain"], row["nll_gain"]] for row in gain["subsets"]]
        if computed(gain)
        else []
    )
    return data


def _groups(numbers: Numbers) -> dict[str, Any] | None:
    found = numbers["groups"]
    if not computed(found):
        return None
    intervals = found["intervals"] if computed(found["intervals"]) else []
    of = {(row["group"], row["quantity"]): [row["low"], row["high"]] for row in intervals}
    quantities = ("hellinger", "accuracy_gain", "ensemble_accuracy", "ensemble_calibrated_nll")
    return {
        "baseline": found["baseline"],
        "rows": [
            {
                "group": row["group"],
                "members": row["members"],
                **{q: [row[q], *of.get((row["group"], q), [None, None])] for q in quantities},
            }
            for row in found["table"]
            if row.get("hellinger") is not None
        ],
    }


def _differences(numbers: Numbers) -> dict[str, Any] | None:
    """Rows of group (its place), quantity, over, value, low, high."""
    found = numbers["groups"]
    if not computed(found) or not computed(found["differences"]):
        return None
    names = list(dict.fromkeys(row["group"] for row in found["differences"]))
    columns = ("quantity", "over", "value", "low", "high")
    return {
        "groups": names,
        "rows": [
            [names.index(row["group"]), *(row[column] for column in columns)]
            for row in found["differences"]
            if row["quantity"] in DIFFERENCES
        ],
    }


def _confusion(found: Any) -> dict[str, Any] | None:
    if not computed(found):
        return None
    return {key: found[key] for key in ("mean", "modes", "shares", "scores")}
