"""Where members lie: maps, the colours that members have from one of them, and trajectories."""

import math

from chromatic_descent.analysis import Analysis, NotComputed, computed
from chromatic_descent.analysis.colours import Colours
from chromatic_descent.analysis.maps import FEWEST_FOR_NEIGHBOURS
from chromatic_descent.analysis.output import Run
from chromatic_descent.report.summary import blocks
from chromatic_descent.report.summary.blocks import Block, Section, not_computed, number

_NOTICEABLE = 0.0005  # ΔE
_AXES = 3  # of trajectories


def map_table(analysis: Analysis) -> blocks.Table:
    """The main numbers of each map."""
    head = ["distance", "top-2 share", "equidistant", "stability", "split half", "p (independent)"]
    rows = []
    for name, view in analysis.maps.computed().items():
        test, halves = analysis.nulls[name].find("independent_errors"), view.split_half
        shares = number(view.top_2_share), number(view.top_2_share_equidistant)
        r = number(halves.r.mean, 3) if computed(halves) else "–"
        p = number(test.p_value, 3) if computed(test) else "–"
        rows.append([name, *shares, number(view.stability.mean, 5), r, p])
    return blocks.Table(head, rows)


def _maps(analysis: Analysis, _: Run) -> list[Block]:
    members = len(analysis.members.table)
    if members < 2:
        return ["One member has no distances: train at least two."]
    parts: list[Block] = [
        map_table(analysis),
        "Stability asks whether other probe images would have drawn the same map; split half, "
        "whether two disjoint halves of the probe do. Neither shows that two axes are enough. Read "
        "the top-2 share against that of equidistant members, and p against the null of "
        "independent errors.",
        *_about_colours(analysis.colours),
        *not_computed(analysis.maps, "map"),
    ]
    views = analysis.maps.computed().values()
    if members < FEWEST_FOR_NEIGHBOURS and any(view.neighbours for view in views):
        parts.append(f"With {members} members the t-SNE and UMAP layouts mean nothing.")
    if any(math.isnan(view.top_2_share) for view in views):
        parts.append("The members are identical under a distance: there is nothing to explain.")
    return parts


def _about_colours(colours: Colours) -> list[Block]:
    """How far members' colours can be trusted."""
    if math.isnan(colours.correlation):
        return []
    text = (
        f"A member's colour is its position on the first three axes under `{colours.distance}`: "
        "over pairs, how different two colours look (ΔE OK) follows how far apart their members "
        f"are by Spearman's {colours.correlation:.2f}, stress {colours.stress:.2f}."
    )
    if colours.known and colours.misfit > _NOTICEABLE:
        text += (
            f" {colours.known} of them have their colour from an earlier analysis; this analysis "
            f"alone would have put none farther than ΔE {colours.misfit:.3f} from it."
        )
    return [text]


def _trajectories(analysis: Analysis, _: Run) -> list[Block]:
    paths = analysis.trajectories
    if isinstance(paths, NotComputed):
        return not_computed(paths)
    stress = paths.explained_stress[:_AXES][-1]
    return [
        f"InPCA of {len(paths.epochs)} checkpoints per member: the first three axes explain "
        f"{blocks.short(stress)} of the stress."
    ]


MAP = Section("map", "Function space", _maps)
DISTANCES = Section(
    "distances", "Distances", lambda analysis, _: not_computed(analysis.distances.matrices)
)
TRAJECTORIES = Section("paths", "Trajectories", _trajectories, rank=1)
