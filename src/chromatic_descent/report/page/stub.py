"""Colours until there are colours."""

from types import SimpleNamespace
from typing import Any

import numpy as np


def colours_of(results: Any) -> Any:
    """Grey members."""
    members = len(results.population.names)
    grey = [f"#{40 + 150 * k // members:02x}6080" for k in range(members)]
    return SimpleNamespace(
        distance="hellinger",
        oklab=np.zeros((members, 3)),
        hex=grey,
        safe=grey,
        markers=["o"] * members,
        correlation=None,
        stress=None,
    )
