"""The report as Markdown."""

from collections.abc import Mapping

from chromatic_descent.analysis import Analysis
from chromatic_descent.analysis.output import Run
from chromatic_descent.report.figures import kinds
from chromatic_descent.report.summary import sections
from chromatic_descent.report.summary.blocks import Block, Lines, Table


def markdown(analysis: Analysis, run: Run, figures: Mapping[str, str] | None = None) -> str:
    """A readable summary of an analysis, with the figures that were drawn: their paths by name."""
    drawn = figures or {}
    parts = [f"# Study {run.study}", _sentence(analysis, run)]
    for section in sorted(sections.SECTIONS, key=lambda section: section.rank):
        body = [_block(block) for block in section.blocks(analysis, run)] if section.blocks else []
        shown = [kind for kind in kinds() if kind.section == section.id and kind.name in drawn]
        body += [f"![{kind.title}]({drawn[kind.name]})" for kind in shown]
        parts += [f"## {section.heading}", *body] if body else []
    return "\n\n".join(parts) + "\n"


def _sentence(analysis: Analysis, run: Run) -> str:
    members, source = len(analysis.members.table), analysis.provenance
    text = (
        f"{members} member{'s' if members > 1 else ''} on a probe of {source.images} images of "
        f"{source.dataset} with {len(source.classes)} classes."
    )
    if run.missing:
        text += f" Left out, because they are not complete: {'; '.join(run.missing)}."
    return text


def _block(block: Block) -> str:
    if isinstance(block, Table):
        return _table(block)
    if isinstance(block, Lines):
        return "\n".join([block.title, *(f"- {line}" for line in block.lines)])
    return block


def _table(table: Table) -> str:
    lines = [table.head, ["---"] * len(table.head), *table.rows]
    escaped = [[cell.replace("|", "\\|") for cell in line] for line in lines]
    return "\n".join(f"| {' | '.join(line)} |" for line in escaped)
