"""What the reference shows of docstrings: examples as code, and the tables that the code holds."""

import re
from typing import Any

import griffe

_EXAMPLE = re.compile(r"^>>> .*(?:\n(?!\s*$).+)*", re.MULTILINE)  # up to the next empty line


class Fenced(griffe.Extension):
    """Put a fence around every block that begins with `>>>`: Markdown would read quotations."""

    def on_object(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        """Rewrite an object's docstring before it is parsed."""
        if obj.docstring:
            obj.docstring.value = _EXAMPLE.sub(r"```pycon\n\g<0>\n```", obj.docstring.value)
            if obj.path == "chromatic_descent.ensemble.metrics.METRICS":
                obj.docstring.value += f"\n\n{metrics_table()}"


def metrics_table() -> str:
    """Return the table of all metrics of ensembles, in Markdown."""
    from chromatic_descent.ensemble import METRICS

    rows = [("name", "heading", "better"), ("---",) * 3]
    for name, metric in METRICS.items():
        better = "larger" if metric.larger_is_better else "smaller"
        rows.append((f"`{name}`", metric.heading, better))
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
