"""The contract between training and analysis: each member's logits on the probe, in one file.

Every later step needs neither Lightning nor Hydra, and takes logits of any origin.
"""

from chromatic_descent.errors import ArtefactError
from chromatic_descent.probe_logits.artefact import (
    FOREIGN,
    SHIFTED,
    ProbeLogits,
    ProbeSliceLogits,
    Trajectory,
    load,
    read_record,
    save,
    validate,
)
from chromatic_descent.probe_logits.population import Population, from_arrays, stack

__all__ = ["ArtefactError"]
__all__ += ["FOREIGN", "SHIFTED", "ProbeLogits", "ProbeSliceLogits", "Trajectory", "load"]
__all__ += ["read_record", "save", "validate"]
__all__ += ["Population", "from_arrays", "stack"]
