"""Where the members and the analysis come from."""

from collections.abc import Mapping
from typing import Any

from chromatic_descent.analysis import Analysis
from chromatic_descent.analysis.output import Run
from chromatic_descent.report.summary.blocks import Block, Section


def _blocks(analysis: Analysis, run: Run) -> list[Block]:
    of = analysis.provenance
    lines = [f"- probe hash: `{of.probe_hash}`"]
    if of.config_hashes and of.trained_with and of.hardware:
        lines += [
            f"- config hashes: {', '.join(f'`{h[:12]}`' for h in of.config_hashes)}",
            f"- trained with: {_pairs(of.trained_with)}",
            f"- on: {_pairs(of.hardware)}; precision {', '.join(of.precisions or ())}",
            f"- training time: {of.training_seconds:.0f} s in all",
        ]
    lines.append(f"- analysed {run.created} with chromatic-descent {run.version}, `{run.command}`")
    return ["\n".join(lines)]


def _pairs(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in values.items())


SECTION = Section("provenance", "Provenance", "Provenance", _blocks, rank=2)
