"""The analysis of a population: logits in, numbers out; figures and words are the report's.

    from chromatic_descent import analysis, probe_logits
    population = probe_logits.from_arrays("logits.npy", "labels.npy")
    result = analysis.analyse(population)
    result.maps["hellinger"].explained

An analysis is a chain of sections, one a file. Each is a function of the population and of earlier
sections' results, and returns a frozen dataclass. Its keyword-only parameters are the options of
`configs/analyze.yaml`, with the same defaults. `Analysis` lists the sections.
"""

from chromatic_descent.analysis.analysis import OPTIONS, SECTIONS, Analysis, analyse
from chromatic_descent.analysis.output import read_numbers
from chromatic_descent.analysis.results import Each, NotComputed, computed

__all__ = ["OPTIONS", "SECTIONS", "Analysis", "analyse"]
__all__ += ["read_numbers"]
__all__ += ["Each", "NotComputed", "computed"]
