"""What each member is worth alone."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from chromatic_descent import ensemble
from chromatic_descent.analysis.results import Array
from chromatic_descent.probe_logits import Population


@dataclass(frozen=True, eq=False)
class Members:
    """Scores of S members."""

    table: pd.DataFrame  # member, seed, every metric, temperature, confidence, entropy

    @property
    def temperature(self) -> Array:
        """The members' fitted temperatures [S]."""
        fitted: Array = self.table["temperature"].to_numpy()
        return fitted


def score_members(population: Population) -> Members:
    """Score every member by every metric, with its temperature, confidence and entropy (nats)."""
    rows = []
    for logits in population.logits:  # one at a time: a stack may be larger than memory
        log_p = ensemble.log_softmax(logits)  # [N, C]
        p = np.exp(log_p)
        scores = {name: score(log_p, population.labels) for name, score in ensemble.METRICS.items()}
        rows.append(
            {
                **scores,
                "temperature": ensemble.fit_temperature(logits, population.labels),
                "confidence": p.max(axis=-1).mean(),
                "entropy": -(p * log_p).sum(axis=-1).mean(),
            }
        )
    names = pd.DataFrame({"member": population.names, "seed": population.seeds})
    return Members(pd.concat([names, pd.DataFrame(rows, dtype=float)], axis=1))
